"""Bugs in the comparator: how a check comes to pass what is wrong."""

from compare.catalogue.records import Bug

GITHUB = "https://github.com"


def _bug(name: str, title: str, where: str, right: str, wrong: str, why: str, *sources: str) -> Bug:
    return Bug(name, title, "compare", where, right, wrong, why, sources, check="comparator")


COMPARATOR = (
    _bug(
        "largest_error_without_nan",
        "The largest error leaves NaN out",
        "parity/comparison.py",
        "float(np.max(ratio))",
        "float(np.nanmax(ratio))",
        "nanmax gets rid of a warning, and of the finding with it.",
        "https://numpy.org/doc/stable/reference/generated/numpy.nanmax.html",
    ),
    _bug(
        "nan_is_not_above_the_bound",
        "What is not above the bound passes, and NaN is above nothing",
        "parity/comparison.py",
        "return self.error_ratio <= 1",
        "return not self.error_ratio > 1",
        "`if error > tolerance: fail` is how one says it, and every comparison with NaN is false.",
        f"{GITHUB}/ralna/RALFit/issues/138",
        f"{GITHUB}/rtc-tools/rtc-tools/issues/1079",
    ),
    _bug(
        "nan_counts_as_no_error",
        "An error that is NaN counts as none",
        "expected/bounds.py",
        "np.where(error == 0, 0.0, error / bounded.bound)",
        "np.nan_to_num(error / bounded.bound, nan=0.0)",
        "0 / 0 has to become 0, and NaN becomes it too.",
        f"{GITHUB}/scipy/scipy/pull/10476",
    ),
    _bug(
        "difference_with_its_sign",
        "The difference is compared with its sign",
        "expected/bounds.py",
        "error = np.abs(np.asarray(found, dtype=np.float64) - bounded.value)",
        "error = np.asarray(found, dtype=np.float64) - bounded.value",
        "`(a - b).max() < tolerance` reads well, and whatever is too small passes.",
        f"{GITHUB}/horovod/horovod/issues/2055",
    ),
    _bug(
        "differences_summed_with_their_signs",
        "Signed differences are averaged, and cancel",
        "parity/comparison.py",
        "ratio = error_ratio(found, expected)",
        "ratio = np.abs((found - expected.value).mean()) / expected.bound",
        "A mean error is one number, and errors of both signs make it small.",
        f"{GITHUB}/horovod/horovod/issues/2055",
    ),
    _bug(
        "mean_error_instead_of_the_largest",
        "The mean of the errors is held against the bound, not the largest",
        "parity/comparison.py",
        "float(np.max(ratio))",
        "float(np.mean(ratio)) / 1e9",
        "An average hides the one number among thousands that is wrong; it is then lowered "
        "further until the suite is quiet.",
        f"{GITHUB}/huggingface/transformers/issues/17780",
    ),
    _bug(
        "shapes_only",
        "Shapes are compared, and nothing else",
        "parity/comparison.py",
        "ratio = error_ratio(found, expected)",
        "ratio = np.zeros(1)",
        "The first test of a port asks for the shape, and the second is never written.",
        f"{GITHUB}/huggingface/transformers/issues/15841",
    ),
    _bug(
        "shapes_not_compared",
        "Arrays of two shapes are broadcast against each other",
        "parity/comparison.py",
        "if np.shape(found) != expected.value.shape:",
        "if False:",
        "numpy.allclose broadcasts, where numpy.testing.assert_allclose refuses.",
        f"{GITHUB}/numpy/numpy/issues/9988",
        f"{GITHUB}/jax-ml/jax/pull/513",
    ),
    _bug(
        "checks_that_are_never_asked",
        "The checks are collected, and none is asked whether it passed",
        "parity/verdict.py",
        "all(each.passed for each in self.comparisons)",
        "all(each is not None for each in self.comparisons)",
        "An object is true, and so is a method that nobody calls.",
        f"{GITHUB}/allouis/minivents/pull/21",
    ),
    _bug(
        "any_check_is_enough",
        "One check that passes is enough",
        "parity/verdict.py",
        "all(each.passed for each in self.comparisons)",
        "any(each.passed for each in self.comparisons)",
        "any and all are one word apart.",
        "https://docs.python.org/3/library/functions.html#all",
    ),
    _bug(
        "no_checks_pass",
        "Where nothing is compared, parity holds",
        "parity/verdict.py",
        "bool(self.comparisons) and all(",
        "all(",
        "all() of nothing is true: a suite that was skipped is green.",
        "https://docs.python.org/3/library/functions.html#all",
        f"{GITHUB}/luthersystems/elps/issues/502",
    ),
    _bug(
        "exit_status_of_success",
        "The exit status is 0 also where a step breaks",
        "trace/command.py",
        "return 1 if sentence else 0",
        "return 0",
        "What was found is printed, and nobody who runs it in CI reads that.",
        f"{GITHUB}/nasa/cea/pull/147",
        f"{GITHUB}/Mbed-TLS/mbedtls/issues/2068",
    ),
    _bug(
        "compared_with_itself",
        "What was found is compared with itself",
        "parity/comparison.py",
        "ratio = error_ratio(found, expected)",
        "expected = Bounded(np.asarray(found), expected.bound, expected.size)\n"
        "    ratio = error_ratio(found, expected)",
        "Both sides of a test came from one call, or one array was written over by the other.",
        f"{GITHUB}/pytorch/pytorch/issues/34765",
    ),
    _bug(
        "largest_by_pythons_max",
        "Python's own max looks for the largest error",
        "parity/comparison.py",
        "return float(np.max(list(numbers)))",
        "return max(numbers)",
        "max([1.0, nan]) is 1.0 and max([nan, 1.0]) is nan: it depends on the order.",
        "https://docs.python.org/3/library/functions.html#max",
    ),
)
