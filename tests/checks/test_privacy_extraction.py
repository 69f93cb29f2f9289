"""privacy.extraction: a model whose answers tell more than labels, and one whose do not."""

from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import ToyModel, box, linear
from exposed_subjects import scaled
from judged import outcome
from privacy_toys import Labels, audited, deaf, persons
from scored_subjects import ends, measured, names, read, stored

from auditor.checks.privacy.extraction import CHECK as EXTRACTION
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading
from auditor.domain.tasks import Floats

FEW = {"queries": (40, 120)}
AT = {"strategy": "mixup", "queries": 120}


def linear_audit(noise: float, rows: int = 800, **fields: object) -> Subject:
    """A linear model, and labels of which a share is drawn by lot."""
    model, _, weights, bias = linear(3, 5, 3)
    rng = np.random.default_rng(5)
    inputs = rng.random((rows, 5))
    labels = (inputs @ weights + bias).argmax(axis=1)
    labels = np.where(rng.random(rows) < noise, rng.integers(0, 3, rows), labels)
    samples = {DatasetRole.EVALUATION: (inputs, labels.astype(np.int64))}
    return audited(model, box((5,)), samples, 3, **fields)


def at(found: tuple[Reading, ...], metric: str):  # noqa: ANN201 -- a measurement
    return next(it for it in found if it.metric == metric and it.params == AT)


def test_answers_that_tell_more_than_noisy_labels_make_a_better_copy() -> None:
    found = read(EXTRACTION(**FEW), linear_audit(0.5))
    fidelity, gain = at(found, "fidelity"), at(found, "gain_over_labels")
    assert fidelity.bound is BoundKind.AT_LEAST
    assert ends(fidelity)[0] > 0.9
    assert ends(gain)[0] > 0
    assert gain.value == pytest.approx(fidelity.value - gain.details["taught_by_labels"])
    assert measured(found, "verdict").value == "shown"


@pytest.mark.parametrize("factor", [1 / 400, 400.0])
def test_logits_that_are_multiplied_are_copied_all_the_same(factor: float) -> None:
    found = read(EXTRACTION(**FEW), scaled(linear_audit(0.5), factor))
    assert at(found, "fidelity").value > 0.88
    assert measured(found, "verdict").value == "shown"


def test_answers_that_are_the_labels_give_nothing_beyond_them() -> None:
    """The model gives labels alone, and all of them are right."""
    subject = linear_audit(0.0)
    model = subject.model
    assert isinstance(model, ToyModel)
    logits = model.logits
    sharp = ToyModel(lambda x: 1e3 * np.eye(3)[logits(x).argmax(axis=1)])
    check = EXTRACTION(**FEW, strategies=("knockoff",))
    found = read(check, replace(subject, model=sharp))
    assert measured(found, "verdict").value == "no evidence at this power"
    gains = [it for it in found if it.metric == "gain_over_labels"]
    assert all(it.value == 0 for it in gains)


def test_the_most_faithful_copy_that_labels_taught_is_the_one_to_beat() -> None:
    seen = stored(EXTRACTION(**FEW), linear_audit(0.3))
    labels, target = np.asarray(seen["labels"]), np.asarray(seen["target"])
    found = read(EXTRACTION(**FEW), linear_audit(0.3))
    best = (labels == target).mean(axis=1).max()
    assert at(found, "gain_over_labels").details["taught_by_labels"] == best


def test_a_guess_of_the_commonest_label_is_to_be_beaten_too() -> None:
    """Nearly all rows are decided alike, and labels that are mostly noise teach less than that."""
    model = ToyModel(lambda x: np.stack([x[:, 0] - 0.05, 0.05 - x[:, 0]], axis=1) * 4)
    rng = np.random.default_rng(2)
    inputs = rng.random((600, 5))
    labels = (rng.random(600) < 0.45).astype(np.int64)
    found = read(
        EXTRACTION(**FEW), audited(model, box((5,)), {DatasetRole.EVALUATION: (inputs, labels)}, 2)
    )
    gain = at(found, "gain_over_labels")
    assert gain.details["taught_by_labels"] >= gain.details["commonest_decision"] > 0.9


