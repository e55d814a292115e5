"""The entries of the catalogue: the place of a bug, why people write it, and its check."""

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Place:
    """Another place of the same bug, as in a port line by line."""

    package: str
    file: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Bug:
    """A bug that occurs in ports, as a small patch of one file."""

    name: str  # snake_case, unique
    title: str  # one line
    package: str  # "pytorch_impl", "jax_impl", "numpy_reference", "shared" or "compare"
    file: str  # in the package's folder
    right: str  # text that occurs exactly once in the file
    wrong: str  # the text that replaces it
    why: str  # why people write it
    sources: tuple[str, ...]  # public pages about it
    check: str  # the check of compare.parity.checks.CHECKED that should catch it
    intermediate: str | None = None  # the intermediate that `trace` should name, if any
    form: str = "vectorized"  # a form of attention in which it shows
    equivalent: str = ""  # the proof that it changes nothing with one channel
    small: str = ""  # why its error is below 1,000 bounds in float64, and which check shows it
    ported: tuple[Place, ...] = ()  # other places where it is planted, so that the frameworks agree

    def everywhere(self) -> list["Bug"]:
        """Return the bug at each place that it is planted in."""
        own = replace(self, ported=())
        return [own, *(replace(own, **asdict(place)) for place in self.ported)]
