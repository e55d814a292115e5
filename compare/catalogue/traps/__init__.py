"""Where the libraries themselves part: every trap with code that shows it."""

from compare.catalogue.traps.arrays import ARRAYS
from compare.catalogue.traps.attention import ATTENTION
from compare.catalogue.traps.dtypes import DTYPES
from compare.catalogue.traps.gradients import GRADIENTS
from compare.catalogue.traps.layers import LAYERS
from compare.catalogue.traps.records import Results, Trap
from compare.catalogue.traps.run import missing_library, run_trap
from compare.catalogue.traps.training import TRAINING

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
