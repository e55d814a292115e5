"""Where one might expect the libraries to part, and they do not."""

from typing import NamedTuple


class Agreement(NamedTuple):
    """Code that gives the same in both frameworks, up to rounding."""

    what: str
    pytorch: str
    jax: str


AGREEMENTS = (
    Agreement(
        "argmax takes the first of equal elements",
        "torch.tensor([1.0, 2.0, 2.0]).argmax()",
        "jnp.array([1.0, 2.0, 2.0]).argmax()",
    ),
    Agreement(
        "argmax takes NaN for the largest",
        'torch.tensor([1.0, float("nan"), 2.0]).argmax()',
        "jnp.array([1.0, jnp.nan, 2.0]).argmax()",
    ),
    Agreement(
        "halves are rounded to the even number",
        "torch.tensor([0.5, 1.5, 2.5]).round()",
        "jnp.round(jnp.array([0.5, 1.5, 2.5]))",
    ),
    Agreement(
        "the gradient of relu at 0 is 0",
        "x = torch.zeros(1, requires_grad=True)\nx.relu().backward()\nx.grad",
        "jax.grad(lambda x: jax.nn.relu(x).sum())(jnp.zeros(1))",
    ),
    Agreement(
        "three steps of plain Adam agree to five digits where gradients are ordinary",
        "w = torch.ones(1, requires_grad=True)\nadam = torch.optim.Adam([w], lr=0.1)\n"
        "for gradient in (1.0, -0.5, 2.0):\n    w.grad = torch.tensor([gradient])\n"
        "    adam.step()\nresult = w",
        "w, adam = jnp.ones(1), optax.adam(0.1)\nstate = adam.init(w)\n"
        "for gradient in (1.0, -0.5, 2.0):\n"
        "    step, state = adam.update(jnp.array([gradient]), state)\n    w += step\n"
        "result = w",
    ),
)
