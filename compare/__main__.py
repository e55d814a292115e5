"""`python -m compare [VERB]`: the verbs, of which `run` is the default."""

import importlib
import os
from collections.abc import Sequence
from difflib import get_close_matches

from shared.cli import run_main
from shared.errors import UserError
from shared.training.processes import check_one_process

VERBS = {
    "run": "train side by side and judge whether all agree (default)",
    "diff": "show the code side by side, the same step on one row",
    "page": "write a run as one HTML page",
    "diagnose": "tell rounding from a bug in two programs of your own",
    "trace": "judge every intermediate of every form by itself",
    "bench": "time every form of every implementation",
    "mutants": "plant every known bug and check that parity catches it",
    "divergences": "write docs/divergences.md, where the libraries differ",
}
HELP = ("-h", "--help", "help")


def main(args: Sequence[str]) -> int:
    """Hand the options to the verb's own module."""
    check_one_process(os.environ, "python -m compare")
    if args and args[0] in HELP:
        print(list_verbs())
        return 0
    verb, *options = args if args and not args[0].startswith("-") else ("run", *args)
    if verb not in VERBS:
        raise UserError(say_no_verb(verb))
    status: int = importlib.import_module(f"compare.{verb}.command").main(options)
    return status


def list_verbs() -> str:
    """Return the help of the whole command: one screen of 80 columns."""
    return "\n".join(
        (
            "usage: python -m compare [VERB] [OPTIONS]",
            "",
            "Compare the same attention model in PyTorch, JAX and NumPy.",
            "",
            "verbs:",
            *(f"  {name:12} {about}" for name, about in VERBS.items()),
            "",
            "python -m compare VERB --help lists the options of a verb.",
        )
    )


def say_no_verb(verb: str) -> str:
    """Say in one sentence that there is no such verb, and which may be meant."""
    close = get_close_matches(verb, VERBS, n=1)
    meant = f"did you mean {close[0]}?" if close else f"choose {' or '.join(VERBS)}."
    return f"compare has no verb {verb!r}: {meant}"


if __name__ == "__main__":
    run_main(main)
