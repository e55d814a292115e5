"""How people write the implementations that the page knows; another's name is shown as it is."""

DISPLAY_NAMES = {"pytorch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}


def display(name: str) -> str:
    """Give the name of an implementation as people write it."""
    return DISPLAY_NAMES.get(name, name)
