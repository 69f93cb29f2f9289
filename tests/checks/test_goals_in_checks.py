"""Costs, rejections and goals for single classes, all the way to the readings."""

from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, subject

from auditor.attacks.evasion.attack_setup import REPEATS
from auditor.checks.evasion.l2 import L2EvasionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Measurement
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.errors import PolicyError

COLUMNS = 6
EPS = (0.05, 0.1, 0.3)
NAMES = ("deny", "refer", "approve")
WEIGHTS = np.zeros((COLUMNS, 3))
WEIGHTS[0], WEIGHTS[1] = (-4.0, 0.0, 4.0), (0.0, 2.0, 0.0)
BIAS = np.array([2.0, -0.9, -2.0])
"""The first column decides between deny and approve at 0.5; the second one votes for refer."""


def logits(rows: Floats) -> Floats:
    scores: Floats = rows @ WEIGHTS + BIAS
    return scores


def loans(rows: int = 120, seed: int = 0, **more: object) -> Subject:
    """Rows whose truth is deny or approve by the first column alone."""
    task = replace(ClassificationTask(NAMES, "approve", "approve"), **more)  # type: ignore[arg-type]
    drawn = np.random.default_rng(seed).random((rows, COLUMNS))
    labels = np.where(drawn[:, 0] > 0.5, 2, 0)
    return subject(
        ToyModel(logits), LinearTwin(WEIGHTS, BIAS), drawn, labels, box((COLUMNS,)), task
    )


def data_of(seen: Subject, evidence: Evidence) -> tuple[Floats, Floats]:
    data = next(iter(seen.datasets.values()))
    places = [int(str(name).removeprefix("row-")) for name in evidence["ids"]]  # type: ignore[union-attr]
    assert data.inputs is not None
    assert data.labels is not None
    return data.inputs[places].astype(np.float64), data.labels[places]


def readings(
    check: LinfEvasionCheck | L2EvasionCheck | LinfQueryCheck, evidence: Evidence, metric: str
) -> list[Measurement]:
    found = check.figures(evidence, 0.95)
    return [item for item in found if isinstance(item, Measurement) and item.metric == metric]


def values(
    check: LinfEvasionCheck | L2EvasionCheck | LinfQueryCheck, evidence: Evidence, metric: str
) -> list[float]:
    return [float(item.value) for item in readings(check, evidence, metric)]  # type: ignore[arg-type]


