"""hardware.parity: the same rows on the target and on the reference, compared one by one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evasion_toys import ToyModel, box, classes, linear, subject

from auditor.checks.hardware.parity import Parity
from auditor.domain.companions import Companion
from auditor.domain.evidence import Evidence, decode, encode
from auditor.domain.readings import Gap, Measurement, Reading, Reason
from auditor.domain.subjects import Shard, Subject

ROWS = 400


def pair(change: float, *, labelled: bool = True) -> Subject:
    """A target whose first score is moved by ``change`` against the reference's."""
    reference, _, weights, bias = linear(0, 4, classes=3)
    moved = ToyModel(lambda x: x @ weights + bias + np.array([change, 0.0, 0.0]))
    rows = np.random.default_rng(1).random((ROWS, 4))
    labels = np.argmax(rows @ weights + bias, axis=1)
    seen = subject(moved, _absent(), rows, labels, box((4,)), classes(3))
    if not labelled:
        role = next(iter(seen.datasets))
        seen.datasets = {role: replace(seen.datasets[role], labels=None)}
    seen.reference = Companion(lambda: reference, about={"name": "reference"})
    return seen


def _absent() -> Gap:
    return Gap(reason=Reason.NEEDS_TWIN, detail="absent", cure="none")


def looked(seen: Subject, confidence: float = 0.95) -> tuple[Reading, ...]:
    evidence = Parity().observe(seen, Shard())
    kept: Evidence = {name: decode(encode(item).raw) for name, item in evidence.items()}
    return Parity().figures(kept, confidence)


def one(found: tuple[Reading, ...], metric: str) -> Measurement:
    (reading,) = [item for item in found if isinstance(item, Measurement) and item.metric == metric]
    return reading


def test_a_target_that_computes_the_same_flips_nothing() -> None:
    found = looked(pair(0.0))
    assert one(found, "flip_rate").value == 0
    assert one(found, "flip_rate").high < 0.01  # type: ignore[operator]  # a share
    assert one(found, "max_logit_diff").value == 0
    assert one(found, "max_logit_diff").details["bit_equal_rows"] == 1


def test_flips_are_counted_row_by_row() -> None:
    seen = pair(0.3)
    found = looked(seen)
    model, reference = seen.model, seen.reference.model()
    assert not isinstance(model, Gap)
    assert not isinstance(reference, Gap)
    inputs = next(iter(seen.datasets.values())).inputs
    assert inputs is not None
    differ = np.argmax(model.predict(inputs), 1) != np.argmax(reference.predict(inputs), 1)
    rate = one(found, "flip_rate")
    assert rate.details["flips"] == differ.sum() > 0
    assert rate.value == pytest.approx(differ.mean())
    assert set(rate.details["to"]) == {"0"}  # type: ignore[arg-type]  # all flips go where it leans
    assert one(found, "max_logit_diff").value == pytest.approx(0.3)


def test_flips_that_cancel_out_leave_accuracy_alone_and_are_seen() -> None:
    """Half of the labels are wrong from the start, so that flips gain as often as they lose."""
    seen = pair(0.3)
    role, dataset = next(iter(seen.datasets.items()))
    assert dataset.labels is not None
    assert dataset.inputs is not None
    assert not isinstance(seen.model, Gap)
    decided = np.argmax(seen.model.predict(dataset.inputs), axis=1)
    mixed = np.where(np.arange(ROWS) % 2, dataset.labels, decided)
    seen.datasets = {role: replace(dataset, labels=mixed)}
    found = looked(seen)
    change = one(found, "accuracy_change")
    assert change.low < 0 < change.high  # type: ignore[operator]  # an interval
    assert one(found, "flip_rate").low > 0.01  # type: ignore[operator]  # a share
    assert one(found, "right_to_wrong").value > 0  # type: ignore[operator]  # a share


def test_every_class_has_a_rate_and_they_hold_together() -> None:
    found = looked(pair(0.3))
    rates = [item for item in found if item.metric == "class_flip_rate"]
    assert [item.params["class"] for item in rates] == ["0", "1", "2"]
    levels = [getattr(item, "confidence", None) for item in rates]
    assert levels == pytest.approx([1 - 0.05 / 3] * 3)


def test_without_labels_the_truth_is_a_gap_and_flips_are_still_told() -> None:
    found = looked(pair(0.3, labelled=False))
    gaps = [item for item in found if isinstance(item, Gap)]
    assert [(gap.metric, gap.reason) for gap in gaps] == [
        ("right_to_wrong", Reason.NEEDS_LABELS),
        ("accuracy_change", Reason.NEEDS_LABELS),
    ]
    assert one(found, "flip_rate").value > 0  # type: ignore[operator]  # a share


def test_without_a_reference_there_is_one_gap() -> None:
    seen = pair(0.3)
    seen.reference = Companion(lambda: Gap(reason=Reason.MODEL_FAILED, detail="broken", cure="x"))
    (gap,) = looked(seen)
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.NEEDS_REFERENCE
    assert "broken" in gap.detail


def test_the_target_is_asked_once_for_rows_that_others_need_too(tmp_path: Path) -> None:
    seen = pair(0.1)
    looked(seen)
    assert isinstance(seen.model, ToyModel)
    before = seen.model.queries
    seen.probabilities(next(iter(seen.datasets)))
    assert seen.model.queries == before == ROWS
