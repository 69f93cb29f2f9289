"""evasion.corruption: accuracy by kind and severity, recomputed from decisions alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from shifted_subjects import Ruled, digits, refuse_blanks, space, subject

from auditor.attacks.corruptions.catalogue import KINDS
from auditor.attacks.corruptions.mean_accuracy import mean_over_rows
from auditor.checks.evasion.corruption import CHECK, FEW, CorruptionCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole, TextColumn
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.tasks import FeatureKind, InputFeature
from auditor.errors import CancelledError, PolicyError
from auditor.reports.html.examples import convert_to_pictures


def observed(check: CorruptionCheck, seen: Subject) -> dict[str, Any]:
    evidence = check.observe(seen, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def read(
    check: CorruptionCheck, evidence: Evidence, confidence: float = 0.95
) -> tuple[Reading, ...]:
    readings = check.figures(evidence, confidence)
    encode_canonical([reading.to_json() for reading in readings])
    return readings


def measured(readings: tuple[Reading, ...], metric: str, **params: str | int) -> Measurement:
    (found,) = (
        item
        for item in readings
        if isinstance(item, Measurement) and item.metric == metric
        if params.items() <= dict(item.params).items()
    )
    return found


def value(reading: Measurement) -> float:
    assert isinstance(reading.value, float)
    return reading.value


def bright_in_the_middle(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(x[:, 3:5, 3:5].mean(axis=(1, 2)) > 0.5)


def pictures(rows: int = 60) -> Subject:
    """Pictures whose class is whether the middle is bright, and the model that says so."""
    inputs = np.random.default_rng(0).random((rows, 8, 8)).astype(np.float32)
    labels = bright_in_the_middle(inputs.astype(np.float64))
    return subject(Ruled(bright_in_the_middle), inputs, labels.astype(np.int64), space((8, 8)))


def test_a_model_that_always_says_the_same_is_not_affected() -> None:
    seen = pictures()
    seen.model = Ruled(lambda x: np.ones(len(x), dtype=np.bool_))
    readings = read(CorruptionCheck(), observed(CorruptionCheck(), seen))
    clean = measured(readings, "clean_accuracy")
    for reading in readings:
        assert isinstance(reading, Measurement)
        assert reading.value == pytest.approx(clean.value)
        assert reading.metric == "clean_accuracy" or reading.details["drop"] == pytest.approx(0)
    mean = measured(readings, "mean_accuracy")
    # Asked 57 times, every row still counts once.
    assert mean.n == 60
    assert mean.high is not None
    assert mean.low is not None
    assert 0.15 < mean.high - mean.low < 0.35


def test_known_decisions_give_their_accuracies() -> None:
    labels = np.array([0, 0, 1, 1])
    decided = np.array([[[0, 0, 1, 1], [0, 1, 1, 0]], [[1, 0, 1, 1], [1, 1, 0, 0]]], np.int32)
    evidence: Evidence = {
        "settings": {
            "kinds": ["fog", "jpeg"],
            "severities": [1, 5],
            "not_defined": {"saturate": "grey"},
            "failed": {},
            "deterministic": True,
            "clustered": False,
        },
        "labels": labels,
        "clean_decided": np.array([0, 0, 1, 0], np.int32),
        "decided": decided,
    }
    readings = read(CorruptionCheck(), evidence)
    shares = [item.value for item in readings if isinstance(item, Measurement)]
    assert shares == [0.75, 1.0, 0.5, 0.75, 0.0, 0.5625, 0.375]
    cell = measured(readings, "accuracy", kind="fog", severity=5)
    assert (cell.details["broken"], cell.details["mended"]) == (1, 0)
    assert cell.details["drop"] == 0.25
    mean = measured(readings, "mean_accuracy")
    assert mean.details["worst_kind"] == "jpeg"
    assert mean.details["kinds"] == {"fog": 0.75, "jpeg": 0.375}
    assert mean.details["not_defined"] == {"saturate": "grey"}
    assert measured(readings, "worst_kind_accuracy").details["kind"] == "jpeg"


def test_the_worst_kind_pays_for_having_been_chosen() -> None:
    evidence = observed(CorruptionCheck(), digits())
    readings = read(CorruptionCheck(), evidence)
    worst = measured(readings, "worst_kind_accuracy")
    assert value(worst) < value(measured(readings, "mean_accuracy"))
    by_row = (evidence["decided"] == evidence["labels"]).mean(axis=1)
    assert len(by_row) == 19
    joint = [mean_over_rows(kind, 1 - 0.05 / 19) for kind in by_row]
    assert worst.low == min(item.low for item in joint if item)
    assert worst.high == min(item.high for item in joint if item)


@pytest.mark.slow
def test_a_real_network_is_worse_the_more_severe_on_average() -> None:
    check = CorruptionCheck(severities=(1, 2, 3, 4, 5), rows=450)
    readings = read(check, observed(check, digits()))
    by_severity = [
        np.mean(
            [
                value(item)
                for item in readings
                if isinstance(item, Measurement) and item.params.get("severity") == severity
            ]
        )
        for severity in (1, 2, 3, 4, 5)
    ]
    assert by_severity == sorted(by_severity, reverse=True)
    assert by_severity[0] > 0.95
    assert by_severity[0] - by_severity[4] > 0.05
    contrast = [
        value(measured(readings, "accuracy", kind="contrast", severity=severity))
        for severity in (1, 2, 3, 4, 5)
    ]
    assert contrast == sorted(contrast, reverse=True)


def test_flat_digits_are_corrupted_as_pictures() -> None:
    check = CorruptionCheck(kinds=("fog", "motion_blur"), rows=50)
    square, flat = (observed(check, digits(flat=flat)) for flat in (False, True))
    np.testing.assert_array_equal(square["decided"], flat["decided"])
    assert flat["example_clean"].shape[1:] == (1, 8, 8)


def test_readings_come_in_one_order_at_any_confidence_and_as_declared() -> None:
    check = CorruptionCheck(kinds=("jpeg", "saturate", "fog", "unit_error"), severities=(5, 1))
    evidence = check.observe(pictures(), CheckShard())
    expected = [
        ("clean_accuracy", {}),
        *(
            ("accuracy", {"kind": kind, "severity": severity})
            for kind in ("fog", "jpeg")
            for severity in (1, 5)
        ),
        ("mean_accuracy", {}),
        ("worst_kind_accuracy", {}),
    ]
    for confidence in (0.5, 0.95, 0.9999):
        found = read(check, evidence, confidence)
        assert [(item.metric, dict(item.params)) for item in found] == expected
        for item in found:
            assert isinstance(item, Measurement)
            metric = check.emits[item.metric]
            assert (item.bound, item.unit) == (metric.bound, metric.unit)
            assert item.bound is BoundKind.ESTIMATE
            assert item.low is not None
            assert item.high is not None
            assert item.low <= value(item) <= item.high


def test_figures_need_the_stored_evidence_and_nothing_else() -> None:
    check = CorruptionCheck(kinds=FEW)
    evidence = check.observe(pictures(), CheckShard())
    stored = {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}
    assert check.figures(stored, 0.95) == check.figures(evidence, 0.95)


def test_the_same_subject_gives_the_same_bytes() -> None:
    first, second = (CorruptionCheck().observe(pictures(), CheckShard()) for _ in range(2))
    assert {name: encode_evidence(item).digest for name, item in first.items()} == {
        name: encode_evidence(item).digest for name, item in second.items()
    }


def test_a_kind_is_decided_the_same_whatever_else_is_asked() -> None:
    alone = observed(CorruptionCheck(kinds=("snow",)), pictures())["decided"]
    together = observed(CorruptionCheck(kinds=("fog", "snow")), pictures())["decided"]
    np.testing.assert_array_equal(together[1], alone[0])


def test_every_row_is_asked_once_for_each_cell_and_the_cost_says_so() -> None:
    check = CorruptionCheck(kinds=("fog", "jpeg", "unit_error"), rows=20)
    seen = pictures()
    check.observe(seen, CheckShard())
    assert isinstance(seen.model, Ruled)
    assert (
        seen.model.queries == check.cost(AuditSize(rows=60, classes=2)).queries == 60 + 20 * 2 * 3
    )


def test_the_rows_are_those_of_other_checks() -> None:
    seen = pictures()
    evidence = observed(CorruptionCheck(kinds=("fog",), rows=20), seen)
    assert evidence["ids"] == [f"row-{row}" for row in seen.sample(DatasetRole.EVALUATION, 20)]


FEATURES = (
    InputFeature("age", FeatureKind.INTEGER, 0.0, 100.0),
    InputFeature("income", low=0.0, high=1.0, nullable=True),
    InputFeature("member", FeatureKind.BINARY, 0.0, 1.0, (0.0, 1.0)),
)


def table(model: Ruled) -> Subject:
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.integers(0, 101, 80), rng.random(80), rng.random(80) < 0.5])
    where = replace(
        space((3,), features=FEATURES),
        high=np.array([100.0, 1.0, 1.0]),
        quantum=np.array([1.0, 0.0, 1.0]),
    )
    return subject(model, rows, (rows[:, 0] > 50).astype(np.int64), where)


def test_a_table_meets_the_kinds_for_tables() -> None:
    readings = read(
        CorruptionCheck(), observed(CorruptionCheck(), table(Ruled(lambda x: x[:, 0] > 50)))
    )
    kinds = {item.params["kind"] for item in readings if "kind" in item.params}
    assert len(kinds) == 9
    # The model looks at one numeric column of two, so half of the unit errors concern it.
    flips = measured(readings, "accuracy", kind="category_flips", severity=5)
    wrong_unit = measured(readings, "accuracy", kind="unit_error", severity=1)
    assert flips.value == 1.0
    assert 0.6 < value(wrong_unit) < 0.9
    names = measured(readings, "mean_accuracy").details["not_defined"]
    assert isinstance(names, dict)
    assert "fog" in names


def test_a_model_that_cannot_take_a_blank_leaves_a_gap_there_and_in_the_averages() -> None:
    check = CorruptionCheck(kinds=("measurement_noise", "missing_values"))
    readings = read(check, observed(check, table(Ruled(refuse_blanks))))
    gaps = {
        (gap.metric, gap.params.get("kind"), gap.params.get("severity"))
        for gap in readings
        if isinstance(gap, Gap)
    }
    cells = {("accuracy", "missing_values", severity) for severity in (1, 3, 5)}
    whole = {("mean_accuracy", None, None), ("worst_kind_accuracy", None, None)}
    assert gaps == cells | whole
    assert all(item.reason is GapReason.MODEL_FAILED for item in readings if isinstance(item, Gap))
    assert measured(readings, "accuracy", kind="measurement_noise", severity=1)


def test_kinds_that_have_no_meaning_are_one_gap() -> None:
    (gap,) = read(
        CorruptionCheck(kinds=("unit_error",)),
        observed(CorruptionCheck(kinds=("unit_error",)), pictures()),
    )
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED
    assert "unit_error" in gap.detail


def test_one_row_has_accuracies_and_no_mean() -> None:
    check = CorruptionCheck(kinds=("fog",), rows=1)
    readings = read(check, observed(check, pictures()))
    gaps = [item for item in readings if isinstance(item, Gap)]
    assert [gap.metric for gap in gaps] == ["mean_accuracy", "worst_kind_accuracy"]
    assert {gap.reason for gap in gaps} == {GapReason.TOO_FEW_ROWS}


def test_figures_of_a_model_that_changes_its_mind_are_doubted() -> None:
    seen = pictures()
    assert isinstance(seen.model, Ruled)
    seen.model.deterministic = False
    for reading in read(CorruptionCheck(kinds=FEW), observed(CorruptionCheck(kinds=FEW), seen)):
        assert isinstance(reading, Measurement)
        assert reading.doubted
        assert reading.repeat is Repeatability.INTERVAL


def test_rows_of_one_person_make_the_intervals_doubted() -> None:
    seen = pictures()
    data = seen.datasets[DatasetRole.EVALUATION]
    people = tuple(f"person-{row // 2}" for row in range(60))
    seen.datasets = {DatasetRole.EVALUATION: replace(data, cluster=TextColumn.of(people))}
    for reading in read(CorruptionCheck(kinds=FEW), observed(CorruptionCheck(kinds=FEW), seen)):
        assert isinstance(reading, Measurement)
        assert reading.doubted
        assert "cluster" in str(reading.details["doubt"])


def test_examples_are_rows_that_became_wrong_of_the_worst_kinds_first() -> None:
    check = CorruptionCheck(examples=3)
    evidence = observed(check, digits())
    before, after = evidence["example_clean"], evidence["example_adversarial"]
    assert before.shape == after.shape == (3, 1, 8, 8)
    assert convert_to_pictures(before) is not None
    worst = measured(read(check, evidence), "worst_kind_accuracy").details["kind"]
    assert evidence["example_budget"][0].startswith(f"{worst}, severity")
    for row, said, was in zip(
        evidence["example_places"],
        evidence["example_adversarial_class"],
        evidence["example_clean_class"],
        strict=True,
    ):
        assert evidence["clean_decided"][row] == evidence["labels"][row] == int(was) != int(said)
    again = digits().model
    assert not isinstance(again, Gap)
    decided: NDArray[np.int64] = again.predict(after).argmax(axis=1)
    assert [str(index) for index in decided] == evidence["example_adversarial_class"]


def test_without_leave_no_row_of_the_data_is_kept() -> None:
    evidence = CorruptionCheck(kinds=FEW).observe(digits(show=False), CheckShard())
    assert set(evidence) == {"settings", "ids", "labels", "clean_decided", "decided"}


def test_a_user_can_stop_it_between_two_cells() -> None:
    seen = pictures()

    def stop(done: int, total: int, note: str = "") -> None:
        assert 0 <= done < total
        if done == 2:
            raise CancelledError("stopped", cure="none")

    seen.progress = stop
    with pytest.raises(CancelledError):
        CorruptionCheck().observe(seen, CheckShard())


@pytest.mark.parametrize(
    "wrong", [{"kinds": ()}, {"kinds": ("rain",)}, {"severities": (0,)}, {"rows": 0}]
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        CorruptionCheck(**wrong)


def test_budgets_grow_from_a_few_kinds_to_all_severities() -> None:
    size = AuditSize(rows=5000, classes=10)
    made = [CorruptionCheck(**CorruptionCheck.presets[budget]) for budget in Budget]  # type: ignore[arg-type]  # JSON of its fields
    costs = [check.cost(size).queries for check in made]
    assert costs == sorted(costs)
    assert [check.rows for check in made] == [100, 200, 1000]
    assert set(made[1].kinds) == set(made[2].kinds) == set(KINDS)
    for check in made:
        assert {1, 3, 5} <= set(check.severities)


def test_the_best_precision_is_that_of_a_model_that_is_always_right() -> None:
    said = CorruptionCheck(rows=200).precision(AuditSize(rows=60, classes=2), 0.95)
    assert said["accuracy"] == pytest.approx((1 - 0.025 ** (1 / 60)) / 2)
    assert said["mean_accuracy"] == pytest.approx(said["accuracy"])


def test_the_class_is_the_check() -> None:
    assert CHECK is CorruptionCheck
    assert CHECK.id == "evasion.corruption"
