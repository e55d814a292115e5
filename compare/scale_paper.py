"""What limits several processes, on paper: what they send in a step against what they compute.

In a ring all-reduce of n processes each sends, and receives, 2 (n - 1) / n times the gradient's
bytes, in 2 (n - 1) messages (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for
clusters of workstations", 2009). What is computed is what compare/machine.py counts, a share each.
"""

from dataclasses import dataclass
from math import prod

from compare.machine import work_of
from compare.markdown import table
from shared.params import param_shapes

# A network of 10 Gbit/s whose message takes 30 microseconds, and processes of 100 GFLOP/s: round
# numbers, to be put in one's own.
BANDWIDTH, LATENCY, RATE = 1.25e9, 30e-6, 1e11
CHANNELS, BATCHES, FORMS = (1, 16, 64, 256), (16, 256, 4096), ("histogram", "vectorized")
ITEMSIZE = 4  # bytes of a float32


@dataclass(frozen=True)
class Step:
    """A training step on paper."""

    form: str
    channels: int
    batch: int

    @property
    def gradient_bytes(self) -> int:
        """The size of the gradient by all parameters, in bytes."""
        shapes = param_shapes(784, self.channels, 10).values()
        return ITEMSIZE * sum(prod(shape) for shape in shapes)

    @property
    def operations(self) -> int:
        """What all processes together compute in a step, at the least."""
        return work_of(self.form, "step", self.batch, channels=self.channels).operations

    def compute_seconds(self, processes: int) -> float:
        """How long each process computes on its share of the batch.

        The histogram form's table of all levels is the same for the whole batch: no share of it.
        """
        own = work_of(self.form, "step", self.batch // processes, channels=self.channels)
        return own.operations / RATE

    def exchange_seconds(self, processes: int) -> float:
        """How long the gradients' all-reduce takes: its messages, and its bytes."""
        others = processes - 1
        moved = 2 * others / processes * self.gradient_bytes
        return 2 * others * LATENCY + moved / BANDWIDTH

    def speedup(self, processes: int) -> float:
        """How many times as fast so many processes are as one, if nothing overlaps."""
        together = self.compute_seconds(processes) + self.exchange_seconds(processes)
        return self.compute_seconds(1) / together

    def best(self, most: int = 1024) -> tuple[int, float]:
        """Find the number of processes, a power of two that divides the batch, that is fastest."""
        numbers = [2**k for k in range(most.bit_length()) if self.batch % 2**k == 0]
        return max(((n, self.speedup(n)) for n in numbers), key=lambda found: found[1])


def paper_table() -> str:
    """Make the table, in Markdown."""
    heads = ["form", "channels", "batch", "gradient, KB", "operations, millions"]
    heads += ["operations per byte", "2 processes", "8 processes", "best"]
    rows = []
    for form in FORMS:
        for channels in CHANNELS:
            for batch in BATCHES:
                step = Step(form, channels, batch)
                number, speedup = step.best()
                row = [f"`{form}`", channels, f"{batch:,}"]
                row += [f"{step.gradient_bytes / 1e3:,.0f}", f"{step.operations / 1e6:,.0f}"]
                row += [f"{step.operations / step.gradient_bytes:,.0f}"]
                row += [f"{step.speedup(2):.2g}x", f"{step.speedup(8):.2g}x"]
                row += [f"{speedup:.3g}x with {number:,}" if number > 1 else "one alone"]
                rows.append(row)
    return table(heads, rows)
