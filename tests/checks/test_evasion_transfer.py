from typing import Any

import numpy as np
import pytest
from evasion_toys import NOTHING, ToyModel, box, classes, linear, subject
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.transfer import SurrogateTraining, train_surrogate
from auditor.checks.evasion.transfer import CHECK, TransferAttackCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import Floats
from auditor.errors import PolicyError

EPS = (0.05, 0.1, 0.2)
COLUMNS = 10
CHECKED = TransferAttackCheck(eps=EPS, hidden=32, epochs=80)


def toy(seed: int = 0, rows: int = 200) -> Subject:
    model, _, _, _ = linear(seed, COLUMNS)
    drawn = 0.5 + 0.15 * np.random.default_rng(seed).normal(size=(rows, COLUMNS)).clip(-3, 3)
    labels = model.logits(drawn).argmax(axis=1)
    return subject(model, NOTHING, drawn, labels, box((COLUMNS,)), classes(2))


def measured(readings: tuple[Reading, ...]) -> list[Measurement]:
    found = [reading for reading in readings if isinstance(reading, Measurement)]
    assert len(found) == len(readings)
    return found


def curve(evidence: Evidence, check: TransferAttackCheck = CHECKED) -> list[Measurement]:
    readings = measured(check.figures(evidence, 0.95))
    return [item for item in readings if item.metric == "robust_accuracy"]


def test_a_linear_model_falls_to_its_copy_nearly_as_to_its_own_gradient() -> None:
    seen = toy()
    evidence = CHECKED.observe(seen, CheckShard())
    twin = linear(0, COLUMNS)[1]
    way = twin.weights[:, 1] - twin.weights[:, 0]
    logits = np.log(np.asarray(evidence["clean_probabilities"]))
    distance = np.abs(logits[:, 1] - logits[:, 0]) / np.abs(way).sum()
    for reading in curve(evidence):
        best = np.mean(distance > reading.params["eps"])  # type: ignore[operator]
        assert isinstance(reading.value, float)
        assert best - 1e-9 <= reading.value <= best + 0.05
        agreement = reading.details["agreement"]
        assert isinstance(agreement, float)
        assert agreement > 0.9


def test_the_target_is_asked_once_a_row_and_budget_and_never_in_between() -> None:
    seen = toy()
    evidence = CHECKED.observe(seen, CheckShard())
    assert isinstance(seen.model, ToyModel)
    whole, *judged = seen.model.seen
    assert len(whole) == 200  # the answers that every check shares
    live = [int(item["live"]) for item in evidence["settings"]["log"]]  # type: ignore[call-overload, index, union-attr]
    assert [len(rows) for rows in judged] == live
    assert len(judged) == len(EPS)
    assert curve(evidence)[0].details["teaching_queries"] == 100


def test_a_forest_without_a_gradient_falls_too() -> None:
    data = load_breast_cancer()
    low, high = data.data.min(axis=0), data.data.max(axis=0)
    rows = (data.data - low) / (high - low)
    forest = RandomForestClassifier(40, max_depth=6, random_state=0)
    forest.fit(rows[:300], data.target[:300])

    def logits(inputs: Floats) -> Floats:
        found: Floats = np.log(np.clip(forest.predict_proba(inputs), 1e-6, 1.0))
        return found

    seen = subject(ToyModel(logits), NOTHING, rows[300:], data.target[300:], box((30,)), classes(2))
    clean, *found = measured(CHECKED.figures(CHECKED.observe(seen, CheckShard()), 0.95))[:4]
    assert isinstance(clean.value, float)
    assert clean.value > 0.9
    assert found[-1].value < 0.5  # type: ignore[operator]


def test_it_is_judged_on_rows_whose_answers_it_never_saw() -> None:
    evidence = CHECKED.observe(toy(), CheckShard())
    first = toy().sample(next(iter(toy().datasets)), 100)
    assert evidence["ids"] == [f"row-{row}" for row in first]
    assert evidence["taught"] == 100


def test_a_constant_model_stays_right() -> None:
    model = ToyModel(lambda x: np.tile([3.0, 0.0], (len(x), 1)))
    rows, labels = np.random.default_rng(0).random((40, 4)), np.zeros(40, dtype=np.int64)
    seen = subject(model, NOTHING, rows, labels, box((4,)), classes(2))
    assert [item.value for item in curve(CHECKED.observe(seen, CheckShard()))] == [1.0, 1.0, 1.0]


@given(seed=st.integers(0, 10_000))
def test_the_slopes_of_a_surrogate_are_those_of_its_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.random((20, 3))
    rows[0, 0] = np.nan
    model = train_surrogate(rows, softmax(rng.normal(size=(20, 3))), SurrogateTraining(8, 3), rng)
    point, way = rng.random((1, 3)), rng.normal(size=(1, 3))
    pull = rng.normal(size=(1, 3))
    model.forward(point)
    slope = float((model.backward(pull) * way).sum())
    step = 1e-7
    ahead, behind = (model.forward(point + sign * step * way) for sign in (1, -1))
    assert slope == pytest.approx(float((pull * (ahead - behind)).sum()) / (2 * step), abs=1e-4)


def test_a_missing_value_and_a_column_that_never_moves_pull_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((30, 3))
    rows[:, 1], rows[:5, 2] = 0.4, np.nan
    model = train_surrogate(rows, softmax(rng.normal(size=(30, 2))), SurrogateTraining(8, 5), rng)
    assert np.isfinite(model.forward(rows)).all()
    gradient = model.backward(np.ones((30, 2)) * [1.0, -1.0])
    assert not gradient[:, 1].any()
    assert not gradient[:5, 2].any()
    assert gradient[5:, 2].any()


def test_figures_need_the_stored_evidence_and_nothing_else() -> None:
    evidence = CHECKED.observe(toy(), CheckShard())
    stored: dict[str, Any] = {
        name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()
    }
    assert CHECKED.figures(stored, 0.9) == CHECKED.figures(evidence, 0.9)


def test_the_same_subject_gives_the_same_bytes() -> None:
    first, second = (CHECKED.observe(toy(), CheckShard()) for _ in range(2))
    for name in first:
        assert encode_evidence(first[name]).digest == encode_evidence(second[name]).digest, name


def test_queries_stay_within_the_cost_that_was_told() -> None:
    seen = toy()
    CHECKED.observe(seen, CheckShard())
    assert isinstance(seen.model, ToyModel)
    assert 0 < seen.model.queries <= CHECKED.cost(AuditSize(rows=200, classes=2)).queries


def test_too_few_rows_give_a_gap() -> None:
    (gap,) = CHECKED.figures(CHECKED.observe(toy(rows=18), CheckShard()), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS


def test_every_budget_gives_at_least_three_eps_and_a_bound() -> None:
    for budget in Budget:
        made = TransferAttackCheck(**CHECK.presets[budget])  # type: ignore[arg-type]
        assert len(set(made.eps)) >= 3
    assert CHECK.emits["robust_accuracy"].bound is BoundKind.AT_MOST


@pytest.mark.parametrize("wrong", [{"eps": ()}, {"hidden": 0}, {"epochs": 0}, {"steps": 0}])
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        TransferAttackCheck(**wrong)