def test_a_copy_of_a_constant_is_as_good_as_a_guess() -> None:
    subject = replace(
        linear_audit(0.0), model=ToyModel(lambda x: np.tile([0.0, 9.0, 0.0], (len(x), 1)))
    )
    found = read(EXTRACTION(**FEW), subject)
    fidelity = at(found, "fidelity")
    assert fidelity.value == fidelity.details["commonest_decision"] == 1.0


def test_a_wild_model_is_not_copied() -> None:
    def wild(rows: Floats) -> Floats:
        cells = np.floor(rows * 8).sum(axis=1).astype(int) * 7919 % 3
        return 5.0 * np.eye(3)[cells]

    found = read(EXTRACTION(**FEW), replace(linear_audit(0.0), model=ToyModel(wild)))
    assert ends(at(found, "fidelity"))[1] < 0.7


def test_natural_rows_that_are_not_there_are_a_gap_and_mixtures_are_not() -> None:
    found = read(EXTRACTION(queries=(50, 600)), linear_audit(0.3))
    lacking = [it for it in found if isinstance(it, Gap)]
    assert {it.metric for it in lacking} == {"fidelity", "gain_over_labels"}
    assert all(it.params == {"strategy": "knockoff", "queries": 600} for it in lacking)
    assert names(found).count("fidelity") == 4


def test_reference_data_are_what_the_attacker_asks_about() -> None:
    subject = linear_audit(0.3)
    data = subject.datasets[DatasetRole.EVALUATION]
    reference = replace(data, role=DatasetRole.REFERENCE)
    both = replace(subject, datasets={**subject.datasets, DatasetRole.REFERENCE: reference})
    assert at(read(EXTRACTION(**FEW), both), "fidelity").n == 800 - 120, (
        "what was asked is left out"
    )
    fresh = replace(reference, inputs=1 - np.asarray(data.inputs), labels=None)
    found = read(
        EXTRACTION(**FEW),
        replace(subject, datasets={**subject.datasets, DatasetRole.REFERENCE: fresh}),
    )
    assert at(found, "fidelity").n == 800
    assert isinstance(at(found, "gain_over_labels"), Gap)
    assert measured(found, "verdict").value == "inconclusive"


def test_rows_of_one_person_widen_the_interval() -> None:
    subject = linear_audit(0.5)
    data = subject.datasets[DatasetRole.EVALUATION]
    joined = replace(data, cluster=persons(data.rows, 10))
    found = read(EXTRACTION(**FEW), replace(subject, datasets={DatasetRole.EVALUATION: joined}))
    assert "korn-graubard" in at(found, "fidelity").method


def test_a_rule_on_fidelity_fails_and_never_passes() -> None:
    found = read(EXTRACTION(**FEW), linear_audit(0.3))
    said = [
        outcome(EXTRACTION, found, "fidelity", MetricLimits(most=most), AT) for most in (0.5, 1.0)
    ]
    assert said[0] is Outcome.FAILED
    assert said[1] is not Outcome.PASSED


def test_a_picture_too_large_for_memory_is_a_gap() -> None:
    rows = np.zeros((60, 1, 256, 256), dtype=np.float32)
    rows[:, 0, 0, 0] = np.arange(60)
    labels: Labels = np.arange(60) % 2
    model = ToyModel(lambda x: np.stack([x[:, 0], 30 - x[:, 0]], axis=1))
    subject = audited(model, box((1, 256, 256)), {DatasetRole.EVALUATION: (rows, labels)}, 2)
    (gap,) = read(EXTRACTION(queries=(1000, 2000)), subject)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.OVER_BUDGET


def test_evidence_holds_decisions_and_no_row() -> None:
    seen = stored(EXTRACTION(**FEW), linear_audit(0.3))
    assert set(seen) == {"answers", "labels", "target", "ids", "cells", "about"}


@pytest.mark.parametrize("fields", [{"queries": ()}, {"rows": 0}, {"strategies": ("other",)}])
def test_parameters_without_meaning_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="strategies"):
        EXTRACTION(**fields)


def test_a_model_that_gives_labels_alone_is_copied_from_them() -> None:
    subject = linear_audit(0.5)
    assert isinstance(subject.model, ToyModel)
    found = read(EXTRACTION(**FEW), replace(subject, model=deaf(subject.model)))
    assert ends(at(found, "fidelity"))[0] > 0.75
