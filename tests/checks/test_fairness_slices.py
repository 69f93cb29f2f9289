import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scored_subjects import ends, measured, names, read, scored, stored

from auditor.checks.fairness.slices import CHECK, ErrorSliceCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole, TextColumn
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import Array, FeatureKind, InputFeature, InputSpace, RegressionTask
from auditor.policy.check_parameters import make_check

CITIES = np.array(["here", "near", "far", "unknown"])
SEXES = np.array(["f", "m"])
Rng = np.random.Generator


def people(rng: Rng, rows: int) -> dict[str, NDArray[np.str_]]:
    """Columns of people as a file has them: texts, of which ages are numbers."""
    ages = rng.integers(18, 93, rows)
    return {
        "age": ages.astype(str),
        "pension": (ages + rng.integers(-3, 4, rows)).astype(str),
        "city": rng.choice(CITIES, rows),
        "sex": rng.choice(SEXES, rows),
    }


def audited(columns: dict[str, NDArray[np.str_]], rate: NDArray[np.float64], rng: Rng) -> Subject:
    """A predictions-only audit whose decisions are wrong at each row's rate."""
    labels = rng.random(len(rate)) < 0.5
    decided = labels ^ (rng.random(len(rate)) < rate)
    subject = scored(np.where(decided, 0.9, 0.1), labels, groups={"sex": tuple(columns["sex"])})
    slices = {name: tuple(held.tolist()) for name, held in columns.items() if name != "sex"}
    return with_data(subject, slices=slices)


def with_data(subject: Subject, **fields: Any) -> Subject:  # noqa: ANN401 -- of Dataset
    for name in ("groups", "slices"):
        if name in fields:
            fields[name] = {key: TextColumn.of(texts) for key, texts in fields[name].items()}
    if fields.get("cluster") is not None:
        fields["cluster"] = TextColumn.of(fields["cluster"])
    dataset = replace(subject.datasets[DatasetRole.EVALUATION], **fields)
    subject.datasets = {DatasetRole.EVALUATION: dataset}
    return subject


def planted(rows: int = 20_000, lift: float = 2.5) -> Subject:
    """Women who live far away are wronged more often; one row in eight."""
    rng = np.random.default_rng(11)
    columns = people(rng, rows)
    there = (columns["city"] == "far") & (columns["sex"] == "f")
    return audited(columns, np.where(there, 0.1 * lift, 0.1), rng)


def sliced(readings: tuple[Reading, ...]) -> list[Measurement]:
    return [item for item in readings if isinstance(item, Measurement) and item.slice]


def test_a_planted_slice_is_found_confirmed_and_named() -> None:
    readings = read(ErrorSliceCheck(), planted())
    (found,) = sliced(readings)
    assert dict(found.slice) == {"city": "far", "sex": "f"}
    assert found.metric == "error"
    assert ends(found)[0] < 0.25 < ends(found)[1]
    assert found.details["lift"] == pytest.approx(2.5, abs=0.5)
    worst = measured(readings, "worst_slice_error")
    assert worst.details["slice"] == found.slice
    assert worst.value == found.value
    assert worst.bound is BoundKind.AT_LEAST
    assert ends(worst)[0] > 0.15
    assert measured(readings, "slices_confirmed").value == 1


def test_figures_come_from_the_rows_held_out_alone() -> None:
    subject = planted()
    evidence = stored(ErrorSliceCheck(), subject)
    (found,) = sliced(ErrorSliceCheck().figures(evidence, 0.95))
    dataset = subject.datasets[DatasetRole.EVALUATION]
    inside = (np.array(dataset.slices["city"]) == "far") & (np.array(dataset.groups["sex"]) == "f")
    held_out = ~np.asarray(evidence["searched"])
    wrong = np.asarray(evidence["wrong"])
    assert found.value == wrong[inside & held_out].mean()
    assert found.n == (inside & held_out).sum()
    assert abs(held_out.mean() - 0.5) < 1e-3


def test_a_slice_says_which_mistakes_are_made_in_it() -> None:
    subject = planted()
    evidence = stored(ErrorSliceCheck(), subject)
    (found,) = sliced(ErrorSliceCheck().figures(evidence, 0.95))
    dataset = subject.datasets[DatasetRole.EVALUATION]
    inside = (np.array(dataset.slices["city"]) == "far") & (np.array(dataset.groups["sex"]) == "f")
    inside &= ~np.asarray(evidence["searched"])
    ours = np.asarray(dataset.labels)[inside]
    wrong = np.asarray(evidence["wrong"])[inside]
    counts = {label: int((wrong & (ours == label)).sum()) for label in (0, 1)}
    told = [
        {"label": str(label), "decided": str(1 - label), "n": n}
        for label, n in sorted(counts.items(), key=lambda item: -item[1])
    ]
    assert found.details["mistakes"] == told
    labels = found.details["labels"]
    assert isinstance(labels, list)
    assert sum(item["n"] for item in labels if isinstance(item, dict)) == found.n


