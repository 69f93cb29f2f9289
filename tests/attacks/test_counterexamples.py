"""Counterexamples are judged by the frame's own threat, against what the evidence counted."""

from dataclasses import replace

import numpy as np
import pytest

from auditor.attacks.counterexamples.refutable_claims import (
    ExampleOutcomes,
    claims_of,
    weigh_examples,
)
from auditor.attacks.counterexamples.submission import (
    ChallengeContext,
    CounterexampleBatch,
    build_threat_factory,
)
from auditor.attacks.evasion.evidence import recount_rows, write_goal
from auditor.attacks.evasion.goals import untargeted_goal
from auditor.attacks.evasion.norms import Norm
from auditor.checks.evasion.certified import CertifiedRobustnessCheck
from auditor.checks.evasion.corruption import CorruptionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.domain.challenges import CounterexampleKind, ExampleResult
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Measurement
from auditor.domain.tasks import ClassificationTask, InputSpace

TASK = ClassificationTask(("no", "yes"), "yes", "yes", 0.5)
SPACE = InputSpace(np.zeros(2), np.ones(2), np.zeros(2), np.array([True, False]))
CLEAN = np.array([[0.2, 0.5], [0.4, 0.5], [0.6, 0.5], [0.9, 0.5]])
"""Rows a to d; the model says yes from 0.5 on in the first column. d is labelled wrongly."""
LABELS = np.array([0, 0, 1, 0])
IDS = ["a", "b", "c", "d"]


def model(inputs: np.ndarray) -> np.ndarray:
    yes = np.where(inputs[:, 0] >= 0.5, 0.9, 0.1)
    return np.stack([1 - yes, yes], axis=1)


@pytest.fixture
def attacked() -> Evidence:
    """An attack at 0.1 and 0.2 that broke b at 0.15, and nothing else."""
    crafted = np.array([[0.2, 0.5], [0.55, 0.5], [0.6, 0.5], [0.9, 0.5]])
    return {
        "settings": {
            "eps": [0.1, 0.2], "norm": "linf", "goal": write_goal(untargeted_goal(TASK)),
            "movable": [1, 1], "radius": [[0.1, 0.1], [0.2, 0.2]], "coordinates": 2,
            "log": [], "repeats": 1, "channels": None, "deterministic": True,
        },
        "ids": IDS, "labels": LABELS, "groups": {},
        "clean_probabilities": model(CLEAN), "adversarial_probabilities": model(crafted),
        "distance": np.array([np.inf, 0.15, np.inf, 0.0]),
    }  # fmt: skip


def given(*points: tuple[str, list[float]], said: np.ndarray | None = None) -> CounterexampleBatch:
    inputs = np.array([point for _, point in points])
    rows = tuple(row for row, _ in points)
    known = np.array([row in IDS for row in rows])
    at = np.array([IDS.index(row) if row in IDS else 0 for row in rows])
    answers = model(inputs) if said is None else said
    ground = ChallengeContext(
        inputs=CLEAN, labels=LABELS, places={row: place for place, row in enumerate(IDS)},
        task=TASK, ask=model, threat=build_threat_factory(SPACE, (2,), whole=False), space=SPACE,
    )  # fmt: skip
    return CounterexampleBatch(
        ground=ground, kind=CounterexampleKind.INPUTS, inputs=inputs, rows=rows, known=known,
        disputed=np.zeros(len(rows), dtype=np.bool_),
        clean=CLEAN[at], labels=LABELS[at], said=answers, said_clean=model(CLEAN[at]),
    )  # fmt: skip


def under(check: Check, evidence: Evidence, offered: CounterexampleBatch) -> ExampleOutcomes:
    claims = claims_of(check, evidence, {}, offered.kind)
    assert not isinstance(claims, str)
    return weigh_examples(check.id, claims, evidence, offered)


def robust(evidence: Evidence) -> dict[float, float]:
    check = LinfEvasionCheck(eps=(0.1, 0.2), stages=("square:1",))
    found = [item for item in check.figures(evidence, 0.95) if isinstance(item, Measurement)]
    return {
        float(item.params["eps"]): round(float(item.value) * 4)  # type: ignore[arg-type]  # a share
        for item in found
        if item.metric == "robust_accuracy"
    }


@pytest.mark.parametrize(
    ("row", "point", "result"),
    [
        ("b", [0.5, 0.5], ExampleResult.HOLDS),
        ("c", [0.41, 0.5], ExampleResult.HOLDS),
        ("b", [0.56, 0.5], ExampleResult.BROKEN_BEFORE),
        ("b", [0.45, 0.5], ExampleResult.NOT_MISCLASSIFIED),
        ("a", [0.5, 0.5], ExampleResult.OUTSIDE_BUDGET),
        ("a", [0.2, 0.6], ExampleResult.OUTSIDE_SPACE),
        ("c", [0.45, 0.4], ExampleResult.OUTSIDE_SPACE),
        ("d", [0.85, 0.5], ExampleResult.WRONG_BEFORE),
        ("z", [0.5, 0.5], ExampleResult.NOT_OF_THE_DATA),
    ],
)
def test_each_example_gets_its_reason(
    attacked: Evidence, row: str, point: list[float], result: ExampleResult
) -> None:
    (trial,) = under(LinfEvasionCheck(), attacked, given((row, point))).trials
    assert trial.result is result


def test_an_example_that_holds_lowers_the_budgets_that_it_keeps_and_no_other(
    attacked: Evidence,
) -> None:
    assert robust(attacked) == {0.1: 3, 0.2: 2}
    held = under(LinfEvasionCheck(), attacked, given(("b", [0.5, 0.5]), ("c", [0.41, 0.5])))
    assert [item.eps for item in held.trials] == [0.1, 0.2]
    assert held.evidence is not None
    assert robust(held.evidence) == {0.1: 2, 0.2: 1}


