from dataclasses import replace

import numpy as np
import pytest
from judged import outcome
from scored_subjects import ends, gaps, measured, read, scored
from shifted_subjects import Ruled
from surveyed_subjects import part, regressed

from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.checks.quality.claims import CHECK, ClaimedQualityCheck
from auditor.checks.quality.errors import RegressionErrorCheck
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import GapReason, Measurement
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.roc_auc import auc

METRIC = "claimed_minus_measured"


def claimed(right: int, rows: int, claims: dict[str, Json]) -> Subject:
    subject = scored(np.full(rows, 0.9), [1] * right + [0] * (rows - right))
    subject.claims = claims
    return subject


def of(subject: Subject, claim: str) -> Measurement:
    return measured(read(ClaimedQualityCheck(), subject), METRIC, claim=claim)


def test_a_claim_is_held_against_the_interval_of_the_measurement() -> None:
    found = of(claimed(90, 100, {"accuracy": 0.98}), "accuracy")
    oracle = clopper_pearson(90, 100, 0.95)
    assert found.value == pytest.approx(0.08)
    assert ends(found) == pytest.approx((0.98 - oracle.high, 0.98 - oracle.low))
    assert found.details["promises_too_much_where"] == "above 0"


def test_too_high_a_claim_is_found_and_a_true_one_is_not() -> None:
    assert ends(of(claimed(900, 1000, {"accuracy": 0.93}), "accuracy"))[0] > 0
    low, high = ends(of(claimed(900, 1000, {"accuracy": 0.9}), "accuracy"))
    assert low < 0 < high


def test_several_claims_hold_jointly() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(400)
    subject = scored(stated, rng.random(400) < stated)
    data = subject.datasets[DatasetRole.EVALUATION]
    assert data.labels is not None
    subject.claims = {"auc": 0.9, "brier": 0.1}
    oracle = auc(stated, data.labels == 1, 0.975)
    found = of(subject, "auc")
    assert ends(found) == pytest.approx((0.9 - oracle.high, 0.9 - oracle.low))
    assert found.confidence == 0.95
    assert of(subject, "brier").details["promises_too_much_where"] == "below 0"


@pytest.mark.parametrize(
    ("name", "too_good", "modest"),
    [
        *((name, 0.99, 0.3) for name in ("accuracy", "balanced_accuracy", "auc", "tpr", "ppv")),
        *((name, 0.01, 0.9) for name in ("nll", "brier", "fpr")),
    ],
)
def test_too_good_a_claim_of_anything_fails_one_rule_and_a_modest_one_keeps_it(
    name: str, too_good: float, modest: float
) -> None:
    rng = np.random.default_rng(3)
    stated = rng.random(2000)
    subject = scored(stated, rng.random(2000) < stated)
    for claim, expected in ((too_good, Outcome.FAILED), (modest, Outcome.PASSED)):
        subject.claims = {name: claim}
        judged = outcome(
            CHECK, read(ClaimedQualityCheck(), subject), "overclaim", MetricLimits(most=0.05)
        )
        assert judged is expected


def test_one_claim_too_good_among_true_ones_fails_the_rule_over_all() -> None:
    rng = np.random.default_rng(3)
    stated = rng.random(2000)
    subject = scored(stated, rng.random(2000) < stated)
    subject.claims = {"accuracy": 0.6, "auc": 0.7, "nll": 0.1}
    assert (
        outcome(CHECK, read(ClaimedQualityCheck(), subject), "overclaim", MetricLimits(most=0.05))
        is Outcome.FAILED
    )


@pytest.mark.parametrize(
    ("claim", "truth"), [("tpr", 40 / 60), ("fpr", 10 / 40), ("ppv", 40 / 50), ("accuracy", 0.7)]
)
def test_rates_of_the_positive_class_may_be_claimed(claim: str, truth: float) -> None:
    scores = [0.9] * 40 + [0.1] * 20 + [0.9] * 10 + [0.1] * 30
    subject = scored(scores, [1] * 60 + [0] * 40)
    subject.claims = {claim: truth}
    assert of(subject, claim).value == pytest.approx(0.0)


def test_a_name_that_nobody_knows_is_a_gap_that_lists_the_known_ones() -> None:
    readings = read(ClaimedQualityCheck(), claimed(9, 10, {"f2": 0.9, "accuracy": "high"}))
    assert {str(gap.params["claim"]) for gap in gaps(readings, "is no number")} == {
        "f2",
        "accuracy",
    }
    assert all("balanced_accuracy, auc, nll" in gap.cure for gap in gaps(readings, ""))


def test_what_the_task_has_not_is_a_gap() -> None:
    table = np.full((30, 3), 1 / 3)
    subject = scored(table, np.arange(30) % 3)
    subject.claims = {"tpr": 0.9, "mae": 1.0, "auc": 0.5}
    readings = read(ClaimedQualityCheck(), subject)
    assert [gap.reason for gap in gaps(readings, "")] == [GapReason.NOT_DEFINED] * 4
    assert of(subject, "auc").value == 0.0


