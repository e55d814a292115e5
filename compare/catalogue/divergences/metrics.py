"""Divergences of metrics: how accuracies and means are counted."""

import numpy as np

from compare.catalogue.divergences.records import Divergence

METRICS = (
    Divergence(
        name="accuracy_by_class",
        title="TorchMetrics averages accuracy over classes, Flax over samples",
        what="MulticlassAccuracy averages over classes (macro) by default. nnx.metrics.Accuracy "
        "averages over samples. Example with four guesses of class 0, of which three are right:",
        pytorch="from torchmetrics.classification import MulticlassAccuracy\n"
        "metric = MulticlassAccuracy(3)\n"
        "metric(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 1]))",
        jax="metric, guesses = nnx.metrics.Accuracy(), jnp.array([0, 0, 0, 0])\n"
        "metric.update(logits=jax.nn.one_hot(guesses, 3), labels=jnp.array([0, 0, 0, 1]))\n"
        "metric.compute()",
        expect=lambda r: r.pytorch == 0.5 and r.jax == 0.75,
        size=lambda r: f"{r.pytorch:.0%} against {r.jax:.0%}",
        detect="Test with classes of unequal size.",
        fix='Use `MulticlassAccuracy(n, average="micro")`.',
        sources=(
            "https://github.com/Lightning-AI/torchmetrics/issues/2320",
            "https://github.com/microsoft/hi-ml/pull/671",
        ),
        symptoms=("accuracy differs",),
        calls=("MulticlassAccuracy", "nnx.metrics.Accuracy"),
        bugs=("macro_for_micro", "absent_classes_count"),
        libraries=("torch", "torchmetrics", "jax", "flax"),
    ),
    Divergence(
        name="accuracy_of_one_logit",
        title="With one logit per sample, Flax applies the threshold to the logit itself",
        what="TorchMetrics' BinaryAccuracy applies the sigmoid first, so its threshold of 0.5 "
        "corresponds to a logit of 0. nnx.metrics.Accuracy does not. Without `threshold`, it "
        "computes the argmax of a single number, which is always class 0. Example with three "
        "correct guesses, in Flax with threshold 0.5 and without:",
        pytorch="from torchmetrics.classification import BinaryAccuracy\n"
        "BinaryAccuracy()(torch.tensor([2.0, -1.0, 0.3]), torch.tensor([1, 0, 1]))",
        jax="logits, labels = jnp.array([2.0, -1.0, 0.3]), jnp.array([1, 0, 1])\n"
        "binary, without = nnx.metrics.Accuracy(threshold=0.5), nnx.metrics.Accuracy()\n"
        "binary.update(logits=logits, labels=labels)\n"
        "without.update(logits=logits[:, None], labels=labels)\n"
        "binary.compute(), without.compute()",
        expect=lambda r: bool(r.pytorch == 1 and np.allclose(r.jax, [2 / 3, 1 / 3])),
        size=lambda r: f"{r.pytorch:.0%} against {r.jax[0]:.0%} and {r.jax[1]:.0%}",
        detect="Test with a logit between 0 and 0.5.",
        fix="Use `nnx.metrics.Accuracy(threshold=0.0)`.",
        sources=(
            "https://github.com/google/flax/issues/4456",
            "https://github.com/google/flax/pull/4536",
        ),
        symptoms=("accuracy differs",),
        calls=("BinaryAccuracy", "nnx.metrics.Accuracy"),
        libraries=("torch", "torchmetrics", "jax", "flax"),
    ),
    Divergence(
        name="mean_of_nan",
        title="TorchMetrics' mean ignores NaN",
        what="MeanMetric drops NaN with a warning (`nan_strategy`). If the loss of some batches "
        "is NaN, the mean still looks good. Flax's Average returns NaN.",
        pytorch="from torchmetrics import MeanMetric\nmetric = MeanMetric()\n"
        'metric.update(torch.tensor([1.0, float("nan"), 3.0]))\nmetric.compute()',
        jax="metric = nnx.metrics.Average()\n"
        "metric.update(values=jnp.array([1.0, jnp.nan, 3.0]))\nmetric.compute()",
        expect=lambda r: bool(r.pytorch == 2 and np.isnan(r.jax)),
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Test with one NaN among the losses.",
        fix='Use `MeanMetric(nan_strategy="disable")` or "error".',
        sources=("https://github.com/Lightning-AI/torchmetrics/issues/1897",),
        symptoms=("NaN or infinity", "accuracy differs"),
        calls=("MeanMetric", "nnx.metrics.Average"),
        bugs=("nan_left_out_of_the_mean",),
        libraries=("torch", "torchmetrics", "jax", "flax"),
    ),
    Divergence(
        name="metric_of_all_processes",
        title="A TorchMetrics metric combines all processes",
        what="With several processes, `compute` waits for all of them and merges their states. If "
        "only the first process evaluates and calls it, it waits forever. If all processes "
        "evaluate the same images, every image counts several times. Flax's metrics do not "
        "communicate. In the example two functions simulate the second process.",
        pytorch="from torchmetrics import MeanMetric\n"
        "theirs = iter(torch.tensor([12.0, 2.0]))  # the other's sum and count\n"
        "gather = lambda mine, group: [mine, next(theirs)]\n"
        "metric = MeanMetric(distributed_available_fn=lambda: True, dist_sync_fn=gather)\n"
        "metric.update(torch.tensor([1.0, 3.0]))\nmetric.compute()",
        jax="metric = nnx.metrics.Average()\nmetric.update(values=jnp.array([1.0, 3.0]))\n"
        "metric.compute()",
        expect=lambda r: bool(r.pytorch == 4 and r.jax == 2),
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Look for a run with several processes that hangs at the end of an epoch.",
        fix="Pass `sync_on_compute=False` to the constructor. Setting it later has no effect.",
        sources=(
            "https://github.com/Lightning-AI/torchmetrics/issues/938",
            "https://lightning.ai/docs/torchmetrics/v1.4.0/references/metric.html",
        ),
        symptoms=("accuracy differs",),
        calls=("MeanMetric", "nnx.metrics.Average"),
        libraries=("torch", "torchmetrics", "jax", "flax"),
    ),
    Divergence(
        name="masked_average",
        title="Flax's Average counts a mask before broadcasting it",
        what="If the mask has one column and the values have two, the count is half of the number "
        "of values. The average of 1, 2, 3 and 4:",
        pytorch="values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])\n"
        "mask = torch.tensor([[True], [True]])\nvalues[mask.expand(2, 2)].mean()",
        jax="average = nnx.metrics.Average()\n"
        "values, mask = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[True]] * 2)\n"
        "average.update(values=values, mask=mask)\naverage.compute()",
        expect=lambda r: r.pytorch == 2.5 and r.jax == 5.0,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Test with a mask whose shape differs from that of the values.",
        fix="Call `jnp.broadcast_to(mask, values.shape)` first.",
        sources=("https://github.com/google/flax/issues/5588",),
        symptoms=(
            "accuracy differs",
            "a mask has the opposite effect",
            "differs only with padding",
        ),
        calls=("MeanMetric", "nnx.metrics.Average"),
        libraries=("torch", "jax", "flax"),
    ),
)
