"""Where one might expect the libraries to part, and they do not."""

from typing import NamedTuple


class Agreement(NamedTuple):
    """Code that gives the same in both frameworks, up to rounding."""

    what: str
    pytorch: str
    jax: str


AGREEMENTS = (
    Agreement(
        "a GRU packs its gates in the order reset, update, new, and interpolates in the same way",
        "cell = nn.GRUCell(2, 1)\n"
        "cell.weight_ih.data = torch.tensor([[1.0, 2.0], [-3.0, 1.0], [0.5, 0.1]])\n"
        "cell.weight_hh.data = torch.tensor([[0.3], [-0.7], [0.9]])\n"
        "cell.bias_ih.data, cell.bias_hh.data = torch.tensor([0.1, 0.2, 0.3]), torch.zeros(3)\n"
        "cell(torch.tensor([[0.4, -0.2]]), torch.tensor([[0.6]]))",
        "cell = nnx.GRUCell(2, 1, rngs=nnx.Rngs(0))\n"
        "cell.dense_i.kernel[...] = jnp.array([[1.0, 2.0], [-3.0, 1.0], [0.5, 0.1]]).T\n"
        "cell.dense_h.kernel[...] = jnp.array([[0.3], [-0.7], [0.9]]).T\n"
        "cell.dense_i.bias[...] = jnp.array([0.1, 0.2, 0.3])\n"
        "cell(jnp.array([[0.6]]), jnp.array([[0.4, -0.2]]))[0]",
    ),
    Agreement(
        "nn.LSTMCell and nnx.OptimizedLSTMCell pack their gates in the order i, f, g, o",
        "cell = nn.LSTMCell(1, 1)\n"
        "cell.weight_ih.data = torch.tensor([[1.0], [-3.0], [0.5], [2.0]])\n"
        "cell.weight_hh.data = torch.tensor([[0.3], [-0.7], [0.9], [-0.2]])\n"
        "cell.bias_ih.data, cell.bias_hh.data = torch.zeros(4), torch.zeros(4)\n"
        "h, c = cell(torch.tensor([[0.4]]), (torch.tensor([[0.6]]), torch.tensor([[-0.5]])))\n"
        "torch.cat([h, c])",
        "cell = nnx.OptimizedLSTMCell(1, 1, rngs=nnx.Rngs(0))\n"
        "cell.dense_i.kernel[...] = jnp.array([[1.0, -3.0, 0.5, 2.0]])\n"
        "cell.dense_h.kernel[...] = jnp.array([[0.3, -0.7, 0.9, -0.2]])\n"
        "(c, h), _ = cell((jnp.array([[-0.5]]), jnp.array([[0.6]])), jnp.array([[0.4]]))\n"
        "jnp.concatenate([h, c])",
    ),
    Agreement(
        "argmax returns the first of several equal elements",
        "torch.tensor([1.0, 2.0, 2.0]).argmax()",
        "jnp.array([1.0, 2.0, 2.0]).argmax()",
    ),
    Agreement(
        "argmax treats NaN as the largest element",
        'torch.tensor([1.0, float("nan"), 2.0]).argmax()',
        "jnp.array([1.0, jnp.nan, 2.0]).argmax()",
    ),
    Agreement(
        "round rounds halves to the nearest even number",
        "torch.tensor([0.5, 1.5, 2.5]).round()",
        "jnp.round(jnp.array([0.5, 1.5, 2.5]))",
    ),
    Agreement(
        "the gradient of relu at 0 is 0",
        "x = torch.zeros(1, requires_grad=True)\nx.relu().backward()\nx.grad",
        "jax.grad(lambda x: jax.nn.relu(x).sum())(jnp.zeros(1))",
    ),
    Agreement(
        "average pooling includes the padding by default",
        "F.avg_pool1d(torch.ones(1, 1, 4), 2, stride=2, padding=1).flatten()",
        "nnx.avg_pool(jnp.ones((1, 4, 1)), (2,), strides=(2,), padding=[(1, 1)]).flatten()",
    ),
    Agreement(
        "leaky_relu has a default slope of 0.01",
        "F.leaky_relu(torch.tensor([-1.0, 1.0]))",
        "jax.nn.leaky_relu(jnp.array([-1.0, 1.0]))",
    ),
    Agreement(
        "F.hardswish and jax.nn.hard_swish compute the same function",
        "F.hardswish(torch.linspace(-4, 4, 9))",
        "jax.nn.hard_swish(jnp.linspace(-4, 4, 9))",
    ),
    Agreement(
        "dropout scales the remaining values by 1 / (1 - p)",
        "F.dropout(torch.ones(1000), 0.5).max()",
        "nnx.Dropout(0.5, rngs=nnx.Rngs(0))(jnp.ones(1000)).max()",
    ),
    Agreement(
        "is_causal with fewer queries than keys aligns the first query with the first key",
        "q, k = torch.ones(1, 1, 1, 1), torch.ones(1, 1, 3, 1)\n"
        "v = torch.tensor([1.0, 2.0, 4.0])[None, None, :, None]\n"
        "F.scaled_dot_product_attention(q, k, v, is_causal=True).flatten()",
        "q, k = jnp.ones((1, 1, 1, 1)), jnp.ones((1, 3, 1, 1))\n"
        "v = jnp.array([1.0, 2.0, 4.0])[None, :, None, None]\n"
        "jax.nn.dot_product_attention(q, k, v, is_causal=True).flatten()",
    ),
    Agreement(
        "SGD with momentum takes the same steps, with Nesterov's too",
        "w = torch.ones(1, requires_grad=True)\n"
        "sgd = torch.optim.SGD([w], lr=0.1, momentum=0.9, nesterov=True)\n"
        "for gradient in (1.0, -0.5, 2.0):\n    w.grad = torch.tensor([gradient])\n"
        "    sgd.step()\nresult = w",
        "w, sgd = jnp.ones(1), optax.sgd(0.1, momentum=0.9, nesterov=True)\nstate = sgd.init(w)\n"
        "for gradient in (1.0, -0.5, 2.0):\n"
        "    step, state = sgd.update(jnp.array([gradient]), state)\n    w += step\n"
        "result = w",
    ),
    Agreement(
        "three steps of plain Adam agree to five digits for gradients of ordinary size",
        "w = torch.ones(1, requires_grad=True)\nadam = torch.optim.Adam([w], lr=0.1)\n"
        "for gradient in (1.0, -0.5, 2.0):\n    w.grad = torch.tensor([gradient])\n"
        "    adam.step()\nresult = w",
        "w, adam = jnp.ones(1), optax.adam(0.1)\nstate = adam.init(w)\n"
        "for gradient in (1.0, -0.5, 2.0):\n"
        "    step, state = adam.update(jnp.array([gradient]), state)\n    w += step\n"
        "result = w",
    ),
)
