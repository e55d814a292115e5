"""Divergences of convolution and pooling: layout, padding, strides, the transposed kernel."""

import numpy as np

from compare.catalogue.divergences.records import FLAX_DOCS, PORT_GUIDE, TORCH_DOCS, Divergence

CONVOLUTION = (
    Divergence(
        name="convolution_layout",
        title="The channels of a convolution are the second axis in PyTorch, the last in Flax",
        what="Images are [batch, channels, height, width] in PyTorch and [batch, height, width, "
        "channels] in Flax. Kernels are [out, in, height, width] and [height, width, in, out]. "
        "Shapes of a kernel from 3 to 5 channels, and of the output for 7 x 11 pixels:",
        pytorch="layer = nn.Conv2d(3, 5, (1, 2))\n"
        "tuple(layer.weight.shape), tuple(layer(torch.zeros(1, 3, 7, 11)).shape)",
        jax='layer = nnx.Conv(3, 5, (1, 2), padding="VALID", rngs=nnx.Rngs(0))\n'
        "layer.kernel.shape, layer(jnp.zeros((1, 7, 11, 3))).shape",
        expect=lambda r: (
            r.pytorch == ((5, 3, 1, 2), (1, 5, 7, 10)) and r.jax == ((1, 2, 3, 5), (1, 7, 10, 5))
        ),
        size=lambda r: f"a kernel {r.pytorch[0]} against {r.jax[0]}",
        detect="Use a different prime number as the size of every axis, so that a wrong order "
        "raises an error.",
        fix="Use `kernel.transpose(2, 3, 1, 0)` for the kernel and `x.transpose(0, 2, 3, 1)` for "
        "images.",
        sources=(PORT_GUIDE, TORCH_DOCS + "nn.Conv2d.html", FLAX_DOCS + "linear.html"),
        symptoms=("shapes differ", "checkpoint loads, outputs differ: right after loading"),
        calls=("nn.Conv2d", "nnx.Conv", "NCHW", "NHWC"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="convolution_padding",
        title="By default a convolution has no padding in PyTorch and 'SAME' padding in Flax",
        what="The default of `padding` is 0 in nn.Conv2d and 'SAME' in nnx.Conv. Output shapes "
        "for a 3 x 3 kernel on 7 x 7 pixels:",
        pytorch="tuple(nn.Conv2d(1, 1, 3)(torch.zeros(1, 1, 7, 7)).shape)",
        jax="nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))(jnp.zeros((1, 7, 7, 1))).shape",
        expect=lambda r: r.pytorch == (1, 1, 5, 5) and r.jax == (1, 7, 7, 1),
        size=lambda r: f"{r.pytorch[2]} pixels against {r.jax[1]}",
        detect="Compare the shapes of the outputs.",
        fix="Set the padding explicitly in both: `padding=1`, or 'VALID' and 0.",
        sources=(TORCH_DOCS + "nn.Conv2d.html", FLAX_DOCS + "linear.html"),
        symptoms=("shapes differ",),
        calls=("nn.Conv2d", "nnx.Conv"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="same_padding_with_a_stride",
        title="With a stride, 'SAME' pads only the end, PyTorch's padding both ends",
        what="nn.Conv1d with padding=1 adds a zero at each end. 'SAME' adds one only at the end. "
        "The output has the same shape. For n numbers, kernel k and stride s, 'SAME' adds "
        "max((ceil(n / s) - 1) s + k - n, 0) zeros, half of them at each end; if the number "
        "is odd, the end gets one more. PyTorch raises an error for padding='same' with a "
        "stride. Example with four numbers, kernel 3, stride 2:",
        pytorch="x = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]])\n"
        "F.conv1d(x, torch.ones(1, 1, 3), stride=2, padding=1).flatten()",
        jax="layer = nnx.Conv(1, 1, 3, strides=2, use_bias=False, rngs=nnx.Rngs(0))\n"
        "layer.kernel[...] = jnp.ones((3, 1, 1))\n"
        "layer(jnp.array([[[1.0], [2.0], [4.0], [8.0]]])).flatten()",
        port="def pad_same(x, k, s):  # the last axis, as 'SAME' does it\n"
        "    n = x.shape[-1]\n"
        "    total = max((-(-n // s) - 1) * s + k - n, 0)\n"
        "    return F.pad(x, (total // 2, total - total // 2))\n\n"
        "right, found = [], []\n"
        "for n, k, s in ((4, 3, 2), (5, 3, 2), (6, 5, 3), (7, 2, 3)):\n"
        "    x, kernel = torch.arange(1.0, n + 1)[None, None], torch.ones(1, 1, k)\n"
        "    right.extend(F.conv1d(pad_same(x, k, s), kernel, stride=s).flatten())\n"
        "    given = jnp.array(x).swapaxes(1, 2), jnp.ones((k, 1, 1)), (s,), 'SAME'\n"
        "    axes = ('NWC', 'WIO', 'NWC')\n"
        "    found.extend(jax.lax.conv_general_dilated(*given, dimension_numbers=axes).flatten())\n"
        "result = right, found",
        expect=lambda r: list(r.pytorch) == [3, 14] and list(r.jax) == [7, 12],
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g} in the first pixel",
        detect="Test with a stride, an even number of pixels and a single bright pixel.",
        fix="Pass `padding=1` to nnx.Conv too, which also pads both ends. Or pad in PyTorch as "
        "'SAME' does: in the example with `F.pad(x, (0, 1))`.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/67551",
            TORCH_DOCS + "nn.Conv2d.html",
            FLAX_DOCS + "linear.html",
        ),
        symptoms=(
            "outputs differ by a few percent or more",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.Conv2d", "F.conv1d", "nnx.Conv"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="transposed_convolution",
        title="The kernel of a transposed convolution is reversed in Flax",
        what="PyTorch computes the gradient of a convolution. Flax inserts zeros into the input "
        "and computes a convolution, unless `transpose_kernel=True`. Example with one bright "
        "pixel and the kernel 1, 2, 3; in Flax without and with the option:",
        pytorch="x, kernel = torch.tensor([[[0.0, 1.0, 0.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]])\n"
        "F.conv_transpose1d(x, kernel, padding=1).flatten()",
        jax="make = lambda turn: nnx.ConvTranspose(1, 1, 3, use_bias=False,\n"
        "    transpose_kernel=turn, rngs=nnx.Rngs(0))\n"
        "layers = make(False), make(True)\n"
        "for layer in layers:\n"
        "    layer.kernel[...] = jnp.array([1.0, 2.0, 3.0])[:, None, None]\n"
        "result = [layer(jnp.array([[[0.0], [1.0], [0.0]]])).flatten() for layer in layers]",
        expect=lambda r: (
            list(r.pytorch) == [1, 2, 3]
            and list(r.jax[0]) == [3, 2, 1]
            and list(r.jax[1]) == [1, 2, 3]
        ),
        size=lambda r: "the kernel is reversed",
        detect="Test with a kernel that is not symmetric.",
        fix="Pass `transpose_kernel=True`, which also swaps the channel axes of the kernel.",
        sources=(PORT_GUIDE, TORCH_DOCS + "nn.ConvTranspose2d.html", FLAX_DOCS + "linear.html"),
        symptoms=(
            "outputs have the same numbers in another order",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.ConvTranspose2d", "F.conv_transpose1d", "nnx.ConvTranspose"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="pooling_stride",
        title="The default stride of pooling is the window size in PyTorch, 1 in Flax",
        what="In PyTorch, the default stride of F.max_pool2d and F.avg_pool2d is the size of the "
        "window. The example counts the outputs for four values and a window of 2:",
        pytorch="F.max_pool1d(torch.arange(4.0)[None, None], 2).numel()",
        jax="nnx.max_pool(jnp.arange(4.0)[None, :, None], (2,)).size",
        expect=lambda r: (r.pytorch, r.jax) == (2, 3),
        size=lambda r: f"{r.pytorch} values against {r.jax}",
        detect="Compare the shapes of the outputs.",
        fix="Pass the strides: `nnx.max_pool(x, (2, 2), strides=(2, 2))`.",
        sources=(TORCH_DOCS + "nn.MaxPool2d.html", FLAX_DOCS + "pooling.html"),
        symptoms=("shapes differ",),
        calls=(
            *("nn.MaxPool2d", "nn.AvgPool2d", "F.max_pool1d"),
            *("nnx.max_pool", "nnx.avg_pool"),
        ),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="flattened_images",
        title="A flattened image starts with the channels in PyTorch and ends with them in Flax",
        what="The linear layer after the last convolution gets the same numbers in a different "
        "order. Example with one image of 2 channels and 1 x 2 pixels:",
        pytorch="image = np.arange(4.0).reshape(1, 2, 1, 2)\ntorch.tensor(image).flatten(1)",
        jax="image = np.arange(4.0).reshape(1, 2, 1, 2)\n"
        "jnp.array(image.transpose(0, 2, 3, 1)).reshape(1, -1)",
        expect=lambda r: r.pytorch.tolist() == [[0, 1, 2, 3]] and r.jax.tolist() == [[0, 2, 1, 3]],
        size=lambda r: f"{int((np.array(r.pytorch) != r.jax).sum())} of 4 numbers elsewhere",
        detect="Compare the inputs of the first linear layer.",
        fix="Reshape the kernel of that layer to [channels, height, width, out], transpose it to "
        "[height, width, channels, out], and flatten it again.",
        sources=(PORT_GUIDE,),
        symptoms=(
            "outputs have the same numbers in another order",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.Flatten", "torch.flatten", "jnp.reshape", "nn.Linear", "nnx.Linear"),
        libraries=("torch", "jax"),
    ),
)
