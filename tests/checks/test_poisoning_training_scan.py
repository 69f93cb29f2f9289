from dataclasses import replace

import numpy as np
import pytest
from judged import outcome
from poison_toys import network, poisoned, scanned
from scored_subjects import ends, gaps, measured, read, stored
from surveyed_subjects import sample, surveyed

from auditor.attacks.poisoning.training_scan import METHODS
from auditor.checks.poisoning.training_scan import CHECK, TrainingScanCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.gaps import write_gap
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import GapReason
from auditor.domain.training_recipes import NO_RECIPE
from auditor.metrics.stats.proportions import clopper_pearson


@pytest.mark.parametrize("kind", ["patch", "blend", "flip"])
def test_planted_poison_is_shown_and_named(kind: str) -> None:
    data = poisoned(kind, 0.08, 1)
    readings = read(TrainingScanCheck(listed=2000), scanned(data, network(kind, 0.08, 1)))
    assert measured(readings, "verdict").value == "shown"
    joint = measured(readings, "suspect_share", method="joint")
    named = np.array([int(name.removeprefix("t")) for name in joint.details["worst_rows"]])
    hit = data.bad[named]
    assert hit.sum() >= 0.6 * data.bad.sum()
    assert (~hit).sum() <= 0.04 * (~data.bad).sum()
    precision = measured(readings, "expected_precision", method="joint")
    low, high = ends(precision)
    assert low <= hit.mean() <= high
    oracle = clopper_pearson(len(named), len(data.bad), 0.95)
    assert ends(joint) == (oracle.low, oracle.high)


def test_flipped_labels_are_named_with_the_label_that_was_right() -> None:
    clean, data = poisoned("clean", 0.0, 2), poisoned("flip", 0.08, 2)
    found = measured(
        read(TrainingScanCheck(listed=2000), scanned(data)), "suspect_share", method="references"
    )
    rows = [(int(item["id"][1:]), item) for item in found.details["suspects"]]
    told = [(item["suggested"], str(clean.labels[row])) for row, item in rows if data.bad[row]]
    assert len(told) > 60
    assert sum(one == other for one, other in told) >= 0.9 * len(told)
    assert all(item["label"] == str(data.labels[row]) for row, item in rows)


@pytest.mark.parametrize("seed", range(3))
def test_clean_training_data_are_silent_even_to_a_model_that_has_learnt_them(seed: int) -> None:
    data = poisoned("clean", 0.0, seed)
    readings = read(TrainingScanCheck(), scanned(data, network("clean", 0.0, seed)))
    assert measured(readings, "verdict").value == "no evidence at this power"
    for method in (*METHODS, "joint"):
        found = measured(readings, "suspect_share", method=method)
        assert (found.value, found.details["worst_rows"]) == (0, [])
    assert len(gaps(readings, "No training row is named")) == len(METHODS) + 1


@pytest.mark.slow
def test_clean_training_data_are_silent_in_almost_every_audit() -> None:
    check = TrainingScanCheck()
    said = [
        measured(read(check, scanned(poisoned("clean", 0.0, seed))), "verdict").value
        for seed in range(300)
    ]
    assert said.count("shown") <= 3


def test_training_data_of_another_source_are_no_verdict_and_doubted() -> None:
    data = poisoned("clean", 0.0, 3)
    noise = np.random.default_rng(0).normal(0, 0.3, data.inputs.shape)
    moved = replace(data, inputs=np.clip(data.inputs + noise, 0, 1).astype(np.float32))
    readings = read(TrainingScanCheck(), scanned(moved))
    verdict = measured(readings, "verdict")
    assert verdict.value == "inconclusive"
    assert "another population" in verdict.details["reason"]
    found = measured(readings, "suspect_share", method="joint")
    assert found.doubted
    assert outcome(
        CHECK, readings, "suspect_share", MetricLimits(most=1.0), {"method": "joint"}
    ) is (Outcome.UNKNOWN)


def test_clean_rows_that_are_alike_in_clusters_show_nothing_and_fail_no_rule() -> None:
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        blocks = np.repeat(rng.exponential(size=50), 40)
        about = {
            "classes": ["a"], "not_scanned": [], "clustered": True,
            "gaps": {name: write_gap(NO_RECIPE) for name in METHODS},
        }  # fmt: skip
        evidence = {
            "gap": None,
            "ids": np.array([f"t{row}" for row in range(2000)]),
            "labels": np.zeros(2000, np.int64),
            "suggested": np.zeros(2000, np.int64),
            "spectral": np.concatenate((blocks, rng.exponential(size=1000))).astype(np.float32),
            "about": about,
        }
        found.append(TrainingScanCheck().figures(evidence, 0.95))
    # Most of these would be called poisoned if rows of a cluster were independent.
    assert sum(measured(it, "suspect_share", method="spectral").value > 0 for it in found) > 3
    verdicts = [measured(it, "verdict") for it in found]
    assert {it.value for it in verdicts} == {"inconclusive"}
    assert all("cluster" in str(it.details["reason"]) for it in verdicts)
    where, limit = {"method": "joint"}, MetricLimits(most=0.0)
    said = {outcome(CHECK, it, "suspect_share", limit, where) for it in found}
    assert said == {Outcome.UNKNOWN}


