"""What the catalogue says of a bug: where it stands, why people write it, and who must notice."""

from dataclasses import dataclass

# What the parity suite claims of an implementation; each bug names the claim that should catch it.
CLAIMS = {
    "steps": "every named step of the forward pass, by itself, is within its rounding bound",
    "logits": "the logits of `evaluate` are within their bound since the start",
    "loss": "the mean loss of `evaluate` is within its bound, a short last batch included",
    "accuracy": "accuracy, micro and macro, is exact: ties, absent and unbalanced classes",
    "gradients": "`loss_and_gradients` gives the gradient of the mean loss by every parameter",
    "adam": "a few steps of `train` are Adam by hand in float64, parameters and both moments",
    "trajectory": "500 float64 steps of `train` stay with the same training in NumPy",
    "epochs": "every epoch takes its own batches, and reports what happened in it",
    "parameters": "parameters go in and out unchanged, as copies, in the dtype asked for",
    "inputs": "huge scores stay finite, NaN shows, and numbers too small to be normal are kept",
    "labels": "a label out of range is refused",
    "comparator": "the comparator fails what is wrong, whatever its kind, and passes what is right",
    "data": "pixels, labels, statistics and first weights are what `shared` says they are",
}
STEPS = ("query", "key", "value", "scores", "weights", "attended", "logits", "loss")


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
    claim: str  # the claim of CLAIMS that should catch it
    step: str | None = None  # the step of STEPS that a trace should name, if it is one
    form: str = "textbook"  # a form of attention in which it shows
    equivalent: str = ""  # where it computes the same all the same: the proof
    small: str = ""  # why float64 does not show it as 1,000 bounds, and which claim does show it
