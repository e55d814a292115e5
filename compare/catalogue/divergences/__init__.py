"""Where the libraries themselves part: every divergence with code that shows it."""

from compare.catalogue.divergences.arrays import ARRAYS
from compare.catalogue.divergences.attention import ATTENTION
from compare.catalogue.divergences.dtypes import DTYPES
from compare.catalogue.divergences.gradients import GRADIENTS
from compare.catalogue.divergences.layers import LAYERS
from compare.catalogue.divergences.metrics import METRICS
from compare.catalogue.divergences.records import Divergence, Results
from compare.catalogue.divergences.run import missing_library, run_divergence
from compare.catalogue.divergences.training import TRAINING

# By subject, as the page has them.
SUBJECTS: dict[str, tuple[Divergence, ...]] = {
    "Attention": ATTENTION,
    "Layers": LAYERS,
    "Losses and optimisers": TRAINING,
    "Metrics": METRICS,
    "Gradients": GRADIENTS,
    "Arrays": ARRAYS,
    "Numbers": DTYPES,
}
DIVERGENCES: tuple[Divergence, ...] = tuple(each for group in SUBJECTS.values() for each in group)

__all__ = ["DIVERGENCES", "SUBJECTS", "Divergence", "Results", "missing_library", "run_divergence"]
