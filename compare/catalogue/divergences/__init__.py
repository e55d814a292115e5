"""Where the libraries themselves part: every divergence with code that shows it."""

from compare.catalogue.divergences.arrays import ARRAYS
from compare.catalogue.divergences.attention import ATTENTION
from compare.catalogue.divergences.bfloat16 import BFLOAT16
from compare.catalogue.divergences.checkpoints import CHECKPOINTS
from compare.catalogue.divergences.convolution import CONVOLUTION
from compare.catalogue.divergences.data import DATA
from compare.catalogue.divergences.dtypes import DTYPES
from compare.catalogue.divergences.embeddings import EMBEDDINGS
from compare.catalogue.divergences.gradients import GRADIENTS
from compare.catalogue.divergences.heads import HEADS
from compare.catalogue.divergences.layers import LAYERS
from compare.catalogue.divergences.losses import LOSSES
from compare.catalogue.divergences.metrics import METRICS
from compare.catalogue.divergences.norms import NORMS
from compare.catalogue.divergences.records import Divergence, Results
from compare.catalogue.divergences.recurrent import RECURRENT
from compare.catalogue.divergences.run import missing_library, run_divergence
from compare.catalogue.divergences.training import TRAINING
from compare.catalogue.divergences.updates import UPDATES

# By subject, as the page has them.
SUBJECTS: dict[str, tuple[Divergence, ...]] = {
    "Attention": ATTENTION,
    "Heads and rotary embeddings": HEADS,
    "Linear layers and activations": LAYERS,
    "Normalisation": NORMS,
    "Convolution and pooling": CONVOLUTION,
    "Embeddings": EMBEDDINGS,
    "Recurrent layers, PReLU and dropout": RECURRENT,
    "Losses and optimisers": (*TRAINING, *UPDATES, *LOSSES),
    "Metrics": METRICS,
    "Gradients": GRADIENTS,
    "Data": DATA,
    "Checkpoints": CHECKPOINTS,
    "Arrays": ARRAYS,
    "Numbers": DTYPES,
    "Computing in bfloat16": BFLOAT16,
}
DIVERGENCES: tuple[Divergence, ...] = tuple(each for group in SUBJECTS.values() for each in group)

__all__ = ["DIVERGENCES", "SUBJECTS", "Divergence", "Results", "missing_library", "run_divergence"]
