"""Bugs in reports: the numbers are right, and what is made of them is not."""

from compare.catalogue.records import Bug

REPORTS = (
    Bug(
        name="mean_for_median",
        title="The mean of the rounds is reported instead of the median",
        package="compare",
        file="bench/rows.py",
        right="from statistics import median",
        wrong="from statistics import mean as median",
        why="Both describe the centre, but a single round that another program disturbed changes "
        "the mean.",
        sources=(
            "https://docs.python.org/3/library/statistics.html#statistics.mean",
            "https://github.com/flix/flix/issues/465",
        ),
        check="reports",
    ),
    Bug(
        name="speedup_upside_down",
        title="The speed-up is inverted",
        package="compare",
        file="bench/rows.py",
        right="[a / b for a, b in zip(loop, timing.rounds, strict=True)]",
        wrong="[b / a for a, b in zip(loop, timing.rounds, strict=True)]",
        why="Ratios of times and ratios of rates are inverse to each other, and a table contains "
        "both.",
        sources=("https://en.wikipedia.org/wiki/Speedup",),
        check="reports",
    ),
    Bug(
        name="compilation_is_a_round",
        title="The first pass, which includes compilation, counts as a round",
        package="compare",
        file="bench/command.py",
        right="job: Timing(1000 * seconds / samples, samples, rounds[job])",
        wrong="job: Timing(\n"
        "            1000 * seconds / samples, samples, [1000 * seconds / samples, *rounds[job]]\n"
        "        )",
        why="Every pass is a measurement. In JAX the first takes seconds while the others take "
        "milliseconds; in PyTorch it does not.",
        sources=(
            "https://docs.jax.dev/en/latest/faq.html#benchmarking-jax-code",
            "https://github.com/ecmwf/anemoi-core/pull/1254",
        ),
        check="reports",
    ),
    Bug(
        name="test_of_anothers_parameters",
        title="The reported test result is for the parameters of the first implementation",
        package="compare",
        file="run/report.py",
        right="own = tests.get(name) or next(iter(tests.values()))",
        wrong="own = next(iter(tests.values()))",
        why="Every implementation is tested with the parameters of every implementation. The "
        "first entry is its own only for the first one. All then report the same accuracy, which "
        "looks like perfect parity.",
        sources=("https://github.com/pytorch/pytorch/issues/34765",),
        check="reports",
    ),
    Bug(
        name="mean_of_rates",
        title="Samples per second are the mean of the epochs' rates",
        package="compare",
        file="run/report.py",
        right='"samples_per_second": samples / seconds if epochs else None,',
        wrong='"samples_per_second": np.mean([epoch.samples_per_second for epoch in epochs])'
        " if epochs else None,",
        why="The mean gives fast and slow epochs the same weight, although a fast epoch takes "
        "less time. It is never less than the number of samples divided by the total time.",
        sources=("https://en.wikipedia.org/wiki/Harmonic_mean#Average_speed",),
        check="reports",
    ),
    Bug(
        name="bits_upside_down",
        title="Nats are multiplied by ln 2 to get bits",
        package="shared",
        file="training/alone.py",
        right="({loss / nats_per_bit:.4f} bits)",
        wrong="({loss * nats_per_bit:.4f} bits)",
        why="The direction is easily confused. A bit is 0.69 nats, so a loss has more bits than "
        "nats.",
        sources=("https://github.com/EleutherAI/lm-evaluation-harness/pull/242",),
        check="reports",
    ),
    Bug(
        name="drift_of_the_last_pair",
        title="The reported drift is only that of the last two implementations",
        package="compare",
        file="parity/verdict.py",
        right="{quantity: largest([drift[quantity], pair[quantity]]) for quantity in drift}",
        wrong="pair",
        why="The loop over pairs was written for two implementations, which have a single pair.",
        sources=("https://github.com/numaproj/numalogic/issues/53",),
        check="reports",
    ),
    Bug(
        name="error_ratio_of_the_last_comparison",
        title="The largest error ratio of a result is that of the last comparison",
        package="compare",
        file="parity/verdict.py",
        right="q: largest(c.error_ratio for c in each)",
        wrong="q: each[-1].error_ratio",
        why="The table has one number for each quantity, and each comparison overwrites it.",
        sources=("https://github.com/nntrainer/nntrainer/pull/435",),
        check="reports",
    ),
)
