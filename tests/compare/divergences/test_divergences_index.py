"""The two indexes of docs/divergences.md hold every divergence, and lead to the right one."""

from pathlib import Path

import pytest

from compare.catalogue.divergences import DIVERGENCES
from compare.catalogue.divergences.records import SYMPTOMS, anchor_of
from compare.divergences.index import FIRST_ANSWERS, by_call, by_symptom, name_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "divergences.md"


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("conv", ("nn.Conv2d", "F.conv1d", "nnx.Conv")),
        ("multiheadattention", ("nn.MultiheadAttention", "nnx.MultiHeadAttention")),
        ("batchnorm", ("nn.BatchNorm1d", "nn.BatchNorm2d", "nnx.BatchNorm")),
        ("crossentropy", ("nn.CrossEntropyLoss", "F.cross_entropy")),
        ("adam", ("torch.optim.Adam", "optax.adam")),
    ],
)
def test_one_layer_of_several_libraries_is_one_line_of_the_index(name: str, calls: tuple[str, ...]):
    assert {name_of(call) for call in calls} == {name}
    assert sum(set(calls) <= set(row) for row, _ in by_call(DIVERGENCES)) == 1


QUESTIONS = [
    ("differs by 1e-3 on a GPU", "Dense", "tf32"),
    ("differs by 1e-3 on a GPU", "nn.Conv2d", "tf32_convolutions"),
    ("LayerNorm or another normalisation differs slightly", "nn.LayerNorm", "layer_norm"),
    ("LayerNorm or another normalisation differs slightly", "nnx.LayerNorm", "layer_norm_variance"),
    ("differs by 1e-6 to 1e-4", "elementwise_affine", "layer_norm"),
    ("training drifts: the optimiser", "torch.optim.Adam", "adam_bias_correction"),
    ("training drifts: the optimiser", "optax.adam", "adam_epsilon"),
    ("training drifts: the optimiser", "zero_grad", "unused_parameters"),
    ("training mode differs from evaluation", "model.eval", "evaluation_mode"),
    ("differs only with padding", "key_padding_mask", "masked_row"),
    ("accuracy differs", "nnx.metrics.Accuracy", "accuracy_by_class"),
    ("bfloat16 results differ", "bfloat16", "stored_or_computed"),
    ("a mask has the opposite effect", "nn.MultiheadAttention", "mask_polarity"),
    ("a mask has the opposite effect", "nnx.dot_product_attention", "mask_of_numbers"),
]


@pytest.mark.parametrize(("symptom", "call", "name"), QUESTIONS)
def test_a_question_is_answered_by_both_indexes(symptom: str, call: str, name: str):
    assert name in [each.name for each in by_symptom(DIVERGENCES)[symptom]]
    assert name in [
        each.name for calls, shown in by_call(DIVERGENCES) if call in calls for each in shown
    ]


@pytest.mark.parametrize("symptom", FIRST_ANSWERS)
def test_the_first_answer_to_a_symptom_comes_before_its_divergences(symptom: str):
    assert symptom in SYMPTOMS
    assert f"\n### {symptom}\n\n- {FIRST_ANSWERS[symptom]}\n- [" in PAGE.read_text()


def test_the_indexes_hold_every_divergence_and_every_symptom():
    symptoms = by_symptom(DIVERGENCES)
    assert tuple(symptoms) == SYMPTOMS
    names = {divergence.name for divergence in DIVERGENCES}
    assert {each.name for shown in symptoms.values() for each in shown} == names
    assert {each.name for _, shown in by_call(DIVERGENCES) for each in shown} == names
    index = PAGE.read_text().split("\n## Before you compare\n")[0]
    for divergence in DIVERGENCES:
        link = f"]({anchor_of(divergence.title)})"
        # By subject, by each of its symptoms, and by its calls.
        assert index.count(link) >= 2 + len(divergence.symptoms), divergence.name
        assert all(f"\n### {symptom}\n" in index for symptom in divergence.symptoms)
