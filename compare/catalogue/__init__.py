"""Bugs that occur in ports, each as a small patch of one implementation."""

from compare.catalogue.attention import ATTENTION
from compare.catalogue.comparator import COMPARATOR
from compare.catalogue.data import DATA
from compare.catalogue.epochs import EPOCHS
from compare.catalogue.histogram import HISTOGRAM
from compare.catalogue.layers import LAYERS
from compare.catalogue.numbers import NUMBERS
from compare.catalogue.optimizer import OPTIMIZER
from compare.catalogue.plant import plant
from compare.catalogue.ported import PORTED
from compare.catalogue.records import Bug
from compare.catalogue.reports import REPORTS
from compare.catalogue.saved import SAVED
from compare.catalogue.scale import SCALE
from compare.catalogue.training import TRAINING

BUGS: tuple[Bug, ...] = (
    *SCALE,
    *HISTOGRAM,
    *ATTENTION,
    *LAYERS,
    *NUMBERS,
    *TRAINING,
    *OPTIMIZER,
    *EPOCHS,
    *DATA,
    *SAVED,
    *PORTED,
    *REPORTS,
    *COMPARATOR,
)

__all__ = ["BUGS", "Bug", "plant"]
