"""`python -m compare [VERB]`: the verbs, of which `run` is the default."""

import importlib
import os
import sys
from collections.abc import Sequence

from shared.cli import run_main
from shared.errors import UserError
from shared.training.processes import check_one_process

VERBS = {
    "run": "train side by side, evaluate everywhere, and say whether they agree (default)",
    "diff": "show the code side by side, the same step on one row",
    "page": "write one HTML file of a run: code, attention, drawing, training, speed",
    "diagnose": "say of any two programs of yours whether they differ by rounding or a bug",
    "trace": "send one batch through every form and judge each step by itself",
    "bench": "time every form of every implementation, forward and in training steps",
    "mutants": "plant every bug of the catalogue, and see that parity catches it",
    "divergences": "write docs/divergences.md: where the libraries part, and the planted bugs",
}


def main(args: Sequence[str]) -> int:
    """Hand the options to the verb's own module."""
    check_one_process(os.environ, "python -m compare")
    if args and not args[0].startswith("-"):
        verb, *options = args
        if verb not in VERBS:
            raise UserError(f"compare knows no verb {verb!r}: choose {' or '.join(VERBS)}.")
    else:
        verb, options = "run", list(args)
    if args[:1] and args[0] in ("-h", "--help"):
        lines = (f"  python -m compare {name:11} {about}" for name, about in VERBS.items())
        print("Verbs, each with its own --help:", *lines, sep="\n", file=sys.stderr)
    status: int = importlib.import_module(f"compare.{verb}.command").main(options)
    return status


if __name__ == "__main__":
    run_main(main)
