"""Losses: a single number in the end, however it is taken together."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import torch.nn.functional as F
from ports import Bug, draw, normal, ports

CLASSES = 7


def logits_and_labels(rng):
    labels = rng.integers(0, CLASSES, size=(3, 5))
    labels[0, 3:] = labels[2, 1:3] = -100
    return rng.normal(size=(3, 5, CLASSES)).astype(np.float32), labels


def cross_entropy():
    return lambda logits, labels: F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1
    )


def smoothed_by_optax(bug):
    def objective(scores, truth):
        counted = truth >= 0
        wanted = jax.nn.one_hot(jnp.where(counted, truth, 0), CLASSES, dtype=scores.dtype)
        if bug == "smoothed over the others":
            soft = wanted * 0.9 + (1 - wanted) * 0.1 / (CLASSES - 1)
        else:
            soft = optax.smooth_labels(wanted, 0.0 if bug == "not smoothed" else 0.1)
        each = optax.softmax_cross_entropy(scores, soft)
        if bug == "softmax over the steps":
            each = -(soft * jax.nn.log_softmax(scores, axis=1)).sum(-1)
        kept = each if bug == "ignored ones counted" else each * counted
        whole = kept.sum()
        if bug == "mean of the means":
            return (kept.sum(1) / counted.sum(1)).mean()
        count = each.size if bug == "divided by all" else counted.sum()
        return whole if bug == "sum for mean" else whole / count

    return objective


def weighted_binary():
    weight = torch.from_numpy(np.abs(draw(800, 5)) + 1)
    return lambda z, y: F.binary_cross_entropy_with_logits(z, y, pos_weight=weight)


def weighted_in_numpy(bug):
    weight = np.abs(draw(800, 5)) + 1

    def softplus(v):
        return np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v)))

    def cost(raw, truth):
        yes, no = truth * softplus(-raw), (1 - truth) * softplus(raw)
        if bug == "targets the other way":
            yes, no = (1 - truth) * softplus(-raw), truth * softplus(raw)
        both = yes + no * weight if bug == "weight on the negatives" else yes * weight + no
        if bug == "divided by the weights":
            return both.sum() / (weight * np.ones_like(raw)).sum()
        return both.sum(-1).mean() if bug == "sum over the outputs" else both.mean()

    return cost


def yes_and_no(rng):
    raw = rng.normal(size=(4, 5)).astype(np.float32)
    return raw, (rng.random((4, 5)) < 0.4).astype(np.float32)


def contrastive():
    """CLIP's loss, both ways."""

    def clip_loss(image, text):
        image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
        logits = 14.3 * image @ text.T
        target = torch.arange(len(image))
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

    return clip_loss


def contrastive_in_jax(bug):
    def objective(pictures, captions):
        a, b = (v / jnp.linalg.norm(v, axis=-1, keepdims=True) for v in (pictures, captions))
        if bug == "captions not normalized":
            b = captions
        likeness = a @ b.T if bug == "temperature forgotten" else 14.3 * (a @ b.T)
        rows = -jnp.diag(jax.nn.log_softmax(likeness, axis=1))
        columns = -jnp.diag(jax.nn.log_softmax(likeness, axis=1 if bug == "one way twice" else 0))
        if bug == "one way only":
            return rows.mean()
        return 0.5 * (rows.mean() + columns.mean())

    return objective


def distilled():
    """Two losses in one dict: of the teacher's words and of the distance of features."""

    def losses(student, teacher):
        kl = F.kl_div(
            F.log_softmax(student / 2, -1), F.log_softmax(teacher / 2, -1),
            log_target=True, reduction="batchmean",
        )  # fmt: skip
        return {"kl": 4 * kl, "huber": F.smooth_l1_loss(student, teacher, beta=0.5)}

    return losses


def distilled_in_jax(bug):
    def losses(small, big):
        told, said = (jax.nn.log_softmax(v / 2) for v in (big, small))
        if bug == "divergence the other way":
            told, said = said, told
        apart = (jnp.exp(told) * (told - said)).sum(-1)
        divergence = (1 if bug == "temperature not squared" else 4) * apart.mean()
        distance = optax.huber_loss(small, big, delta=0.5) / 0.5
        if bug == "Huber for smooth L1":
            distance = optax.huber_loss(small, big, delta=0.5)
        return {"huber": distance.mean(), "kl": divergence}

    return losses


PORTS = (
    *ports(
        "loss/cross entropy, optax",
        cross_entropy,
        smoothed_by_optax,
        logits_and_labels,
        Bug("smoothed over the others", ("soft", "each", "objective")),
        Bug("not smoothed", ("soft", "each", "objective")),
        Bug("softmax over the steps", ("each", "objective")),
        Bug("ignored ones counted", ("kept", "whole", "objective")),
        Bug("mean of the means", ("objective returns", "output")),
        Bug("divided by all", ("objective returns", "output")),
        Bug("sum for mean", ("objective returns", "output")),
    ),
    *ports(
        "loss/weighted binary, NumPy",
        weighted_binary,
        weighted_in_numpy,
        yes_and_no,
        Bug("targets the other way", ("yes", "no in", "both", "cost returns")),
        Bug("weight on the negatives", ("both", "cost returns")),
        Bug("divided by the weights", ("cost returns", "output")),
        Bug("sum over the outputs", ("cost returns", "output")),
    ),
    *ports(
        "loss/contrastive, JAX",
        contrastive,
        contrastive_in_jax,
        normal((5, 11), (5, 11)),
        Bug("captions not normalized", ("likeness", "F.normalize(text")),
        Bug("temperature forgotten", ("likeness",)),
        Bug("one way twice", ("columns", "logits.T", "objective returns")),
        Bug("one way only", ("objective returns", "F.cross_entropy(logits.T")),
    ),
    *ports(
        "loss/distilled, optax",
        distilled,
        distilled_in_jax,
        normal((4, 7), (4, 7)),
        Bug("divergence the other way", ("apart", "kl", "divergence")),
        Bug("temperature not squared", ("divergence", "kl")),
        Bug("Huber for smooth L1", ("distance", "huber")),
    ),
)
