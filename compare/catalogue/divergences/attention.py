"""Divergences of softmax and of the built-in attention calls."""

import numpy as np

from compare.catalogue.divergences.records import Divergence

SDPA = "https://docs.pytorch.org/docs/2.15/generated/torch.nn.functional.scaled_dot_product_attention.html"
JAX_ATTENTION = "https://docs.jax.dev/en/latest/_autosummary/jax.nn.dot_product_attention.html"

ATTENTION = (
    Divergence(
        name="softmax_axis",
        title="Without an axis, torch's softmax uses axis 0 of three",
        what="Without `dim`, `F.softmax` warns and uses axis 0 of three axes, which is the batch, "
        "or axis 1 of two. JAX uses the last axis.",
        pytorch="F.softmax(torch.zeros(2, 3, 4))[0, 0, 0]",
        jax="jax.nn.softmax(jnp.zeros((2, 3, 4)))[0, 0, 0]",
        expect=lambda r: r.pytorch == 1 / 2 and r.jax == 1 / 4,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Sum the weights of each row. The sum must be 1.",
        fix="Set the axis explicitly: `dim=-1`, `axis=-1`.",
        sources=("https://github.com/PetrochukM/PyTorch-NLP/issues/2",),
        symptoms=("outputs differ by a few percent or more",),
        calls=("F.softmax", "torch.softmax", "jax.nn.softmax"),
        bugs=("softmax_over_the_batch", "softmax_over_the_queries"),
    ),
    Divergence(
        name="attention_axes",
        title="The built-in attention calls expect different axis orders",
        what="PyTorch expects [batch, heads, steps, channels], JAX expects [batch, steps, heads, "
        "channels]. The shape does not show a mistake if both axes have the same size.",
        pytorch="x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]\n"
        "F.scaled_dot_product_attention(x, x, x).flatten()",
        jax="x = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]\n"
        "jax.nn.dot_product_attention(x, x, x).flatten()",
        expect=lambda r: r.pytorch.shape == r.jax.shape and not np.allclose(r.pytorch, r.jax),
        size=lambda r: f"up to {np.abs(r.pytorch / r.jax - 1).max():.0%}",
        detect="Use a different prime number as the size of every axis, so that a wrong order "
        "raises an error.",
        fix="Call `x.swapaxes(1, 2)` before and after the call.",
        sources=(SDPA, JAX_ATTENTION),
        symptoms=(
            "outputs differ by a few percent or more",
            "outputs have the same numbers in another order",
        ),
        calls=("F.scaled_dot_product_attention", "jax.nn.dot_product_attention"),
        bugs=("heads_and_steps_swapped",),
    ),
    Divergence(
        name="attention_in_float64",
        title="jax.nn.dot_product_attention computes its softmax in float32",
        what="This does not depend on the input dtype. With float64 inputs the result has the "
        "dtype float64, but only about seven digits are exact.",
        pytorch="x = torch.tensor(np.random.default_rng(0).normal(size=(5, 3)))[None, None]\n"
        "right = (x @ x.mT / 3**0.5).softmax(dim=-1) @ x\n"
        "found = F.scaled_dot_product_attention(x, x, x)\n"
        "found.dtype, (found - right).abs().max()",
        jax="with jax.enable_x64(True):\n"
        "    x = jnp.array(np.random.default_rng(0).normal(size=(5, 3)))\n"
        "    right = jax.nn.softmax(x @ x.T / 3**0.5) @ x\n"
        "    found = jax.nn.dot_product_attention(*[x[None, :, None]] * 3)[0, :, 0]\n"
        "    result = found.dtype, jnp.abs(found - right).max()",
        expect=lambda r: (
            r.pytorch[0] == r.jax[0] == "float64"
            and r.pytorch[1] < 1e-14
            and 1e-10 < r.jax[1] < 1e-5
        ),
        size=lambda r: f"{r.jax[1]:.1g} against {r.pytorch[1]:.1g}",
        detect="A float64 run has errors of about 1e-8.",
        fix="Use `flax.linen.dot_product_attention`, which keeps float64, or write the formula.",
        sources=(
            "https://github.com/jax-ml/jax/pull/21371",
            "https://github.com/jax-ml/jax/issues/37422",
        ),
        symptoms=("differs by 1e-7 in float64", "differs in the last digits"),
        calls=("F.scaled_dot_product_attention", "jax.nn.dot_product_attention"),
        bugs=("float32_softmax", "float32_inside"),
    ),
    Divergence(
        name="masked_row",
        title="A fully masked row gives 0, a mean, or NaN",
        what="If a query may attend to no key, PyTorch's call returns 0 and JAX's the mean of all "
        "values. A hand-written softmax returns NaN.",
        pytorch="q = torch.ones(1, 1, 2, 1)\n"
        "v = torch.tensor([1.0, 3.0])[None, None, :, None]\n"
        "mask = torch.tensor([[True, True], [False, False]])\n"
        "F.scaled_dot_product_attention(q, q, v, attn_mask=mask).flatten()",
        jax="q = jnp.ones((1, 2, 1, 1))\n"
        "v = jnp.array([1.0, 3.0])[None, :, None, None]\n"
        "mask = jnp.array([[True, True], [False, False]])[None, None]\n"
        "jax.nn.dot_product_attention(q, q, v, mask=mask).flatten()",
        numpy="scores = np.array([-np.inf, -np.inf])\n"
        "exponentials = np.exp(scores - scores.max())\n"
        "exponentials / exponentials.sum()",
        expect=lambda r: (
            r.pytorch[1] == 0 and bool(np.isclose(r.jax[1], 2)) and bool(np.isnan(r.numpy).all())
        ),
        size=lambda r: f"{r.pytorch[1]:g}, {r.jax[1]:g} and {r.numpy[0]:g}",
        detect="Test with a sample that consists of padding only.",
        fix="Exclude such rows from later computations.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/103963",
            "https://github.com/pytorch/pytorch/pull/131060",
        ),
        symptoms=("NaN or infinity", "a mask has the opposite effect"),
        calls=("F.scaled_dot_product_attention", "jax.nn.dot_product_attention", "F.softmax"),
        bugs=("nan_made_zero",),
    ),
    Divergence(
        name="mask_polarity",
        title="True keeps in one call and masks out in the other",
        what="In scaled_dot_product_attention and in JAX, True means that a key takes part. In "
        "nn.MultiheadAttention, True means that it is masked out. In this example the second of "
        "two keys is False.",
        pytorch="attend = nn.MultiheadAttention(1, 1, batch_first=True)\n"
        "x = torch.ones(1, 2, 1)\n"
        "mask = torch.tensor([[True, False], [True, False]])\n"
        "attend(x, x, x, attn_mask=mask)[1][0, 0]  # the weights of the first query",
        jax="q, v = jnp.ones((1, 2, 1, 2)), jnp.eye(2)[None, :, None]\n"
        "mask = jnp.array([[True, False], [True, False]])[None, None]\n"
        "jax.nn.dot_product_attention(q, q, v, mask=mask)[0, 0, 0]",
        expect=lambda r: list(r.pytorch) == [0, 1] and list(r.jax) == [1, 0],
        size=lambda r: (
            f"weights {r.pytorch[0]:g}, {r.pytorch[1]:g} against {r.jax[0]:g}, {r.jax[1]:g}"
        ),
        detect="Mask a single key and look at its weight.",
        fix="Convert with `~mask`.",
        sources=(
            SDPA,
            "https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html",
        ),
        symptoms=("a mask has the opposite effect",),
        calls=(
            *("F.scaled_dot_product_attention", "jax.nn.dot_product_attention"),
            *("nn.MultiheadAttention", "nnx.MultiHeadAttention"),
        ),
        bugs=("causal_mask_left_on",),
    ),
    Divergence(
        name="dropout_of_a_function",
        title="eval() does not switch off dropout in a function call",
        what="scaled_dot_product_attention always uses its argument `dropout_p`, even if the "
        "model is in evaluation mode. JAX's call has no dropout.",
        pytorch="torch.manual_seed(0)\nx = torch.ones(1, 1, 4, 1)\n"
        "with torch.inference_mode():\n"
        "    result = F.scaled_dot_product_attention(x, x, x, dropout_p=0.5).flatten()",
        jax="x = jnp.ones((1, 4, 1, 1))\njax.nn.dot_product_attention(x, x, x).flatten()",
        expect=lambda r: bool(np.allclose(r.jax, 1) and not np.allclose(r.pytorch, 1)),
        size=lambda r: f"up to {np.abs(r.pytorch - 1).max():.0%}",
        detect="Evaluate twice. The results must be equal.",
        fix="Pass `dropout_p=self.p if self.training else 0.0`.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/124464",
            "https://github.com/huggingface/pytorch-image-models/pull/1978",
        ),
        symptoms=("the result changes from call to call", "accuracy differs"),
        calls=(
            *("F.scaled_dot_product_attention", "F.dropout", "nn.Dropout"),
            "jax.nn.dot_product_attention",
        ),
        bugs=("dropout_left_on",),
    ),
    Divergence(
        name="mask_of_numbers",
        title="PyTorch adds a mask of 0.0 and 1.0 to the scores, Flax reads it as booleans",
        what="PyTorch adds a floating-point mask to the scores. Flax NNX reads every nonzero "
        "number as True. jax.nn raises an error. The example shows the weight of a key that the "
        "value 0.0 should hide:",
        pytorch="q = np.random.default_rng(0).normal(size=(1, 1, 3, 2)).astype('f4')\n"
        "q = torch.tensor(q)  # [batch, heads, steps, channels]\n"
        "v, mask = torch.tensor([[0.0, 0], [0, 0], [1, 0]]), torch.tensor([[1.0, 1.0, 0.0]] * 3)\n"
        "call = lambda mask: F.scaled_dot_product_attention(q, q, v[None, None], attn_mask=mask)\n"
        "[call(each)[0, 0, 0, 0] for each in (mask, mask.bool())]",
        jax="q = np.random.default_rng(0).normal(size=(1, 1, 3, 2)).astype('f4')\n"
        "q = jnp.array(q).swapaxes(1, 2)  # [batch, steps, heads, channels]\n"
        "v = jnp.array([[0.0, 0], [0, 0], [1, 0]])[None, :, None]\n"
        "mask = jnp.broadcast_to(jnp.array([1.0, 1.0, 0.0]), (1, 1, 3, 3))\n"
        "nnx.dot_product_attention(q, q, v, mask=mask)[0, 0, 0, 0]",
        expect=lambda r: r.pytorch[0] > 0.01 and r.pytorch[1] == 0 and r.jax < 1e-6,
        size=lambda r: f"{r.pytorch[0]:.2g} against {r.jax:g}",
        detect="Change a masked key. The output must not change.",
        fix="Use boolean masks in every framework.",
        sources=("https://github.com/pytorch/pytorch/issues/163026",),
        symptoms=("a mask has the opposite effect",),
        calls=(
            *("F.scaled_dot_product_attention", "nn.MultiheadAttention"),
            *("nnx.dot_product_attention", "nnx.MultiHeadAttention"),
            "jax.nn.dot_product_attention",
        ),
        libraries=("torch", "jax", "flax"),
    ),
)
