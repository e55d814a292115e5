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
        what="It does so whatever the input dtype. With float64 inputs the result has the "
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
        detect="A float64 run has errors of about 1e-7.",
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
        what="If every key is masked for a query, F.scaled_dot_product_attention returns 0. "
        "nn.MultiheadAttention returns NaN; with need_weights=False it returns 0, but NaN "
        "again under eval() and no_grad(). jax.nn and Flax NNX return the mean of all values "
        "for a boolean mask, and NaN for a bias of -inf. A hand-written softmax returns NaN, "
        "or the mean if the mask adds a finite number such as -1e9. "
        "The PyTorch example calls the function, then the layer in these three ways; the JAX "
        "example uses a mask, then a bias:",
        pytorch="x, mask = torch.ones(1, 2, 2), torch.tensor([[True, True], [False, False]])\n"
        "call = F.scaled_dot_product_attention(x, x, x, attn_mask=mask)[0, 1, 0]\n"
        "layer = nn.MultiheadAttention(2, num_heads=2, batch_first=True)\n"
        "of = lambda need: layer(x, x, x, attn_mask=~mask, need_weights=need)[0][0, 1, 0]\n"
        "result = [call, of(True), of(False)]\n"
        "with torch.no_grad():\n    layer.eval(), result.append(of(False))",
        jax="q, v = jnp.ones((1, 2, 1, 1)), jnp.array([[[[1.0]], [[3.0]]]])\n"
        "mask = jnp.array([[True, True], [False, False]])\n"
        "call = jax.nn.dot_product_attention\n"
        "by_mask = call(q, q, v, mask=mask[None, None])[0, 1, 0, 0]\n"
        "bias = jnp.where(mask, 0, -jnp.inf)[None, None]\n"
        "by_mask, call(q, q, v, bias=bias)[0, 1, 0, 0]",
        numpy="scores = np.array([-np.inf, -np.inf])\n"
        "exponentials = np.exp(scores - scores.max())\n"
        "exponentials / exponentials.sum()",
        port="q, v = np.ones((1, 2, 1, 1), 'f4'), np.array([[[[1.0]], [[3.0]]]], 'f4')\n"
        "mask = np.array([[True, True], [False, False]])\n"
        "turned = [torch.tensor(each).swapaxes(1, 2) for each in (q, q, v)]\n"
        "right = F.scaled_dot_product_attention(*turned, attn_mask=torch.tensor(mask))\n"
        "found = jax.nn.dot_product_attention(*map(jnp.array, (q, q, v)), mask=mask[None, None])\n"
        "right.swapaxes(1, 2), jnp.where(mask.any(axis=-1)[:, None, None], found, 0)",
        expect=lambda r: (
            r.pytorch[0] == r.pytorch[2] == 0
            and bool(np.isnan(r.pytorch[1]) and np.isnan(r.pytorch[3]))
            and bool(np.isclose(r.jax[0], 2) and np.isnan(r.jax[1]))
            and bool(np.isnan(r.numpy).all())
        ),
        size=lambda r: f"{r.pytorch[0]:g}, {r.jax[0]:g} and {r.numpy[0]:g}",
        detect="Test with a sample that consists of padding only.",
        fix="In JAX, use a boolean mask, which causes no NaN, and set the outputs of "
        "fully masked rows to 0. In nn.MultiheadAttention, let such a row attend to one key. "
        "Exclude such rows from later computations.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/103963",
            "https://github.com/pytorch/pytorch/pull/131060",
        ),
        symptoms=(
            *("differs only with padding", "NaN or infinity", "NaN gradients"),
            *("a mask has the opposite effect", "training mode differs from evaluation"),
        ),
        calls=(
            *("F.scaled_dot_product_attention", "jax.nn.dot_product_attention", "F.softmax"),
            *("nn.MultiheadAttention", "nnx.MultiHeadAttention", "nnx.dot_product_attention"),
            *("attn_mask", "key_padding_mask", "nn.TransformerEncoderLayer"),
        ),
        bugs=("nan_made_zero",),
    ),
    Divergence(
        name="mask_polarity",
        title="True keeps in one call and masks out in the other",
        what="In the `attn_mask` of F.scaled_dot_product_attention and the `mask` of jax.nn, "
        "nnx.dot_product_attention and nnx.MultiHeadAttention, True means that the key takes "
        "part. In the `attn_mask` and `key_padding_mask` of nn.MultiheadAttention, and the "
        "`src_mask` and `src_key_padding_mask` of nn.TransformerEncoderLayer, True means that it "
        "is masked out. In this example the second of two keys is False. The PyTorch example "
        "shows the weights with `attn_mask`, then with `key_padding_mask`:",
        pytorch="layer, x = nn.MultiheadAttention(1, 1, batch_first=True), torch.ones(1, 2, 1)\n"
        "mask = torch.tensor([[True, False], [True, False]])\n"
        "masks = [{'attn_mask': mask}, {'key_padding_mask': mask[:1]}]\n"
        "[layer(x, x, x, **each)[1][0, 0] for each in masks]  # of the first query",
        jax="q, v = jnp.ones((1, 2, 1, 2)), jnp.eye(2)[None, :, None]\n"
        "mask = jnp.array([[True, False], [True, False]])[None, None]\n"
        "jax.nn.dot_product_attention(q, q, v, mask=mask)[0, 0, 0]",
        expect=lambda r: (
            [list(each) for each in r.pytorch] == [[0, 1], [0, 1]] and list(r.jax) == [1, 0]
        ),
        size=lambda r: f"weights {list(map(int, r.pytorch[0]))} against {list(map(int, r.jax))}",
        detect="Mask a single key and look at its weight.",
        fix="Convert with `~mask`. A `key_padding_mask` of shape [batch, keys] is "
        "`mask=~key_padding_mask[:, None, None, :]` in JAX.",
        sources=(
            SDPA,
            "https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html",
        ),
        symptoms=("a mask has the opposite effect", "differs only with padding"),
        calls=(
            *("F.scaled_dot_product_attention", "jax.nn.dot_product_attention"),
            *("nn.MultiheadAttention", "nnx.MultiHeadAttention", "nnx.dot_product_attention"),
            *("attn_mask", "key_padding_mask", "src_key_padding_mask"),
            "nn.TransformerEncoderLayer",
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
        symptoms=(
            *("the result changes from call to call", "training mode differs from evaluation"),
            *("accuracy differs", "checkpoint loads, outputs differ: right after loading"),
        ),
        calls=(
            *("F.scaled_dot_product_attention", "F.dropout", "nn.Dropout"),
            "jax.nn.dot_product_attention",
        ),
        bugs=("dropout_left_on",),
    ),
    Divergence(
        name="mask_of_numbers",
        title="A float mask is additive in PyTorch; Flax's mask= reads nonzero numbers as True",
        what="PyTorch adds a floating-point mask to the scores. Flax NNX reads every nonzero "
        "number in `mask=` as True, so the usual additive mask of 0 and -inf does exactly the "
        "opposite, without an error. jax.nn raises an error. The example hides the last of "
        "three keys and shows its weight, with a mask of 1.0 and 0.0, and with an additive "
        "mask:",
        pytorch="q = torch.tensor(np.random.default_rng(0).normal(size=(1, 1, 3, 2)))\n"
        "v = torch.tensor([[0.0, 0], [0, 0], [1, 0]], dtype=q.dtype)[None, None]\n"
        "masks = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, -torch.inf]], dtype=q.dtype)\n"
        "call = F.scaled_dot_product_attention\n"
        "[call(q, q, v, attn_mask=mask.expand(3, 3))[0, 0, 0, 0] for mask in masks]",
        jax="q = jnp.array(np.random.default_rng(0).normal(size=(1, 1, 3, 2))).swapaxes(1, 2)\n"
        "v = jnp.array([[0.0, 0], [0, 0], [1, 0]])[None, :, None]\n"
        "masks = jnp.array([[1.0, 1.0, 0.0], [0.0, 0.0, -jnp.inf]])\n"
        "call = nnx.dot_product_attention\n"
        "[call(q, q, v, mask=mask.reshape(1, 1, 1, 3))[0, 0, 0, 0] for mask in masks]",
        port="q, v = np.random.default_rng(0).normal(size=(2, 1, 3, 5, 2)).astype('f4')\n"
        "mask = np.triu(np.full((5, 5), -np.inf, 'f4'), 1)  # [batch, heads, steps, channels]\n"
        "to_torch, to_jax = torch.tensor, lambda each: jnp.array(each).swapaxes(1, 2)\n"
        "right = F.scaled_dot_product_attention(\n"
        "    to_torch(q), to_torch(q), to_torch(v), attn_mask=to_torch(mask))\n"
        "q, v = to_jax(q), to_jax(v)\n"
        "found = nnx.dot_product_attention(q, q, v, bias=mask[None, None])\n"
        "right, found.swapaxes(1, 2)",
        expect=lambda r: (
            r.pytorch[0] > 0.01 and r.pytorch[1] == 0 and r.jax[0] < 1e-6 and r.jax[1] == 1
        ),
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax[1]:g} with an additive mask",
        detect="Change a masked key. The output must not change.",
        fix="Use boolean masks in every framework. Pass an additive mask as `bias=` to jax.nn and "
        "nnx.dot_product_attention. nnx.MultiHeadAttention has no `bias=`: pass "
        "`mask=(additive_mask == 0)`.",
        sources=("https://github.com/pytorch/pytorch/issues/163026",),
        symptoms=("a mask has the opposite effect", "differs only with padding"),
        calls=(
            *("F.scaled_dot_product_attention", "nn.MultiheadAttention"),
            *("nnx.dot_product_attention", "nnx.MultiHeadAttention"),
            *("jax.nn.dot_product_attention", "attn_mask", "additive mask", "float mask"),
        ),
        libraries=("torch", "jax", "flax"),
    ),
)
