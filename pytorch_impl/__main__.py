"""`python -m pytorch_impl`: train the model, print every epoch, and test it."""

from functools import partial

import pytorch_impl
from pytorch_impl import distributed
from shared.cli import run_main
from shared.training.alone import train_alone

if __name__ == "__main__":
    run_main(partial(train_alone, pytorch_impl, distributed, "pytorch"))
