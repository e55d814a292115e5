"""Convert NumPy arrays for the JAX model and back: parameters, images and labels."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jax_impl.forms import ATTENTION, attend_histogram
from jax_impl.model import SelfAttentionModel
from shared.data.levels import LevelImages, read_images, to_levels, to_pixels
from shared.errors import UserError, check_choice
from shared.params import PARAM_NAMES, check_batch, read_params

DTYPES = ("float32", "float64", "bfloat16")
DEVICES = ("cpu", "cuda")
Images = Any  # an array, or LevelImages of arrays


def find_device(name: str) -> jax.Device:
    """Return the device called "cpu" or "cuda"; raise UserError if the machine has none."""
    check_choice("device", name, DEVICES)
    try:
        return jax.local_devices(backend=name)[0]
    except RuntimeError:
        advice = "--device cpu" if name != "cpu" else "JAX_PLATFORMS=cpu, or leave it unset"
        raise UserError(f"JAX finds no {name!r} device here: use {advice}.") from None


@contextmanager
def computing_in(dtype: str) -> Iterator[None]:
    """Compute in a dtype within the block, without changing the rest of the process.

    Without `jax_enable_x64` JAX turns float64 into float32; with it, optax rounds float32
    differently. By default a GPU rounds the factors of float32 products to TF32.
    """
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield


def from_params(
    params: Mapping[str, np.ndarray],
    attention: str = "looped",
    dtype: str = "float32",
    device: str = "cpu",
) -> SelfAttentionModel:
    """Check `params`, and build a model that holds a copy of them."""
    params, sizes = read_params(params)
    attend = ATTENTION[check_choice("attention", attention, ATTENTION)]
    check_choice("dtype", dtype, DTYPES)
    to = {"dtype": dtype, "device": find_device(device)}
    with computing_in(dtype):
        model = nnx.eval_shape(lambda: SelfAttentionModel(*sizes, attend, rngs=nnx.Rngs(0)))
        arrays = {name: jnp.array(array, **to) for name, array in params.items()}
        kernel, bias = arrays.pop("out.weight").T, arrays.pop("out.bias")
        nnx.update(model, {**arrays, "out": {"kernel": kernel, "bias": bias}})
    return model


def to_params(model: SelfAttentionModel) -> dict[str, np.ndarray]:
    """Return the parameters as copied NumPy arrays; `nnx.state()` itself aliases the live ones."""
    arrays = (model.K, model.Q, model.V, np.asarray(model.out.kernel).T, model.out.bias)
    return dict(zip(PARAM_NAMES, map(to_numpy, arrays), strict=True))


def to_batch(
    model: SelfAttentionModel, images: np.ndarray | LevelImages, labels: np.ndarray
) -> tuple[Images, Array]:
    """Return images and labels, copied, as the model takes them: in its form, dtype and device.

    Raises UserError unless images are [batch, steps, channels] and labels are classes.
    """
    channels, features = len(model.K), model.out.in_features
    size = (features // channels, channels)
    images = read_images(images)
    labels = check_batch(images.shape, labels, size, model.out.out_features)
    (device,) = model.K.devices()

    def copy(array: np.ndarray, dtype: Any = None) -> Array:
        # A private copy: JAX may alias its inputs, or read them later.
        return jax.device_put(np.array(array, dtype), device)

    targets = copy(labels)  # [batch]
    dtype = model.K.dtype
    if model.attend is not attend_histogram:
        return copy(to_pixels(images), dtype), targets
    x = to_levels(images)
    indices = copy(x.indices)  # [batch, steps]
    counts = copy(x.counts, dtype)  # [batch, levels]
    return LevelImages(indices, counts, copy(x.levels, dtype)), targets


def to_numpy(array: Any) -> np.ndarray:
    """Return an array as a NumPy copy; bfloat16, which NumPy lacks, becomes float32 exactly."""
    dtype = np.float32 if array.dtype == jnp.bfloat16 else array.dtype
    return np.array(array, dtype, order="C")  # as a file would give them back
