"""`python -m jax_impl`: train the model, print every epoch, and test it."""

from functools import partial

import jax_impl
from jax_impl import distributed
from shared.cli import run_main
from shared.training.alone import train_alone

if __name__ == "__main__":
    run_main(partial(train_alone, jax_impl, distributed, "jax"))
