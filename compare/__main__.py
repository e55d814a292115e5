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
    "page": "write one HTML page that shows a run",
    "diagnose": "tell rounding from a bug in two programs of your own",
    "trace": "compare every intermediate with its exact value",
    "bench": "time every form of the attention",
    "mutants": "plant known bugs and test that the checks catch them",
    "divergences": "write docs/divergences.md, where the libraries differ",
}
HELP = ("-h", "--help", "help")


def main(args: Sequence[str]) -> int:
    """Run the verb with its options; return the exit status."""
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
    """Return the error sentence for an unknown verb, with the closest verb if there is one."""
    close = get_close_matches(verb, VERBS, n=1)
    meant = f"did you mean {close[0]}?" if close else f"choose {' or '.join(VERBS)}."
    return f"compare has no verb {verb!r}: {meant}"


if __name__ == "__main__":
    run_main(main)
