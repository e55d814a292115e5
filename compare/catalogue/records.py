"""What the catalogue says of a bug: where it stands, why people write it, and who must notice."""

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Place:
    """Where the same mistake is made once more, as in a port line by line."""

    package: str
    file: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Bug:
    """One way in which a port goes wrong, as a small patch of one file."""

    name: str  # snake_case, unique
    title: str  # one line
    package: str  # "pytorch_impl", "jax_impl", "numpy_reference", "shared" or "compare"
    file: str  # in the package's folder
    right: str  # text that occurs exactly once in the file
    wrong: str  # what stands in its place
    why: str  # why people write it
    sources: tuple[str, ...]  # public pages that say so
    check: str  # the check of compare.parity.checks.CHECKED that should catch it
    intermediate: str | None = (
        None  # the one of INTERMEDIATES that `trace` should name, if it is one
    )
    form: str = "vectorized"  # a form of attention in which it shows
    equivalent: str = ""  # where it computes the same all the same: the proof
    small: str = ""  # why float64 does not show it as 1,000 bounds, and which check does show it
    ported: tuple[Place, ...] = ()  # planted there too, so that the frameworks still agree

    def everywhere(self) -> list["Bug"]:
        """Return the bug at each place that it is planted in."""
        own = replace(self, ported=())
        return [own, *(replace(own, **asdict(place)) for place in self.ported)]