def test_the_whole_sample_has_its_error_and_no_slice() -> None:
    subject = planted()
    whole, *_ = read(ErrorSliceCheck(), subject)
    assert isinstance(whole, Measurement)
    wrong = np.asarray(stored(ErrorSliceCheck(), subject)["wrong"])
    assert (whole.metric, dict(whole.slice), whole.value) == ("error", {}, wrong.mean())


@pytest.mark.parametrize("independent", [True, False])
def test_of_twenty_samples_without_a_bad_slice_few_are_accused(independent: bool) -> None:  # noqa: FBT001 -- a case
    # At most one of twenty by chance; four Monte-Carlo errors beyond that.
    rng, repeats = np.random.default_rng(12), 20
    accused = tried = 0
    for _ in range(repeats):
        columns = people(rng, 4000)
        if independent:
            columns["pension"] = rng.permutation(columns["pension"])
        readings = read(ErrorSliceCheck(), audited(columns, np.full(4000, 0.1), rng))
        accused += bool(sliced(readings))
        tried += int(float(measured(readings, "slices_tried").value or 0))
    assert tried > 0
    assert accused <= 1 + 4 * math.sqrt(repeats * 0.05 * 0.95)


def test_what_was_tried_and_not_confirmed_is_told_and_widens_the_bound() -> None:
    rng = np.random.default_rng(20)
    readings = read(ErrorSliceCheck(), audited(people(rng, 8000), np.full(8000, 0.1), rng))
    assert sliced(readings) == []
    tried, worst = measured(readings, "slices_tried"), measured(readings, "worst_slice_error")
    told = tried.details["tried"]
    assert isinstance(told, list)
    assert len(told) == tried.value
    assert not any(item["confirmed"] for item in told if isinstance(item, dict))
    assert worst.details["slice"] == {}
    assert worst.value == measured(readings, "error").value
    assert worst.details["upper_end_of"] in [
        item["slice"] for item in told if isinstance(item, dict)
    ]
    assert f"bonferroni over {len(told) + 1}" in worst.method


def test_the_power_table_says_what_would_have_been_confirmed() -> None:
    small, large = (
        measured(read(ErrorSliceCheck(), planted(rows)), "worst_slice_error").details[
            "would_be_confirmed"
        ]
        for rows in (4000, 20_000)
    )
    assert isinstance(small, list)
    assert isinstance(large, list)
    lifts = [[row["lift"] for row in table if isinstance(row, dict)] for table in (small, large)]
    assert lifts[1] == sorted(lifts[1], reverse=True)  # larger slices need less
    assert all(more > less for more, less in zip(*lifts, strict=True))  # and so do more rows


def test_readings_come_in_the_same_order_at_any_confidence() -> None:
    evidence = stored(ErrorSliceCheck(), planted())
    usual, strict = (ErrorSliceCheck().figures(evidence, level) for level in (0.95, 0.999999))
    assert names(usual) == names(strict)
    assert [item.slice for item in sliced(usual)] == [item.slice for item in sliced(strict)]
    for one, other in zip(sliced(usual), sliced(strict), strict=True):
        assert one.value == other.value
        assert ends(other)[0] < ends(one)[0] < ends(one)[1] < ends(other)[1]


def test_the_same_seed_gives_the_same_readings_and_another_splits_otherwise() -> None:
    one, other = read(ErrorSliceCheck(), planted()), read(ErrorSliceCheck(), planted())
    assert [item.to_json() for item in one] == [item.to_json() for item in other]
    reseeded = planted()
    reseeded.audit_seed = 8
    half, otherwise = (
        stored(ErrorSliceCheck(), item)["searched"] for item in (planted(), reseeded)
    )
    assert not np.array_equal(np.asarray(half), np.asarray(otherwise))


def test_the_columns_that_a_model_reads_are_searched_and_can_be_left_out() -> None:
    rng = np.random.default_rng(14)
    table: Array = np.stack([rng.normal(size=8000), rng.integers(0, 9, 8000)], axis=1)
    rate = np.where(table[:, 1] == 4, 0.4, 0.1)
    subject = with_data(
        audited(people(rng, 8000), rate, rng), inputs=table, features=("income", "job")
    )
    subject.space = space(InputFeature("income"), InputFeature("job", FeatureKind.CATEGORICAL))
    assert [dict(item.slice) for item in sliced(read(ErrorSliceCheck(), subject))] == [{"job": "4"}]
    assert sliced(read(ErrorSliceCheck(inputs=False), subject)) == []


