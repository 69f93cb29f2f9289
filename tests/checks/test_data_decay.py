from dataclasses import replace

import numpy as np
import pytest
from judged import outcome
from numpy.typing import NDArray
from scored_subjects import ends, gaps, measured, read, stored
from surveyed_subjects import part, regressed, surveyed

from auditor.checks.data.decay import CHECK, DecayCheck
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import UNLABELLED, Dataset, DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, GapReason, Reading

REFERENCE, EVALUATION, PRODUCTION = (
    DatasetRole.REFERENCE,
    DatasetRole.EVALUATION,
    DatasetRole.PRODUCTION,
)
Floats = NDArray[np.float64]


def world(
    rng: np.random.Generator, old: float, rows: int, role: DatasetRole, *, flipped: float = 0.0
) -> Dataset:
    """People of whom the share ``old`` is old; the model knows the young and guesses at the old."""
    is_old = rng.random(rows) < old
    stated = np.where(is_old, rng.uniform(0.3, 0.7, rows), rng.choice([0.05, 0.95], rows))
    labels = (rng.random(rows) < stated).astype(int)
    labels = np.where(rng.random(rows) < flipped, 1 - labels, labels)
    ages = np.where(is_old, "old", "young").tolist()
    return part(role, stated, labels, slices={"age": ages})


def truth(data: Dataset) -> float:
    assert data.scores is not None
    return float(np.mean((data.scores[:, 1] >= 0.5) == data.labels))


def aged(flipped: float = 0.0) -> tuple[Subject, float]:
    """A reference of young people, current data of old ones; and how often it is right there."""
    rng = np.random.default_rng(12)
    now = world(rng, 0.7, 6000, EVALUATION, flipped=flipped)
    return surveyed(world(rng, 0.2, 6000, REFERENCE), now), truth(now)


@pytest.mark.parametrize("method", ["cbpe", "weighted"])
def test_accuracy_is_estimated_without_a_label(method: str) -> None:
    subject, right = aged()
    found = measured(read(DecayCheck(), subject), "estimated_accuracy", method=method)
    assert found.value == pytest.approx(right, abs=0.015)
    low, high = ends(found)
    assert low < right < high
    assert truth(subject.datasets[REFERENCE]) - right > 0.1


def test_only_weights_follow_scores_that_mean_another_thing_for_other_people() -> None:
    """The model states 0.8 of everybody: right for the young, and 0.6 is the truth of the old."""
    rng = np.random.default_rng(5)

    def people(old: float, role: DatasetRole) -> Dataset:
        is_old = rng.random(8000) < old
        labels = (rng.random(8000) < np.where(is_old, 0.6, 0.9)).astype(int)
        ages = np.where(is_old, "old", "young").tolist()
        return part(role, np.full(8000, 0.8), labels, slices={"age": ages})

    now = people(0.8, EVALUATION)
    readings = read(DecayCheck(), surveyed(people(0.2, REFERENCE), now))
    plain = measured(readings, "estimated_accuracy", method="cbpe")
    weighted = measured(readings, "estimated_accuracy", method="weighted")
    assert plain.value == pytest.approx(0.84, abs=0.02)
    assert weighted.value == pytest.approx(truth(now), abs=0.02)


def test_labels_that_are_flipped_are_not_seen_and_no_rule_passes() -> None:
    (before, right), (after, wrong) = aged(), aged(flipped=0.25)
    assert right - wrong > 0.05
    for method in ("cbpe", "weighted"):
        sure = measured(read(DecayCheck(), before), "estimated_accuracy", method=method)
        blind = measured(read(DecayCheck(), after), "estimated_accuracy", method=method)
        assert blind.value == pytest.approx(sure.value, abs=0.02)
        assert blind.doubted
        assert "unseen" in str(blind.details["doubt"])
        where = {"method": method}
        for subject in (before, after):
            judged = outcome(
                CHECK,
                read(DecayCheck(), subject),
                "estimated_accuracy",
                MetricLimits(least=0.5),
                where,
            )
            assert judged is Outcome.UNKNOWN


def stream(rates: list[float], *, week: int = 500, claimed: float = 0.9) -> Subject:
    """Weeks of labelled rows of these error rates, of a model that claims an accuracy."""
    rng = np.random.default_rng(3)
    wrong = np.concatenate([rng.random(week) < rate for rate in rates])
    times = np.repeat(np.arange(float(len(rates))), week)
    data = part(EVALUATION, np.full(wrong.size, 0.9), (~wrong).astype(int), times=times)
    return surveyed(data, claims={"accuracy": claimed})


def test_five_points_more_errors_raise_an_alarm_within_weeks() -> None:
    readings = read(DecayCheck(), stream([0.1] * 10 + [0.15] * 6))
    alarm = measured(readings, "alarm")
    assert alarm.value is True
    assert not alarm.doubted
    assert alarm.details["first_at"] in {"10", "11", "12", "13"}
    evidence = measured(readings, "log_evidence")
    assert evidence.bound is BoundKind.AT_LEAST
    assert evidence.value >= alarm.details["alarm_at"]  # type: ignore[operator] -- numbers
    looks = measured(readings, "error").details["looks"]
    assert isinstance(looks, list)
    assert len(looks) == 16


def test_the_clean_twin_raises_none_and_its_silence_passes_no_rule() -> None:
    readings = read(DecayCheck(), stream([0.1] * 16))
    alarm = measured(readings, "alarm")
    assert alarm.value is False
    assert alarm.doubted
    silent = "!reading.value"
    assert outcome(CHECK, readings, "alarm", require=silent) is Outcome.UNKNOWN
    worse = read(DecayCheck(), stream([0.1] * 10 + [0.2] * 6))
    assert outcome(CHECK, worse, "alarm", require=silent) is Outcome.FAILED