def test_an_area_of_one_class_only_is_a_gap() -> None:
    gap, _ = gaps(read(ClaimedQualityCheck(), claimed(10, 10, {"auc": 0.9})), "auc has no interval")
    assert gap.metric == METRIC


def test_decisions_without_scores_have_no_log_loss() -> None:
    subject = claimed(9, 10, {"nll": 0.1})
    data = subject.datasets[DatasetRole.EVALUATION]
    told = part(DatasetRole.EVALUATION, None, data.labels, decisions=np.ones(10, dtype=np.int64))
    subject.datasets = {DatasetRole.EVALUATION: told}
    gap, _ = gaps(read(ClaimedQualityCheck(), subject), "decisions and no scores")
    assert gap.reason is GapReason.NEEDS_SCORES


def test_a_regression_may_claim_its_mean_error() -> None:
    truth = np.arange(100.0)
    said = truth + np.where(np.arange(100) % 2, 1.0, -3.0)
    data = part(DatasetRole.EVALUATION, said[:, None], targets=truth)
    subject = regressed(data, tolerance=2.0, claims={"mae": 1.5, "accuracy": 0.5, "auc": 0.9})
    assert of(subject, "mae").value == pytest.approx(-0.5)
    assert of(subject, "accuracy").value == 0.0
    assert len(gaps(read(ClaimedQualityCheck(), subject), "the task is a regression")) == 2


@pytest.mark.parametrize("people", [None, [str(row // 10) for row in range(200)]])
@pytest.mark.parametrize("claim", AccuracyCheck.emits)
def test_a_claim_has_the_interval_of_the_check_that_measures_the_same(
    claim: str, people: list[str] | None
) -> None:
    rng = np.random.default_rng(1)
    stated = rng.random(200)
    subject = scored(stated, rng.random(200) < stated, cluster=people)
    subject.claims = {claim: 0.8}
    low, high = ends(measured(read(AccuracyCheck(), subject), claim))
    assert ends(of(subject, claim)) == pytest.approx((0.8 - high, 0.8 - low))
    assert not of(subject, claim).doubted


@pytest.mark.parametrize("people", [None, [str(row // 5) for row in range(200)]])
def test_a_claimed_error_has_the_interval_of_the_check_of_errors(people: list[str] | None) -> None:
    truth, said = np.random.default_rng(2).normal(size=(2, 200))
    data = part(DatasetRole.EVALUATION, said[:, None], targets=truth, cluster=people)
    subject = regressed(data, claims={"mae": 1.0})
    low, high = ends(measured(read(RegressionErrorCheck(), subject), "mae"))
    assert ends(of(subject, "mae")) == pytest.approx((1 - high, 1 - low))


def test_the_check_is_found() -> None:
    assert CHECK is ClaimedQualityCheck


@pytest.mark.parametrize(
    ("claims", "share"),
    [
        ({"accuracy": 0.98}, 0.08 / 0.98),
        ({"accuracy": 0.8}, -0.1 / 0.9),
        ({"fpr": 0.5}, 0.5),
        ({"fpr": 1.0}, 0.0),
        ({"fpr": 0.0}, 1.0),
    ],
)
def test_a_claim_that_is_too_good_is_above_zero_whichever_end_is_better(
    claims: dict[str, Json], share: float
) -> None:
    (claim,) = claims
    found = measured(
        read(ClaimedQualityCheck(), claimed(90, 100, claims)), "overclaim", claim=claim
    )
    assert found.value == pytest.approx(share)
    low, high = ends(found)
    assert low <= share <= high


def test_an_error_that_is_larger_than_claimed_is_proven_so() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=300)
    errors = rng.exponential(46.7, 300)
    subject = regressed(part(DatasetRole.EVALUATION, (truth + errors)[:, None], targets=truth))
    subject.claims = {"mae": 30.0}
    assert ends(measured(read(ClaimedQualityCheck(), subject), "overclaim", claim="mae"))[0] > 0.02
    subject.claims = {"mae": 80.0}
    assert ends(measured(read(ClaimedQualityCheck(), subject), "overclaim", claim="mae"))[1] < 0.02


def test_an_endpoint_that_gives_labels_has_no_log_loss_to_claim() -> None:
    face = ModelInterface("x", (1,), "float32", None, "as_is", "y", "labels", "")
    model = Ruled(lambda rows: rows[:, 0] > 0, fingerprint=Fingerprint({}, {}, interface=face))
    subject = claimed(5, 10, {"nll": 0.5, "accuracy": 0.5})
    data = subject.datasets[DatasetRole.EVALUATION]
    rows = np.ones((10, 1), dtype=np.float32)
    subject = replace(subject, model=model, datasets={data.role: replace(data, inputs=rows)})
    readings = read(ClaimedQualityCheck(), subject)
    assert [gap.params for gap in gaps(readings, "decisions and no scores")] == [
        {"claim": "nll"}
    ] * 2
    assert measured(readings, METRIC, claim="accuracy").value == 0