def space(*features: InputFeature) -> InputSpace:
    low, high = np.zeros(len(features)), np.ones(len(features))
    return InputSpace(low, high, low, np.ones(len(features), np.bool_), features)


def test_a_number_that_misses_by_more_than_the_tolerance_is_an_error() -> None:
    rng = np.random.default_rng(15)
    subject = audited(people(rng, 6000), np.zeros(6000), rng)
    far = np.array(subject.datasets[DatasetRole.EVALUATION].slices["city"]) == "far"
    truth = rng.normal(size=6000)
    guess = truth + rng.normal(size=6000) * np.where(far, 3.0, 1.0)
    subject = with_data(subject, labels=None, targets=truth, scores=guess[:, None])
    subject.task = RegressionTask(tolerance=1.5)
    (found,) = sliced(read(ErrorSliceCheck(), subject))
    assert dict(found.slice) == {"city": "far"}
    assert ends(found)[0] < math.erfc(1.5 / 3 / math.sqrt(2)) < ends(found)[1]


def test_without_columns_there_is_a_gap() -> None:
    rng = np.random.default_rng(16)
    (gap,) = read(ErrorSliceCheck(), scored(rng.random(900), rng.random(900) < 0.5))
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.metric) == (GapReason.NOT_DEFINED, "")
    assert "no column to slice by" in gap.detail


def test_halves_too_small_to_search_are_a_gap() -> None:
    rng = np.random.default_rng(17)
    (gap,) = read(ErrorSliceCheck(), audited(people(rng, 199), np.full(199, 0.1), rng))
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS
    assert "at least 200 rows" in gap.cure
    assert sliced(read(ErrorSliceCheck(), audited(people(rng, 200), np.full(200, 0.1), rng))) == []


def test_rows_of_one_cluster_stay_in_one_half_and_every_reading_is_doubted() -> None:
    persons = tuple(f"p{number}" for number in np.random.default_rng(18).integers(0, 900, 20_000))
    subject = with_data(planted(), cluster=persons)
    evidence = stored(ErrorSliceCheck(), subject)
    searched = np.asarray(evidence["searched"])
    halves = {(name, bool(half)) for name, half in zip(persons, searched, strict=True)}
    assert len(halves) == len(set(persons))
    readings = ErrorSliceCheck().figures(evidence, 0.95)
    assert all(isinstance(item, Measurement) and item.doubted for item in readings)


def test_a_model_that_is_never_wrong_has_no_bad_slice() -> None:
    rng = np.random.default_rng(19)
    readings = read(ErrorSliceCheck(), audited(people(rng, 2000), np.zeros(2000), rng))
    assert measured(readings, "worst_slice_error").value == 0
    assert measured(readings, "slices_tried").value == 0


def test_evidence_holds_levels_and_no_values() -> None:
    evidence = stored(ErrorSliceCheck(), planted())
    kept = {"codes", "wrong", "searched", "columns", "task", "labels", "decided"}
    assert set(evidence) == kept
    assert np.asarray(evidence["codes"]).max() <= 5


@pytest.mark.parametrize(
    ("wrong", "about"),
    [
        ({"depth": 0}, "at least 1"),
        ({"bins": 255}, "below 255"),
        ({"least_share": 1.0}, "shares below 1"),
        ({"level": 0.0}, "shares below 1"),
        ({"correction": "none"}, "holm, bh"),
    ],
)
def test_parameters_without_meaning_are_refused(wrong: dict[str, Any], about: str) -> None:
    with pytest.raises(ValueError, match=about):
        ErrorSliceCheck(**wrong)


def test_deeper_budgets_look_at_more_slices() -> None:
    subject = planted(4000)
    checks = [make_check(CHECK, CHECK.presets[budget]) for budget in Budget]
    told = [measured(read(check, subject), "slices_looked_at").value for check in checks]
    looked = [number for number in told if isinstance(number, int)]
    assert looked == [5 + 5 + 4 + 2, *sorted(looked[1:])]
    assert len(set(looked)) == 3


def test_the_width_that_is_promised_is_that_of_the_whole_sample() -> None:
    size = AuditSize(rows=1000, classes=2)
    assert ErrorSliceCheck().precision(size, 0.95)["error"] == pytest.approx(0.0193, abs=5e-4)
    assert ErrorSliceCheck().precision(AuditSize(rows=0, classes=2), 0.95) == {}
    assert ErrorSliceCheck().cost(size).queries == 1000
