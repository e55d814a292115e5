"""Where the libraries themselves part: every trap with code that shows it."""

from compare.divergences.traps.arrays import ARRAYS
from compare.divergences.traps.attention import ATTENTION
from compare.divergences.traps.dtypes import DTYPES
from compare.divergences.traps.gradients import GRADIENTS
from compare.divergences.traps.layers import LAYERS
from compare.divergences.traps.records import Results, Trap
from compare.divergences.traps.run import missing_library, run_trap
from compare.divergences.traps.training import TRAINING

# By subject, as the page has them.
SUBJECTS: dict[str, tuple[Trap, ...]] = {
    "Attention": ATTENTION,
    "Layers": LAYERS,
    "Losses, metrics and optimisers": TRAINING,
    "Gradients": GRADIENTS,
    "Arrays": ARRAYS,
    "Numbers": DTYPES,
}
TRAPS: tuple[Trap, ...] = tuple(trap for traps in SUBJECTS.values() for trap in traps)

__all__ = ["SUBJECTS", "TRAPS", "Results", "Trap", "missing_library", "run_trap"]