def test_more_trusted_rows_would_have_shown_less_poison() -> None:
    least = [
        measured(
            read(TrainingScanCheck(), scanned(poisoned("clean", 0.0, 4, trusted))), "verdict"
        ).details["power"]["least_share"]
        for trusted in (200, 900)
    ]
    assert least[1] < least[0]


def test_poison_fails_a_rule_and_silence_passes_none_that_asks_for_proof() -> None:
    rule = MetricLimits(most=0.01)
    where = {"method": "joint"}
    bad, good = (
        read(TrainingScanCheck(), scanned(poisoned(kind, share, 5)))
        for kind, share in (("flip", 0.1), ("clean", 0.0))
    )
    assert outcome(CHECK, bad, "suspect_share", rule, where) is Outcome.FAILED
    assert outcome(CHECK, good, "suspect_share", rule, where) is Outcome.UNKNOWN


def test_without_a_model_labels_are_scanned_and_views_are_gaps() -> None:
    readings = read(TrainingScanCheck(), scanned(poisoned("clean", 0.0, 6)))
    assert {gap.params["method"] for gap in gaps(readings, "There is no model")} == {
        "spectre", "spectral", "clusters",
    }  # fmt: skip
    assert measured(readings, "suspect_share", method="neighbours").n == 1397


def test_what_cannot_be_scanned_says_why() -> None:
    data = poisoned("clean", 0.0, 7)
    few = replace(data, trusted=data.trusted[:40], truth=data.truth[:40])
    assert (
        gaps(read(TrainingScanCheck(), scanned(few)), "No class")[0].reason
        is GapReason.TOO_FEW_ROWS
    )
    subject = scanned(data)
    unlabelled = replace(subject.datasets[DatasetRole.TRAINING], labels=None)
    bare = replace(subject, datasets={**subject.datasets, DatasetRole.TRAINING: unlabelled})
    assert gaps(read(TrainingScanCheck(), bare), "no labels")[0].reason is GapReason.NEEDS_LABELS
    words, labels = np.array(["a text", "another"] * 40), np.arange(80) % 2
    texts = surveyed(sample(words, labels), sample(words, labels, role=DatasetRole.TRAINING))
    assert gaps(read(TrainingScanCheck(), texts), "no distance")[0].reason is (
        GapReason.NEEDS_NUMERIC_INPUT
    )


def test_a_class_with_few_trusted_rows_is_named_as_not_scanned() -> None:
    data = poisoned("clean", 0.0, 8)
    kept = np.flatnonzero((data.truth != 3) | (np.cumsum(data.truth == 3) <= 4))
    thin = replace(data, trusted=data.trusted[kept], truth=data.truth[kept])
    readings = read(TrainingScanCheck(), scanned(thin))
    assert measured(readings, "verdict").details["not_scanned"] == ["3"]
    found = measured(readings, "suspect_share", method="references")
    assert found.n == int((data.labels != 3).sum())


def test_the_unit_of_a_column_of_a_table_does_not_matter() -> None:
    rng = np.random.default_rng(9)
    rows, labels = rng.normal(size=(900, 6)), np.arange(900) % 2
    rows[labels == 1, :2] += 4
    labels[300:330] = 1 - labels[300:330]

    def subject(unit: np.ndarray) -> object:
        table = rows * unit
        return surveyed(
            sample(table[:300], labels[:300]),
            sample(table[300:], labels[300:], role=DatasetRole.TRAINING),
        )

    one, other = (
        stored(TrainingScanCheck(), subject(unit)) for unit in (np.ones(6), 10.0 ** np.arange(6))
    )
    assert np.allclose(one["references"], other["references"], rtol=1e-3, atol=1e-3)
    shown = read(TrainingScanCheck(), subject(np.ones(6)))
    assert measured(shown, "verdict").value == "shown"
    assert measured(shown, "suspect_share", method="references").details["k"] >= 25


def test_the_evidence_holds_scores_and_no_rows() -> None:
    data = poisoned("clean", 0.0, 3)
    seen = stored(TrainingScanCheck(), scanned(data, network("clean", 0.0, 1)))
    assert {seen[name].shape for name in METHODS} == {(1797,)}
    assert not any(getattr(item, "ndim", 0) > 1 for item in seen.values())


def test_it_says_what_it_costs_and_refuses_parameters_without_meaning() -> None:
    size = AuditSize(rows=500, classes=2, beside={"training": 5000})
    check = TrainingScanCheck()
    assert check.cost(size).queries == 11_000
    assert 0 < check.precision(size, 0.95)["suspect_share"] < 0.001
    assert check.precision(AuditSize(rows=500, classes=2), 0.95) == {}
    with pytest.raises(ValueError, match="at least 1"):
        TrainingScanCheck(pool=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        TrainingScanCheck(level=0)