def reaches(rows: Floats, eps: float, decision: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether a change of each number by ``eps`` makes the linear model decide so, on paper.

    The corners decide: of the two columns that matter, each goes to one of its ends.
    """
    found = np.zeros(len(rows), dtype=np.bool_)
    for first in (-eps, eps):
        for second in (-eps, eps):
            moved = rows.copy()
            moved[:, 0] = np.clip(moved[:, 0] + first, 0, 1)
            moved[:, 1] = np.clip(moved[:, 1] + second, 0, 1)
            found |= logits(moved).argmax(axis=1) == decision
    return found


def test_only_costly_decisions_count_as_broken() -> None:
    costs = ((0.0, 0.0, 10.0), (0.0, 0.0, 0.0), (3.0, 0.0, 0.0))
    seen, check = loans(costs=costs), LinfEvasionCheck(eps=EPS)
    evidence = check.observe(seen, CheckShard())
    rows, labels = data_of(seen, evidence)
    wanted = [
        np.mean(~np.where(labels == 0, reaches(rows, eps, 2), reaches(rows, eps, 0))) for eps in EPS
    ]
    assert values(check, evidence, "robust_accuracy") == pytest.approx(wanted)
    details = readings(check, evidence, "robust_accuracy")[0].details
    assert details["success"] == "decisions that cost something"
    assert details["harmless_confusions"] == 4
    plain = LinfEvasionCheck(eps=EPS)
    free = plain.observe(loans(), CheckShard())
    assert values(plain, free, "robust_accuracy")[0] < wanted[0]


def test_the_expected_cost_is_what_the_decisions_found_cost() -> None:
    costs = ((0.0, 0.0, 10.0), (0.0, 0.0, 0.0), (3.0, 0.0, 0.0))
    seen, check = loans(costs=costs), LinfEvasionCheck(eps=EPS)
    evidence = check.observe(seen, CheckShard())
    rows, labels = data_of(seen, evidence)
    for reading, eps in zip(readings(check, evidence, "expected_cost"), EPS, strict=True):
        paid = np.where(labels == 0, 10.0 * reaches(rows, eps, 2), 3.0 * reaches(rows, eps, 0))
        assert reading.value == pytest.approx(paid.mean())
        assert reading.bound is BoundKind.AT_LEAST
        assert reading.params == {"eps": eps, "norm": "linf"}
        assert reading.details["without_attack"] == 0.0
        assert reading.low <= reading.value <= reading.high <= 10.0  # type: ignore[operator]


def test_a_row_that_is_wrong_from_the_start_costs_what_it_costs() -> None:
    costs = ((0.0, 0.0, 10.0), (0.0, 0.0, 0.0), (3.0, 0.0, 0.0))
    model = ToyModel(lambda x: np.tile([0.0, 0.0, 5.0], (len(x), 1)))
    twin = LinearTwin(np.zeros((COLUMNS, 3)), np.array([0.0, 0.0, 5.0]))
    rows, labels = np.full((20, COLUMNS), 0.5), np.repeat([0, 2], 10)
    task = ClassificationTask(NAMES, "approve", "approve", costs=costs)
    check = LinfEvasionCheck(eps=EPS)
    evidence = check.observe(
        subject(model, twin, rows, labels, box((COLUMNS,)), task), CheckShard()
    )
    assert values(check, evidence, "expected_cost") == [5.0, 5.0, 5.0]
    assert values(check, evidence, "robust_accuracy") == [0.5, 0.5, 0.5]


def test_without_costs_nothing_is_said_of_them() -> None:
    check = LinfEvasionCheck(eps=EPS)
    evidence = check.observe(loans(), CheckShard())
    assert readings(check, evidence, "expected_cost") == []
    assert "success" not in readings(check, evidence, "robust_accuracy")[0].details


def test_an_attack_that_only_achieves_a_rejection_is_no_success() -> None:
    # The second column can make the model refer each row, and nothing else.
    weights, bias = np.zeros((COLUMNS, 3)), np.array([1.0, 0.0, 0.0])
    weights[1, 1] = 4.0
    rows = np.full((30, COLUMNS), 0.2)
    labels = np.zeros(30, dtype=np.int64)
    made = {}
    for reject in (None, "refer"):
        task = ClassificationTask(NAMES, "approve", "approve", reject=reject)
        model, twin = ToyModel(lambda x: x @ weights + bias), LinearTwin(weights, bias)
        seen = subject(model, twin, rows, labels, box((COLUMNS,)), task)
        made[reject] = values(
            LinfEvasionCheck(eps=EPS),
            LinfEvasionCheck(eps=EPS).observe(seen, CheckShard()),
            "robust_accuracy",
        )
    assert made == {None: [1.0, 0.0, 0.0], "refer": [1.0, 1.0, 1.0]}


def test_a_row_that_is_rejected_without_attack_is_neither_right_nor_broken() -> None:
    seen, check = loans(reject="refer"), LinfEvasionCheck(eps=EPS)
    evidence = check.observe(seen, CheckShard())
    rows, labels = data_of(seen, evidence)
    decided = logits(rows).argmax(axis=1)
    rejected = int((decided == 1).sum())
    assert rejected > 3
    clean = readings(check, evidence, "clean_accuracy")[0]
    assert clean.value == pytest.approx(np.mean(decided == labels))
    for reading in readings(check, evidence, "robust_accuracy"):
        details = reading.details
        assert details["reject"] == "refer"
        assert details["rejected_without_attack"] == rejected
        right = round(float(reading.value) * len(rows))  # type: ignore[arg-type]
        assert right + details["broken"] + details["wrong_without_attack"] == len(rows)  # type: ignore[operator]
        assert details["wrong_without_attack"] == int((decided != labels).sum())


def test_an_attack_that_turns_a_rejection_into_harm_costs_what_it_costs() -> None:
    costs = ((0.0, 1.0, 10.0), (0.0, 0.0, 0.0), (10.0, 1.0, 0.0))
    seen, check = loans(costs=costs, reject="refer"), LinfEvasionCheck(eps=EPS)
    evidence = check.observe(seen, CheckShard())
    rows, labels = data_of(seen, evidence)
    before = np.array(costs)[labels, logits(rows).argmax(axis=1)]
    assert set(before) == {0.0, 1.0}
    for value, eps in zip(values(check, evidence, "expected_cost"), EPS, strict=True):
        harm = np.where(labels == 0, reaches(rows, eps, 2), reaches(rows, eps, 0))
        assert value == pytest.approx(np.where(harm, 10.0, before).mean())


@pytest.mark.parametrize(
    "check",
    [LinfEvasionCheck(eps=EPS), L2EvasionCheck(eps=EPS), LinfQueryCheck(eps=EPS, iterations=60)],
)
def test_rows_of_other_labels_are_left_out_of_a_goal_for_one(
    check: LinfEvasionCheck | L2EvasionCheck | LinfQueryCheck,
) -> None:
    narrow = replace(check, label="approve", decision="deny")
    seen = loans()
    evidence = narrow.observe(seen, CheckShard())
    rows, labels = data_of(seen, evidence)
    assert set(labels) == {2}
    everything = next(iter(seen.datasets.values())).labels
    assert everything is not None
    assert len(rows) == int((everything == 2).sum())
    norm = narrow.id.split(".")[1].removesuffix("_query")
    for item in narrow.figures(evidence, 0.95):
        assert isinstance(item, Measurement)
        place = {name: value for name, value in item.params.items() if name != "eps"}
        assert place == {"norm": norm, "label": "approve", "decision": "deny"}
    if norm == "linf" and isinstance(narrow, LinfEvasionCheck):
        wanted = [np.mean(~reaches(rows, eps, 0)) for eps in EPS]
        assert values(narrow, evidence, "robust_accuracy") == pytest.approx(wanted)


def test_approve_becomes_deny_and_deny_becomes_approve_are_two_figures() -> None:
    # Applicants for whom nearly everything speaks are hard to deny and easy to approve.
    weights, bias = np.zeros((COLUMNS, 2)), np.array([0.0, 0.0])
    weights[:, 1] = 1.0
    bias[1] = -2.0
    rows = np.random.default_rng(1).random((200, COLUMNS))
    model, twin = ToyModel(lambda x: x @ weights + bias), LinearTwin(weights, bias)
    labels = model.logits(rows).argmax(axis=1)
    task = ClassificationTask(("deny", "approve"), "approve", "approve")
    found = {}
    for label, decision in (("approve", "deny"), ("deny", "approve")):
        check = LinfEvasionCheck(eps=(0.1,), label=label, decision=decision)
        seen = subject(model, twin, rows, labels, box((COLUMNS,)), task)
        found[label] = values(check, check.observe(seen, CheckShard()), "robust_accuracy")[0]
    assert found["approve"] > found["deny"] + 0.2


def test_a_goal_for_one_class_is_counted_again_from_stored_evidence() -> None:
    check = LinfEvasionCheck(eps=EPS, decision="deny")
    costs = ((0.0, 1.0, 10.0), (2.0, 0.0, 1.0), (10.0, 1.0, 0.0))
    evidence = check.observe(loans(costs=costs, reject="refer"), CheckShard())
    stored = {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}
    assert check.figures(stored, 0.9) == check.figures(evidence, 0.9)


def test_a_class_that_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(PolicyError, match="'grant', which the task does not have"):
        LinfEvasionCheck(label="grant").observe(loans(), CheckShard())
    with pytest.raises(PolicyError, match="no row of the evaluation data"):
        LinfEvasionCheck(label="refer").observe(loans(), CheckShard())
    with pytest.raises(PolicyError, match="right for the label"):
        LinfEvasionCheck(label="deny", decision="deny")


def test_the_clean_answers_of_a_random_model_are_averaged_like_those_of_candidates() -> None:
    rng = np.random.default_rng(5)
    model = ToyModel(lambda x: np.stack([x[:, 0], 1 - x[:, 0]], 1) + rng.normal(size=(len(x), 2)))
    model.deterministic = False
    rows, labels = np.full((40, 2), 0.9), np.zeros(40, dtype=np.int64)
    seen = subject(
        model, LinearTwin(np.zeros((2, 2)), np.zeros(2)), rows, labels, box((2,)), classes(2)
    )
    check = LinfEvasionCheck(eps=(0.01, 0.02, 0.03), stages=("cross_entropy:1",))
    evidence = check.observe(seen, CheckShard())
    clean = np.asarray(evidence["clean_probabilities"])
    # One answer is wrong in three of ten rows; the mean of eight in few.
    assert np.mean(clean.argmax(axis=1) != 0) < 0.15
    assert [len(asked) for asked in model.seen[:REPEATS]] == [40] * REPEATS
    assert all(item.doubted for item in readings(check, evidence, "clean_accuracy"))
