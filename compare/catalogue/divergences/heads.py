"""Divergences of multi-head attention's weights and of rotary embeddings."""

from compare.catalogue.divergences.records import FLAX_DOCS, TORCH_DOCS, Divergence

HEADS = (
    Divergence(
        name="packed_weights",
        title="nn.MultiheadAttention packs three matrices, Flax stores them by head",
        what="in_proj_weight contains the query, key and value weights, stacked along the first "
        "axis, each [out, in]. A Flax kernel is [in, heads, channels], and the output kernel is "
        "[heads, channels, out]. Shapes with 4 channels and 2 heads:",
        pytorch="layer = nn.MultiheadAttention(4, 2)\n"
        "tuple(layer.in_proj_weight.shape), tuple(layer.out_proj.weight.shape)",
        jax="layer = nnx.MultiHeadAttention(2, 4, rngs=nnx.Rngs(0))\n"
        "layer.query.kernel.shape, layer.out.kernel.shape",
        port="inputs, heads = 6, 2\n"
        "layer = nn.MultiheadAttention(inputs, heads, batch_first=True).requires_grad_(False)\n"
        "port = nnx.MultiHeadAttention(heads, inputs, decode=False, rngs=nnx.Rngs(0))\n"
        "weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.normal_().chunk(3)\n"
        "for part, w, b in zip((port.query, port.key, port.value), weights, biases):\n"
        "    part.kernel[...] = w.T.reshape(inputs, heads, -1).numpy()\n"
        "    part.bias[...] = b.reshape(heads, -1).numpy()\n"
        "port.out.kernel[...] = layer.out_proj.weight.T.reshape(heads, -1, inputs).numpy()\n"
        "port.out.bias[...] = layer.out_proj.bias.numpy()\n"
        "x = torch.randn(2, 5, inputs)\n"
        "layer(x, x, x)[0], port(x.numpy())",
        expect=lambda r: r.pytorch == ((12, 4), (4, 4)) and r.jax == ((4, 2, 2), (2, 2, 4)),
        size=lambda r: f"{r.pytorch[0]} against three of {r.jax[0]}",
        detect="Zero the same head in both models and compare the outputs.",
        fix="Split weight and bias with `chunk(3)`. Transpose before you reshape. "
        "nnx.MultiHeadAttention needs `decode=False`; without it the first call raises an "
        "error.",
        sources=(TORCH_DOCS + "nn.MultiheadAttention.html", FLAX_DOCS + "attention.html"),
        symptoms=("shapes differ", "checkpoint loads, outputs differ: right after loading"),
        calls=("nn.MultiheadAttention", "nnx.MultiHeadAttention"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="batch_first",
        title="The first axis is steps in nn.MultiheadAttention, the batch in Flax",
        what="In PyTorch batch_first is False by default. An array [batch, steps, channels] "
        "raises no error, but every step attends to the other samples of the batch. The example "
        "shows whether sample 0 changes when sample 1 does:",
        pytorch="layer, x = nn.MultiheadAttention(2, 1), torch.ones(2, 3, 2)\n"
        "before = layer(x, x, x)[0][0]\nx[1] *= 2\n(layer(x, x, x)[0][0] != before).any().item()",
        jax="layer = nnx.MultiHeadAttention(1, 2, decode=False, rngs=nnx.Rngs(0))\n"
        "x = jnp.ones((2, 3, 2))\n"
        "bool((layer(x)[0] != layer(x.at[1].multiply(2))[0]).any())",
        expect=lambda r: r.pytorch is True and r.jax is False,
        size=lambda r: "the samples of a batch are mixed",
        detect="Change one sample of a batch. The outputs for the others must not change.",
        fix="Pass `batch_first=True` to nn.MultiheadAttention.",
        sources=(TORCH_DOCS + "nn.MultiheadAttention.html", FLAX_DOCS + "attention.html"),
        symptoms=("outputs differ by a few percent or more", "accuracy differs"),
        calls=("nn.MultiheadAttention", "nnx.MultiHeadAttention", "nn.TransformerEncoderLayer"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="causal_hint",
        title="is_causal is a hint in nn.MultiheadAttention and a mask in Flax",
        what="With is_causal=True, nn.MultiheadAttention needs `attn_mask` too, or raises an "
        "error. It applies that mask and ignores the hint, except with need_weights=False and no "
        "`key_padding_mask`: then it applies a causal mask and ignores `attn_mask`. In "
        "F.scaled_dot_product_attention, jax.nn and Flax NNX, is_causal=True is the mask. The "
        "example shows the weight of the second key for the first query; in PyTorch with the hint "
        "alone, then with a mask that hides nothing:",
        pytorch="layer, x = nn.MultiheadAttention(2, 1, batch_first=True), torch.ones(1, 2, 2)\n"
        "try:\n    layer(x, x, x, is_causal=True)\n"
        "except RuntimeError as error:\n    alone = str(error).split(' if ')[0]\n"
        "alone, layer(x, x, x, attn_mask=torch.zeros(2, 2), is_causal=True)[1][0, 0, 1]",
        jax="layer = nnx.MultiHeadAttention(1, 2, decode=False, rngs=nnx.Rngs(0))\n"
        "layer(jnp.ones((1, 2, 2)), is_causal=True, sow_weights=True)\n"
        "layer.attention_weights[0][0, 0, 0, 1]",
        expect=lambda r: r.pytorch[0] == "Need attn_mask" and r.pytorch[1] == 0.5 and r.jax == 0,
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax:g}",
        detect="Change the last step: the outputs before it must not change.",
        fix="Pass the causal mask as `attn_mask` too.",
        sources=(TORCH_DOCS + "nn.MultiheadAttention.html", FLAX_DOCS + "attention.html"),
        symptoms=("a mask has the opposite effect", "an error in one framework only"),
        calls=(
            *("nn.MultiheadAttention", "nnx.MultiHeadAttention", "is_causal", "attn_mask"),
            *("F.scaled_dot_product_attention", "nn.TransformerEncoderLayer"),
        ),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="mean_of_the_heads",
        title="nn.MultiheadAttention returns the mean of the attention weights over heads",
        what="`average_attn_weights=False` disables the mean. Flax stores the weights of every "
        "head if `sow_weights` is set. Shapes for 1 sample, 2 heads and 3 steps:",
        pytorch="layer, x = nn.MultiheadAttention(4, 2, batch_first=True), torch.ones(1, 3, 4)\n"
        "tuple(layer(x, x, x)[1].shape)",
        jax="layer = nnx.MultiHeadAttention(2, 4, decode=False, rngs=nnx.Rngs(0))\n"
        "layer(jnp.ones((1, 3, 4)), sow_weights=True)\n"
        "layer.attention_weights[0].shape",
        expect=lambda r: r.pytorch == (1, 3, 3) and r.jax == (1, 2, 3, 3),
        size=lambda r: f"{r.pytorch} against {r.jax}",
        detect="Compare the number of axes of the weights.",
        fix="Pass `average_attn_weights=False` to the layer call.",
        sources=(TORCH_DOCS + "nn.MultiheadAttention.html", FLAX_DOCS + "attention.html"),
        symptoms=("shapes differ",),
        calls=("nn.MultiheadAttention", "nnx.MultiHeadAttention"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="attention_dropout",
        title="Flax drops the same attention weights in every head and sample",
        what="`broadcast_dropout` is True by default: all heads and samples share one mask. "
        "PyTorch draws a mask for each head. Of 100 weights, the example counts those that are "
        "dropped in only one of two heads:",
        pytorch="torch.manual_seed(0)\n"
        "q, v = torch.zeros(1, 2, 10, 10), torch.eye(10).expand(1, 2, 10, 10)\n"
        "found = F.scaled_dot_product_attention(q, q, v, dropout_p=0.5) > 0\n"
        "(found[0, 0] != found[0, 1]).sum()",
        jax="q = jnp.zeros((1, 10, 2, 10))\n"
        "v = jnp.broadcast_to(jnp.eye(10)[None, :, None], q.shape)\n"
        "found = nnx.dot_product_attention(\n"
        "    q, q, v, dropout_rng=jax.random.key(0), dropout_rate=0.5) > 0\n"
        "(found[0, :, 0] != found[0, :, 1]).sum()",
        expect=lambda r: r.pytorch > 20 and r.jax == 0,
        size=lambda r: f"{int(r.pytorch)} against {int(r.jax)}",
        detect="Set the value to the identity matrix. The output then equals the weights.",
        fix="Pass `broadcast_dropout=False` to nnx.MultiHeadAttention.",
        sources=(FLAX_DOCS + "attention.html", TORCH_DOCS + "nn.MultiheadAttention.html"),
        symptoms=("training drifts: the data, dropout or dtype",),
        calls=(
            *("nn.MultiheadAttention", "F.scaled_dot_product_attention", "nn.Dropout"),
            *("nnx.MultiHeadAttention", "nnx.dot_product_attention", "nnx.Dropout"),
        ),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="rotary_pairs",
        title="Rotary embeddings pair either adjacent channels or the two halves",
        what="Meta's PyTorch code for LLaMA rotates channels 0 and 1 together, and 2 and 3. Most "
        "ports, in PyTorch and in JAX, rotate channels 0 and 2, and 1 and 3. Neither library has "
        "a function for it. Example with four channels, where the first pair is rotated by 90 "
        "degrees:",
        pytorch="x, angles = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([np.pi / 2, 0.0])\n"
        "turn = torch.polar(torch.ones(2), angles.float())\n"
        "torch.view_as_real(torch.view_as_complex(x.reshape(2, 2)) * turn).flatten().round()",
        jax="x, angles = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([np.pi / 2, 0.0])\n"
        "low, high = jnp.split(x, 2)\n"
        "cos, sin = jnp.cos(angles), jnp.sin(angles)\n"
        "jnp.concatenate([low * cos - high * sin, high * cos + low * sin]).round()",
        expect=lambda r: list(r.pytorch) == [-2, 1, 3, 4] and list(r.jax) == [-3, 2, 1, 4],
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="The outputs agree at position 0 and differ at all other positions.",
        fix="Permute the rows of the query and key weights when you load them, as Hugging Face's "
        "conversion does. Alternatively, use the checkpoint's pairing.",
        sources=(
            "https://github.com/huggingface/transformers/issues/25199",
            "https://github.com/Dao-AILab/flash-attention/issues/288",
        ),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "outputs differ by a few percent or more",
        ),
        calls=("rotary embedding", "RoPE"),
    ),
    Divergence(
        name="rotary_in_bfloat16",
        title="model.to(bfloat16) rounds the rotary frequencies, Flax's dtype does not",
        what="`model.to(torch.bfloat16)` converts buffers as well as parameters. The `dtype` of a "
        "Flax layer affects only that layer's own computation. The example shows the error of the "
        "angle at position 1,001 with frequency 0.3:",
        pytorch="model = nn.Module()\n"
        'model.register_buffer("frequency", torch.tensor(0.3))\n'
        "model.to(torch.bfloat16)\n"
        "abs(1001 * model.frequency.float() - 1001 * 0.3)",
        jax="layer = nnx.Linear(1, 1, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))\n"
        "layer.frequency = jnp.array(0.3)\n"
        "abs(1001 * layer.frequency - 1001 * 0.3)",
        expect=lambda r: r.pytorch > 0.1 and r.jax < 1e-3,
        size=lambda r: f"{r.pytorch:.2g} against {r.jax:.1g} radians",
        detect="Compare at position 1,000, not only at position 10.",
        fix="Compute positions, frequencies, sine and cosine in float32, and round the result.",
        sources=(
            "https://github.com/huggingface/transformers/pull/29285",
            "https://github.com/EleutherAI/gpt-neox/pull/1016",
        ),
        symptoms=("outputs differ by a few percent or more", "bfloat16 results differ"),
        calls=("rotary embedding", "RoPE", "nn.Module.to", "register_buffer"),
        libraries=("torch", "jax", "flax"),
    ),
)
