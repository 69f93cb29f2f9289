"""hardware.cascade: edge and cloud as one system."""

import numpy as np
import pytest
from evasion_toys import ToyModel, box, classes, subject

from auditor.checks.hardware.cascade import GOALS, CascadeRuleCheck, _decide
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.targets.cascade import JoinedCascade, join_cascade

ROWS = 200
CHECK = CascadeRuleCheck(eps=(0.05, 0.2), queries=60, rows=80)


def made(below: float = 0.8, steepness: float = 20.0) -> Subject:
    """Two classes told apart by the mean of four numbers; the cloud knows a fifth one as well.

    The edge says sigmoid(steepness * (mean - 0.5)): it is unsure only near the middle.
    """
    rng = np.random.default_rng(5)
    rows = rng.random((ROWS, 5))
    labels = (rows[:, :4].mean(axis=1) + 0.2 * (rows[:, 4] - 0.5) > 0.5).astype(np.int64)
    edge = ToyModel(lambda x: _two(steepness * (x[:, :4].mean(axis=1) - 0.5)))
    cloud = ToyModel(lambda x: _two(100 * (x[:, :4].mean(axis=1) + 0.2 * (x[:, 4] - 0.5) - 0.5)))
    task = classes(2)
    joined = join_cascade(edge, cloud, below, task)
    assert isinstance(joined, JoinedCascade)
    seen = subject(edge, _absent(), rows, labels, box((5,)), task)
    seen.model, seen.cascade = joined.whole, joined
    return seen


def _two(logit: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(logit), logit], axis=1)


def _absent() -> Gap:
    return Gap(reason=GapReason.NEEDS_TWIN, detail="absent", cure="none")


def looked(seen: Subject) -> tuple[Reading, ...]:
    evidence = CHECK.observe(seen, CheckShard())
    kept: Evidence = {
        name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()
    }
    return CHECK.figures(kept, 0.95)


def one(found: tuple[Reading, ...], metric: str, eps: float | None = None) -> Measurement:
    (reading,) = [
        item
        for item in found
        if isinstance(item, Measurement)
        and item.metric == metric
        and (eps is None or item.params["eps"] == eps)
    ]
    return reading


def test_what_the_edge_is_unsure_of_goes_to_the_cloud_and_is_mended_there() -> None:
    seen = made()
    found = looked(seen)
    inputs = seen.datasets[DatasetRole.EVALUATION].inputs
    assert inputs is not None
    assert not isinstance(seen.cascade, Gap)
    edge = seen.cascade.edge
    sure = edge.probabilities(edge.predict(inputs)).max(axis=1)
    assert one(found, "deferral_rate").value == pytest.approx((sure < 0.8).mean())
    assert one(found, "deferred_accuracy").value == 1.0
    assert 0.5 < one(found, "kept_accuracy").value <= 1.0  # type: ignore[operator]  # a share


def test_the_whole_decides_as_its_halves_do() -> None:
    seen = made()
    inputs = seen.datasets[DatasetRole.EVALUATION].inputs
    assert inputs is not None
    assert not isinstance(seen.cascade, Gap)
    whole, edge, cloud = seen.cascade.whole, seen.cascade.edge, seen.cascade.cloud
    scores = whole.predict(inputs)
    first = edge.probabilities(edge.predict(inputs))
    deferred = first.max(axis=1) < 0.8
    assert 0 < deferred.sum() < ROWS
    assert np.array_equal(scores[~deferred], first[~deferred])
    second = cloud.probabilities(cloud.predict(inputs[deferred]))
    assert np.array_equal(scores[deferred], second)


def test_an_attacker_forces_rows_to_the_cloud_more_of_them_with_a_larger_budget() -> None:
    found = looked(made())
    small, large = (one(found, "forced_deferral_rate", eps) for eps in (0.05, 0.2))
    assert small.bound is BoundKind.AT_LEAST
    assert 0.1 < small.value < large.value  # type: ignore[operator]  # shares
    assert large.value > 0.8  # type: ignore[operator]  # a mean moves by 0.2, the unsure band is near


def test_an_attacker_keeps_wrong_decisions_from_the_cloud() -> None:
    found = looked(made())
    assert one(found, "suppressed_rate", 0.2).value > 0.5  # type: ignore[operator]  # a share


def test_a_decision_is_wrong_by_the_tasks_threshold_and_not_by_the_larger_class() -> None:
    """At 0.85, above the line of 0.8, a threshold of 0.9 decides for the other class."""
    rule = {"positive": 1, "threshold": 0.9}
    goal = GOALS["suppressed"](0.8, 2, lambda stated: _decide(stated, rule))
    stated = np.array([[0.15, 0.85], [0.15, 0.85], [0.05, 0.95], [0.3, 0.7]])
    assert goal.reached(stated, np.array([1, 0, 1, 1])).tolist() == [True, False, False, False]


def test_an_edge_that_is_never_unsure_defers_nothing_and_says_so() -> None:
    found = looked(made(below=0.5))
    assert one(found, "deferral_rate").value == 0
    gaps = {item.metric for item in found if isinstance(item, Gap)}
    assert gaps == {"deferred_accuracy"}


def test_one_place_is_no_cascade() -> None:
    seen = made()
    seen.cascade = _absent()
    (gap,) = looked(seen)
    assert isinstance(gap, Gap)