def test_the_error_at_every_look_can_keep_a_rule_since_it_is_labelled() -> None:
    readings = read(DecayCheck(), stream([0.1] * 16))
    low, high = ends(measured(readings, "error"))
    assert low < 0.1 < high
    assert outcome(CHECK, readings, "error", MetricLimits(most=0.2)) is Outcome.PASSED


def test_without_a_claim_errors_are_held_against_the_upper_limit_of_the_reference() -> None:
    def against(now: float) -> tuple[Reading, ...]:
        rng = np.random.default_rng(1)
        sides = [(REFERENCE, 0.1, 2000), (EVALUATION, 0.1, 500), (PRODUCTION, now, 5000)]
        parts = [
            part(role, np.full(rows, 0.9), (rng.random(rows) >= rate).astype(int))
            for role, rate, rows in sides
        ]
        return read(DecayCheck(), surveyed(*parts))

    error = measured(against(0.1), "error")
    limit = error.details["limit"]
    assert isinstance(limit, float)
    assert 0.1 < limit < 0.13
    assert error.details["against"] == "the reference's error"
    # The limit takes half of the risk, and leaves half to the alarm; a claim leaves it all.
    assert error.details["alarm_at"] == pytest.approx(np.log(40))
    claimed = measured(read(DecayCheck(), stream([0.1] * 4)), "error")
    assert claimed.details["alarm_at"] == pytest.approx(np.log(20))
    assert measured(against(0.1), "alarm").value is False
    assert measured(against(0.17), "alarm").value is True


def test_harmless_decay_raises_no_alarm() -> None:
    subject = stream([0.15] * 12)
    assert measured(read(DecayCheck(), subject), "alarm").value is True
    assert measured(read(DecayCheck(harm=0.1), subject), "alarm").value is False


def test_rows_without_a_label_are_not_watched() -> None:
    subject = stream([0.1] * 4)
    data = subject.datasets[EVALUATION]
    assert data.labels is not None
    late = np.where(np.arange(2000) < 1000, data.labels, UNLABELLED)
    subject.datasets = {PRODUCTION: replace(data, role=PRODUCTION, labels=late)}
    assert measured(read(DecayCheck(), subject), "error").n == 1000


def test_people_of_whom_the_reference_has_none_leave_a_gap() -> None:
    rng = np.random.default_rng(2)
    subject = surveyed(world(rng, 0.01, 3000, REFERENCE), world(rng, 0.99, 3000, EVALUATION))
    (gap,) = gaps(read(DecayCheck(), subject), "few reference rows are like")
    assert gap.params == {"method": "weighted"}
    assert gap.reason is GapReason.TOO_FEW_ROWS


def test_a_regression_is_watched_and_not_estimated() -> None:
    numbers = np.arange(1000.0)
    data = [
        part(role, (numbers + off)[:, None], targets=numbers)
        for role, off in ((REFERENCE, numbers % 10 == 0), (EVALUATION, numbers % 2 == 0))
    ]
    readings = read(DecayCheck(), regressed(*data))
    assert len(gaps(readings, "a regression states none")) == 1
    assert measured(readings, "error").value == 0.5
    assert measured(readings, "alarm").value is True


def test_without_anything_before_there_is_neither_estimate_nor_alarm() -> None:
    subject = surveyed(part(EVALUATION, [0.9, 0.2] * 300, [1, 0] * 300))
    readings = read(DecayCheck(), subject)
    assert {gap.metric for gap in gaps(readings, "")} == {
        "estimated_accuracy",
        "log_evidence",
        "alarm",
    }


def test_a_gap_names_the_data_whose_labels_are_missing() -> None:
    evaluated = part(EVALUATION, [0.9, 0.2] * 300, [1, 0] * 300)
    met = part(PRODUCTION, [0.9, 0.2] * 300, None)
    (gap,) = gaps(read(DecayCheck(), surveyed(evaluated)), "labels")
    assert "the audit names no reference data" in gap.detail
    assert "data.reference" in gap.cure
    (gap,) = gaps(
        read(DecayCheck(), surveyed(part(REFERENCE, [0.9] * 600, None), evaluated)), "label "
    )
    assert "the reference data have no rows with a label" in gap.detail
    missing = gaps(
        read(DecayCheck(), surveyed(evaluated, met)), "The production data have no labels"
    )
    assert {gap.metric for gap in missing} == {"error", "log_evidence", "alarm"}
    assert "data.production.labels" in missing[0].cure
    bare = replace(evaluated, labels=None)
    told = " ".join(
        gap.detail for gap in gaps(read(DecayCheck(), surveyed(bare, met)), "An estimate")
    )
    assert "production data rests on labels of earlier data, and the evaluation data have" in told


def test_evidence_of_earlier_versions_keeps_the_words_of_its_gaps() -> None:
    evaluated = part(EVALUATION, [0.9, 0.2] * 300, [1, 0] * 300)
    met = part(PRODUCTION, [0.9, 0.2] * 300, None)
    kept = dict(stored(DecayCheck(), surveyed(evaluated, met)))
    del kept["unwatched"]
    found = gaps(DecayCheck().figures(kept, 0.95), "The data that this rests on have no labels.")
    assert {gap.metric for gap in found} == {"error", "log_evidence", "alarm"}


@pytest.mark.parametrize("given", [{"rows": 0}, {"batch": 0}, {"harm": 1.0}])
def test_parameters_without_meaning_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CHECK(**given)
