"""Convolutions: channels first against channels last, and against sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from flax import nnx
from ports import Bug, draw, load, normal, ports
from torch import nn


def statistics():
    """Return weight, bias, mean and variance of the normalisation, in the dtype that is drawn."""
    weight, bias, mean = 1 + draw(31, 7), draw(32, 7), draw(33, 7)
    return weight, bias, mean, np.abs(0.05 + draw(34, 7))


class ChannelsFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 7, 3, stride=2, padding=1)
        self.bn, self.fc = nn.BatchNorm2d(7), nn.Linear(7 * 2 * 3, 5)

    def forward(self, image):
        h = F.max_pool2d(F.relu(self.bn(self.conv(image))), 2)
        return self.fc(h.flatten(1))


def channels_first():
    model = ChannelsFirst()
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {f"bn__{name}": array for name, array in zip(names, statistics(), strict=True)}
    arrays |= {"conv__weight": draw(30, 7, 3, 3, 3, scale=0.2), "conv__bias": draw(30, 7)}
    arrays["bn__num_batches_tracked"] = np.array(1)
    return load(model, **arrays, fc__weight=draw(35, 5, 42), fc__bias=draw(35, 5))


class ChannelsLast(nnx.Module):
    def __init__(self, bug):
        rngs, padding = nnx.Rngs(0), "SAME" if bug == "padding SAME" else 1
        self.stem = nnx.Conv(3, 7, (3, 3), strides=2, padding=padding, rngs=rngs)
        epsilon = 1e-3 if bug == "epsilon of Keras" else 1e-5
        still = bug != "statistics of the batch"
        self.norm = nnx.BatchNorm(7, use_running_average=still, epsilon=epsilon, rngs=rngs)
        self.head = nnx.Linear(42, 5, rngs=rngs)
        self.bug = bug

    def __call__(self, pixels):
        maps = self.stem(jnp.moveaxis(pixels, 1, -1))
        scaled = self.norm(maps)
        pool = nnx.avg_pool if self.bug == "mean for maximum" else nnx.max_pool
        pooled = pool(nnx.relu(scaled), (2, 2), strides=(2, 2))
        if self.bug != "flattened channels last":
            pooled = jnp.moveaxis(pooled, -1, 1)
        flat = pooled.reshape(len(pooled), -1)
        return self.head(flat)


def channels_last(bug):
    model, (weight, bias, mean, var) = ChannelsLast(bug), statistics()
    if bug == "deviation for variance":
        var = np.sqrt(var)
    kernel = draw(30, 7, 3, 3, 3, scale=0.2).transpose(2, 3, 1, 0)
    if bug == "height and width of the kernel swapped":
        kernel = kernel.transpose(1, 0, 2, 3)
    parts = {
        "stem": {"kernel": kernel, "bias": draw(30, 7)},
        "norm": {"scale": weight, "bias": bias, "mean": mean, "var": var},
        "head": {"kernel": draw(35, 5, 42).T, "bias": draw(35, 5)},
    }
    nnx.update(model, jax.tree.map(jnp.asarray, parts))
    return model


def functional():
    weight, bias = torch.from_numpy(draw(40, 5, 2, 3, 2)), torch.from_numpy(draw(40, 5))

    def convolve(x):
        return F.conv2d(x, weight, bias, padding=(1, 0), dilation=(1, 2)).relu()

    return convolve


def written_out(bug):
    """The same in NumPy: a sum over the taps of the kernel."""
    weight, bias = draw(40, 5, 2, 3, 2), draw(40, 5)
    if bug == "a true convolution":
        weight = weight[:, :, ::-1, ::-1]
    step = (2, 1) if bug == "dilation of the other axis" else (1, 2)

    def convolve(maps):
        around = ((1, 1), (0, 0)) if bug != "padding of the other axis" else ((0, 0), (1, 1))
        mode = "edge" if bug == "edges repeated" else "constant"
        wide = np.pad(maps, ((0, 0), (0, 0), *around), mode=mode)
        height, width = wide.shape[2] - 2 * step[0], wide.shape[3] - step[1]
        total = np.zeros((len(maps), 5, height, width), maps.dtype)
        for i in range(3):
            for j in range(2):
                y, x = i * step[0], j * step[1]
                tap = wide[:, :, y : y + height, x : x + width]
                total += np.einsum("bchw,oc->bohw", tap, weight[:, :, i, j])
        if bug != "bias forgotten":
            total = total + bias[:, None, None]
        return np.maximum(total, 0)

    return convolve


def grouped():
    """Depthwise, then pointwise, as MobileNet has it."""
    depthwise = nn.Conv1d(6, 12, 3, padding=2, groups=6)
    pointwise = nn.Conv1d(12, 5, 1)
    load(depthwise, weight=draw(50, 12, 1, 3), bias=draw(50, 12))
    load(pointwise, weight=draw(51, 5, 12, 1), bias=draw(51, 5))
    return nn.Sequential(depthwise, nn.Hardswish(), pointwise).eval()


def grouped_lax(bug):
    kernel = jnp.asarray(draw(50, 12, 1, 3).transpose(2, 1, 0))
    mix, ends = jnp.asarray(draw(51, 5, 12, 1)[:, :, 0]), (jnp.asarray(draw(50, 12)), draw(51, 5))
    if bug == "groups interleaved":
        kernel = kernel.reshape(3, 1, 6, 2).swapaxes(2, 3).reshape(3, 1, 12)

    def block(signal):
        rows = signal.swapaxes(1, 2)
        pad = (4, 0) if bug == "causal" else (2, 2)
        spread = jax.lax.conv_general_dilated(
            rows,
            kernel,
            (1,),
            [pad],
            dimension_numbers=("NWC", "WIO", "NWC"),
            feature_group_count=6,
        )
        shifted = spread + ends[0]
        bent = jax.nn.silu(shifted) if bug == "silu" else jax.nn.hard_swish(shifted)
        return jnp.einsum("nwc,oc->now", bent, mix) + ends[1][:, None]

    return block


def upsampled():
    layer = nn.ConvTranspose1d(3, 5, 4, stride=2, padding=1)
    return load(layer, weight=draw(60, 3, 5, 4), bias=draw(60, 5))


def upsampled_lax(bug):
    kernel, bias = jnp.asarray(draw(60, 3, 5, 4)), jnp.asarray(draw(60, 5))

    def enlarge(signal):
        taps = kernel.transpose(2, 0, 1)
        if bug != "kernel not flipped":
            taps = taps[::-1]
        side = [(2, 2)] if bug != "one to the side" else [(3, 1)]
        wide = jax.lax.conv_transpose(
            signal.swapaxes(1, 2), taps, (2,), side, dimension_numbers=("NWC", "WIO", "NWC")
        )
        return (wide + bias).swapaxes(1, 2)

    return enlarge


PORTS = (
    *ports(
        "cnn/batch norm, nnx",
        channels_first,
        channels_last,
        normal((2, 3, 8, 12)),
        Bug("padding SAME", ("maps", "stem")),
        Bug("epsilon of Keras", ("scaled", "norm")),
        Bug("statistics of the batch", ("scaled", "norm")),
        Bug("mean for maximum", ("pooled",)),
        Bug("flattened channels last", ("flat", "pooled"), "other order"),
        Bug("deviation for variance", ("scaled", "norm")),
        Bug("height and width of the kernel swapped", ("maps", "stem")),
    ),
    *ports(
        "cnn/dilated, NumPy loops",
        functional,
        written_out,
        normal((2, 2, 7, 7)),
        Bug("a true convolution", ("total", "conv2d")),
        Bug("dilation of the other axis", ("total", "conv2d")),
        Bug("padding of the other axis", ("wide", "total", "conv2d")),
        Bug("edges repeated", ("wide", "total", "conv2d")),
        Bug("bias forgotten", ("total", "conv2d")),
    ),
    *ports(
        "cnn/depthwise, lax",
        grouped,
        grouped_lax,
        normal((2, 6, 11)),
        Bug("groups interleaved", ("spread", "shifted")),
        Bug("causal", ("spread", "shifted")),
        Bug("silu", ("bent",)),
    ),
    *ports(
        "cnn/transposed, lax",
        upsampled,
        upsampled_lax,
        normal((2, 3, 7)),
        Bug("kernel not flipped", ("wide",)),
        Bug("one to the side", ("wide",)),
    ),
)
