"""Divergences of convolution and pooling: layout, padding, strides, the transposed kernel."""

import numpy as np

from compare.catalogue.divergences.records import FLAX_DOCS, PORT_GUIDE, TORCH_DOCS, Divergence

CONVOLUTION = (
    Divergence(
        name="convolution_layout",
        title="A convolution's channels come second in PyTorch and last in Flax",
        what="Images are [batch, channels, height, width] against [batch, height, width, "
        "channels]; kernels are [out, in, height, width] against [height, width, in, out]. Shapes "
        "of a kernel from 3 channels to 5, and of the output for 7 x 11 pixels:",
        pytorch="layer = nn.Conv2d(3, 5, (1, 2))\n"
        "tuple(layer.weight.shape), tuple(layer(torch.zeros(1, 3, 7, 11)).shape)",
        jax='layer = nnx.Conv(3, 5, (1, 2), padding="VALID", rngs=nnx.Rngs(0))\n'
        "layer.kernel.shape, layer(jnp.zeros((1, 7, 11, 3))).shape",
        expect=lambda r: (
            r.pytorch == ((5, 3, 1, 2), (1, 5, 7, 10)) and r.jax == ((1, 2, 3, 5), (1, 7, 10, 5))
        ),
        size=lambda r: f"a kernel {r.pytorch[0]} against {r.jax[0]}",
        detect="Another prime number for every axis, so that no wrong order fits.",
        fix="`kernel.transpose(2, 3, 1, 0)` for the kernel, `x.transpose(0, 2, 3, 1)` for images.",
        sources=(PORT_GUIDE, TORCH_DOCS + "nn.Conv2d.html", FLAX_DOCS + "linear.html"),
        symptoms=("shapes differ", "checkpoint loads, outputs differ: right after loading"),
        calls=("nn.Conv2d", "nnx.Conv", "NCHW", "NHWC"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="convolution_padding",
        title="A convolution pads nothing in PyTorch and everything in Flax",
        what="The default of `padding` is 0 in nn.Conv2d and 'SAME' in nnx.Conv. Shapes of the "
        "output of a 3 x 3 kernel on 7 x 7 pixels:",
        pytorch="tuple(nn.Conv2d(1, 1, 3)(torch.zeros(1, 1, 7, 7)).shape)",
        jax="nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))(jnp.zeros((1, 7, 7, 1))).shape",
        expect=lambda r: r.pytorch == (1, 1, 5, 5) and r.jax == (1, 7, 7, 1),
        size=lambda r: f"{r.pytorch[2]} pixels against {r.jax[1]}",
        detect="The shape of the output.",
        fix="Write the padding down in both: `padding=1`, or 'VALID' and 0.",
        sources=(TORCH_DOCS + "nn.Conv2d.html", FLAX_DOCS + "linear.html"),
        symptoms=("shapes differ",),
        calls=("nn.Conv2d", "nnx.Conv"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="same_padding_with_a_stride",
        title="With a stride, 'SAME' pads the end, and PyTorch's padding both ends",
        what="nn.Conv1d with padding=1 puts a zero at each end, 'SAME' only one behind the last; "
        "the output has the same shape. 'SAME' adds max((ceil(n / s) - 1) s + k - n, 0) zeros to n "
        "numbers for kernel k and stride s, the odd one at the end. PyTorch refuses padding='same' "
        "when there is a stride. Four numbers, kernel 3, stride 2:",
        pytorch="x = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]])\n"
        "F.conv1d(x, torch.ones(1, 1, 3), stride=2, padding=1).flatten()",
        jax="layer = nnx.Conv(1, 1, 3, strides=2, use_bias=False, rngs=nnx.Rngs(0))\n"
        "layer.kernel[...] = jnp.ones((3, 1, 1))\n"
        "layer(jnp.array([[[1.0], [2.0], [4.0], [8.0]]])).flatten()",
        expect=lambda r: list(r.pytorch) == [3, 14] and list(r.jax) == [7, 12],
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g} in the first pixel",
        detect="An image with a single bright pixel, a stride, and an even number of pixels.",
        fix="`padding=1` in nnx.Conv too: a number pads both ends there as well. The other way "
        "round, pad by hand in PyTorch; here that is `F.pad(x, (0, 1))`.",
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
        title="A transposed convolution has its kernel the other way round in Flax",
        what="PyTorch computes the gradient of a convolution, Flax a convolution of the spread "
        "input, unless `transpose_kernel=True`. One bright pixel, kernel 1, 2, 3, in Flax without "
        "and with it:",
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
        size=lambda r: "the kernel backwards",
        detect="A kernel that is not symmetric.",
        fix="`transpose_kernel=True`, which also swaps the kernel's axes of channels.",
        sources=(PORT_GUIDE, TORCH_DOCS + "nn.ConvTranspose2d.html", FLAX_DOCS + "linear.html"),
        symptoms=(
            "outputs the same numbers in another order",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.ConvTranspose2d", "F.conv_transpose1d", "nnx.ConvTranspose"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="pooling_stride",
        title="Pooling steps by its window in PyTorch, by 1 in Flax",
        what="The default stride of F.max_pool2d and F.avg_pool2d is the size of the window. The "
        "number of values that are left of four, window 2:",
        pytorch="F.max_pool1d(torch.arange(4.0)[None, None], 2).numel()",
        jax="nnx.max_pool(jnp.arange(4.0)[None, :, None], (2,)).size",
        expect=lambda r: (r.pytorch, r.jax) == (2, 3),
        size=lambda r: f"{r.pytorch} values against {r.jax}",
        detect="The shape of the output.",
        fix="`nnx.max_pool(x, (2, 2), strides=(2, 2))`.",
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
        title="Flattened, an image has its channels first in PyTorch and last in Flax",
        what="The linear layer behind the last convolution reads the same numbers in another "
        "order. The same image, 2 channels of 1 x 2 pixels, flattened:",
        pytorch="image = np.arange(4.0).reshape(1, 2, 1, 2)\ntorch.tensor(image).flatten(1)",
        jax="image = np.arange(4.0).reshape(1, 2, 1, 2)\n"
        "jnp.array(image.transpose(0, 2, 3, 1)).reshape(1, -1)",
        expect=lambda r: r.pytorch.tolist() == [[0, 1, 2, 3]] and r.jax.tolist() == [[0, 2, 1, 3]],
        size=lambda r: f"{int((np.array(r.pytorch) != r.jax).sum())} of 4 numbers elsewhere",
        detect="Compare what goes into the first linear layer.",
        fix="Reshape its kernel to [channels, height, width, out], transpose to [height, width, "
        "channels, out], and flatten again.",
        sources=(PORT_GUIDE,),
        symptoms=(
            "outputs the same numbers in another order",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.Flatten", "torch.flatten", "jnp.reshape", "nn.Linear", "nnx.Linear"),
        libraries=("torch", "jax"),
    ),
)