def test_of_two_examples_for_a_row_the_nearer_counts(attacked: Evidence) -> None:
    near, far = ("c", [0.45, 0.5]), ("c", [0.41, 0.5])
    for order in ((near, far), (far, near)):
        held = under(LinfEvasionCheck(), attacked, given(*order))
        assert held.evidence is not None
        assert recount_rows(held.evidence).breaking[2] == pytest.approx(0.15)


def test_a_picture_that_is_shown_is_measured_as_the_example(attacked: Evidence) -> None:
    shown = {
        **attacked,
        "example_places": np.array([1]), "example_clean": CLEAN[1:2],
        "example_adversarial": np.array([[0.55, 0.5]]), "range": np.ones(2),
    }  # fmt: skip
    held = under(LinfEvasionCheck(), shown, given(("b", [0.5, 0.5])))
    assert held.evidence is not None
    assert recount_rows(held.evidence).breaking[1] == pytest.approx(0.1)


def test_a_row_that_the_target_gets_wrong_by_now_is_no_success_of_the_example(
    attacked: Evidence,
) -> None:
    offered = given(("c", [0.45, 0.5]))
    wrong = replace(offered, said_clean=model(np.array([[0.0, 0.5]])))
    (trial,) = under(LinfEvasionCheck(), attacked, wrong).trials
    assert trial.result is ExampleResult.WRONG_BEFORE


def test_a_label_that_is_disputed_refutes_nothing(attacked: Evidence) -> None:
    offered = replace(given(("c", [0.45, 0.5])), disputed=np.array([True]))
    (trial,) = under(LinfEvasionCheck(), attacked, offered).trials
    assert trial.result is ExampleResult.OTHER_LABEL


@pytest.mark.parametrize(
    ("row", "point", "result"),
    [
        ("c", [0.45, 0.5], ExampleResult.HOLDS),
        ("c", [0.41, 0.5], ExampleResult.NOT_PROVED),
        ("b", [0.45, 0.5], ExampleResult.NOT_MISCLASSIFIED),
        ("a", [0.5, 0.5], ExampleResult.NOT_PROVED),
        ("c", [0.45, 0.4], ExampleResult.OUTSIDE_SPACE),
        ("d", [0.85, 0.5], ExampleResult.WRONG_BEFORE),
    ],
)
def test_one_example_within_what_was_proved_shows_the_proof_to_be_false(
    row: str, point: list[float], result: ExampleResult
) -> None:
    proved = {
        "settings": {
            "gap": None, "kind": "network", "method": "interval", "eps": [0.05, 0.16],
            "goal": write_goal(untargeted_goal(TASK)),
        },
        "ids": IDS, "labels": LABELS, "clean_probabilities": model(CLEAN),
        "lead_interval": np.array([[1.0, 1, 1, 1], [-1, 1, 1, 1]]),
    }  # fmt: skip
    found = under(CertifiedRobustnessCheck(), proved, given((row, point)))
    assert found.trials[0].result is result
    assert found.disproved is (result is ExampleResult.HOLDS)
    assert found.evidence is None


def test_accuracy_is_refuted_by_an_answer_that_does_not_repeat_and_by_no_chosen_row() -> None:
    seen = {
        "ids": np.array(IDS), "labels": LABELS, "probabilities": model(CLEAN),
        "decided": TASK.decide(model(CLEAN)),
        "task": {"classes": ["no", "yes"], "positive": 1, "decided_otherwise": 0},
    }  # fmt: skip
    points = (("a", [0.2, 0.5]), ("b", [0.41, 0.5]), ("d", [0.9, 0.5]), ("", [0.9, 0.9]))
    flipped = 1 - model(np.array([point for _, point in points]))
    found = under(AccuracyCheck(), seen, given(*points, said=flipped))
    assert [item.result for item in found.trials] == [
        ExampleResult.HOLDS, ExampleResult.CHANGED, ExampleResult.WRONG_BEFORE,
        ExampleResult.NOT_OF_THE_DATA,
    ]  # fmt: skip
    assert found.evidence is not None
    shares = [
        next(
            item.value
            for item in AccuracyCheck().figures(one, 0.95)
            if isinstance(item, Measurement)
        )
        for one in (seen, found.evidence)
    ]
    assert shares == [0.75, 0.5]


def test_a_nearer_example_counts_where_it_moves_the_median_distance(attacked: Evidence) -> None:
    near = {**attacked, "distance": np.array([np.inf, 0.15, 0.2, 0.0])}
    near["adversarial_probabilities"] = model(np.array([[0.2], [0.55], [0.4], [0.9]]))
    told = under(LinfEvasionCheck(), near, given(("b", [0.51, 0.5]), ("c", [0.41, 0.5])))
    assert [item.result for item in told.trials] == [
        ExampleResult.HOLDS,
        ExampleResult.BROKEN_BEFORE,
    ]
    assert told.evidence is not None
    medians = [
        next(item.value for item in LinfEvasionCheck(eps=(0.1, 0.2)).figures(one, 0.95)
             if isinstance(item, Measurement) and item.metric == "min_breaking_eps")
        for one in (near, told.evidence)
    ]  # fmt: skip
    assert medians == [pytest.approx(0.15), pytest.approx(0.11)]


def test_an_average_cannot_be_challenged_by_examples_and_says_why(attacked: Evidence) -> None:
    why = claims_of(CorruptionCheck(), attacked, {}, CounterexampleKind.INPUTS)
    assert isinstance(why, str)
    assert why.startswith("evasion.corruption cannot be challenged by examples because it is an")
    assert given(("b", [0.5, 0.5])).ground.threat(Norm.LINF, 0.1).eps == 0.1
