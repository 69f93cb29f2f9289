"""privacy.membership with ready shadow models: what they unlock, and what keeps them from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from exposed_subjects import GREEDY, MODEST, Retraining, drawn, exposed
from scored_subjects import ends, measured
from surveyed_subjects import sample

from auditor.attacks.privacy import shadow_models
from auditor.attacks.privacy.membership_verdicts import LeakVerdict
from auditor.attacks.privacy.retraining_agreement import Marks, RetrainingLikeness, measure_likeness
from auditor.attacks.privacy.shadow_training import ModelStack, ShadowTrainingSettings, train_stack
from auditor.checks.privacy.membership import CHECK
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap, GapReason, Reading
from auditor.domain.shadow_models import Include
from auditor.domain.tasks import Array, Floats
from auditor.errors import ShadowsError

ALL = {"attack": "all", "shadows": "all"}
READY = {"rounding": "none", "group": "all", "shadows": "ready"}
FEW = 60
"""Evaluation rows that no shadow model learnt from."""


@dataclass
class Ready:
    """Shadow models of a stack, and which rows of each dataset they learnt from."""

    stack: ModelStack
    include: Mapping[DatasetRole, Include]
    asked: list[int] = field(default_factory=list)

    def answers(
        self, model: int, asked: Sequence[Array], *, labels_only: bool = False
    ) -> tuple[Floats, ...]:
        self.asked.append(model)
        return tuple(self.stack.probabilities(rows)[model].astype(np.float64) for rows in asked)


def shadowed(
    subject: Subject,
    models: int = 6,
    settings: ShadowTrainingSettings = GREEDY,
    roles: tuple[DatasetRole, ...] = (DatasetRole.TRAINING, DatasetRole.EVALUATION),
    few: int = FEW,
) -> Subject:
    """Shadows of random halves of the rows, but for the last ``few`` evaluation rows."""
    rng, include = np.random.default_rng(3), {}
    for role in roles:
        include[role] = rng.random((models, subject.datasets[role].rows)) < 0.5
    if DatasetRole.EVALUATION in include and few:
        include[DatasetRole.EVALUATION][:, -few:] = False
    data = [subject.datasets[role] for role in roles]
    stack = train_stack(
        np.concatenate([item.inputs for item in data]),
        np.concatenate([item.labels for item in data]),
        3,
        np.concatenate(list(include.values()), axis=1),
        settings,
        seed=4,
    )
    return replace(subject, shadows=Ready(stack, include))


def read(subject: Subject, **fields: object) -> tuple[Reading, ...]:
    check = CHECK(**fields)
    return check.figures(check.observe(subject, CheckShard()), 0.95)


def lacking(found: tuple[Reading, ...]) -> list[Gap]:
    return [item for item in found if isinstance(item, Gap) and item.metric == "auc"]


def leaking(**fields: int) -> Subject:
    return exposed(GREEDY, others=260, **fields)


def test_ready_models_make_both_attacks_and_show_a_leak() -> None:
    found = read(shadowed(leaking()))
    for attack in ("rmia", "lira"):
        leak = measured(found, "auc", attack=attack, **READY)
        assert ends(leak)[0] > 0.55
        assert not leak.doubted
    assert lacking(found) == []
    verdict = measured(found, "verdict", **ALL)
    assert verdict.value == LeakVerdict.SHOWN
    alike = verdict.details["ready_shadows"]
    assert alike["retrained"] == 6
    assert FEW <= alike["rows"] < FEW + 20
    assert "recipe" not in verdict.details


def test_a_model_that_saw_neither_is_not_said_to_leak_by_them() -> None:
    subject = exposed(MODEST, on="neither", others=260)
    found = read(shadowed(subject, settings=MODEST))
    leak = measured(found, "auc", attack="lira", **READY)
    assert ends(leak)[0] < 0.5 < ends(leak)[1]
    assert measured(found, "verdict", **ALL).value != LeakVerdict.SHOWN


def test_no_row_of_the_pool_is_one_that_all_saw_or_none() -> None:
    subject = shadowed(leaking(), models=4)
    seen = CHECK().observe(subject, CheckShard())
    include = np.asarray(seen["include_ready"])
    assert include.shape[0] == 4
    assert 250 < include.shape[1] < 400
    assert include.any(axis=0).all()
    assert not include.all(axis=0).any()
    ids, member = np.asarray(seen["ids"]), np.asarray(seen["member"])
    for role, rows in ((DatasetRole.TRAINING, ids[member]), (DatasetRole.EVALUATION, ids[~member])):
        places = [subject.datasets[role].ids.index(name) for name in rows]
        part = include[:, member if role is DatasetRole.TRAINING else ~member]
        assert np.array_equal(subject.shadows.include[role][:, places], part)


def test_models_that_are_unlike_the_artifact_do_not_count() -> None:
    subject = shadowed(exposed(GREEDY, others=900), settings=MODEST, few=300)
    found = read(subject)
    (gap,) = lacking(found)
    assert gap.reason is GapReason.SHADOWS_MISMATCH
    assert gap.params == {"shadows": "ready"}
    assert "rows that none of them learnt from" in gap.detail
    assert not [it for it in found if it.params.get("shadows") == "ready" and it is not gap]
    assert gap.detail == measured(found, "verdict", **ALL).details["ready_shadows"]


def test_how_much_shadows_learnt_counts_rows_that_the_pool_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares: list[float] = []

    def noting(given: Marks, share: float) -> tuple[RetrainingLikeness, ...]:
        shares.append(share)
        return measure_likeness(given, share)

    monkeypatch.setattr(shadow_models, "measure_likeness", noting)
    subject = shadowed(leaking())
    include = {role: rows.copy() for role, rows in subject.shadows.include.items()}
    include[DatasetRole.TRAINING][:, 60:] = True
    read(replace(subject, shadows=Ready(subject.shadows.stack, include)))
    rows = subject.datasets[DatasetRole.TRAINING].rows
    learnt = sum(int(part.sum()) for part in include.values()) / len(
        subject.shadows.stack.weights[0]
    )
    assert shares == [pytest.approx(learnt / rows)]
    assert shares[0] > 1


def test_of_too_few_models_lira_is_a_gap_that_says_how_many_would_do() -> None:
    found = read(shadowed(leaking(), models=3))
    (gap,) = lacking(found)
    assert gap.reason is GapReason.NEEDS_SHADOWS
    assert gap.params == {"attack": "lira", "shadows": "ready"}
    assert "3 shadow models" in gap.detail
    assert "Name 1 more" in gap.cure
    assert measured(found, "auc", attack="rmia", **READY)


def test_models_of_training_rows_alone_make_rmia_and_no_lira() -> None:
    subject = shadowed(leaking(), roles=(DatasetRole.TRAINING,))
    found = read(subject)
    assert measured(found, "auc", attack="rmia", **READY).value > 0.55
    (gap,) = lacking(found)
    assert gap.params["attack"] == "lira"
    assert "[training, evaluation]" in gap.cure
    assert measured(found, "verdict", **ALL).details["ready_shadows"]["rows"] == 52, "a fifth"


def test_without_rows_that_none_learnt_from_nobody_can_say_that_they_are_alike() -> None:
    found = read(shadowed(leaking(), models=8, few=0))
    (gap,) = lacking(found)
    assert gap.reason is GapReason.TOO_FEW_ROWS
    assert "data.reference" in gap.cure


def test_reference_rows_stand_in_for_rows_that_are_held_back() -> None:
    subject = shadowed(leaking(), few=0)
    inputs, labels = drawn(np.random.default_rng(8), 120)
    reference = sample(inputs, labels, role=DatasetRole.REFERENCE)
    subject.datasets = {**subject.datasets, DatasetRole.REFERENCE: reference}
    found = read(subject)
    assert lacking(found) == []
    assert measured(found, "verdict", **ALL).details["ready_shadows"]["rows"] >= 120


def test_models_that_leave_too_few_rows_are_left_out_and_said_to_be() -> None:
    subject = shadowed(leaking())
    include = dict(subject.shadows.include)
    include[DatasetRole.TRAINING] = np.ones_like(include[DatasetRole.TRAINING])
    include[DatasetRole.TRAINING][:, :20] = [[True], [False]] * 3
    found = read(replace(subject, shadows=Ready(subject.shadows.stack, include)))
    (gap,) = lacking(found)
    assert gap.reason is GapReason.NEEDS_SHADOWS
    assert "random half" in gap.cure
    assert measured(found, "verdict", **ALL).details["members"] == 200


def test_models_in_another_order_than_the_matrix_make_a_weaker_attack() -> None:
    subject = shadowed(leaking(), models=8)
    include = {role: rows[::-1] for role, rows in subject.shadows.include.items()}
    mixed = replace(subject, shadows=Ready(subject.shadows.stack, include))
    right, wrong = (
        measured(read(it), "auc", attack="lira", **READY).value for it in (subject, mixed)
    )
    assert wrong < right - 0.02


def test_a_model_that_fails_is_named() -> None:
    class Broken(Ready):
        def answers(self, *_: object, **__: object) -> tuple[Floats, ...]:
            raise ShadowsError("the shadow model 0 (a.onnx) died", cure="Mend it.")

    subject = shadowed(leaking())
    broken = Broken(subject.shadows.stack, subject.shadows.include)
    found = read(replace(subject, shadows=broken))
    (gap,) = lacking(found)
    assert (gap.reason, gap.detail) == (GapReason.SHADOWS_FAILED, broken_words())
    assert measured(found, "verdict", **ALL).value == LeakVerdict.SHOWN


def broken_words() -> str:
    return "the shadow model 0 (a.onnx) died"


def test_ready_models_are_taken_in_place_of_a_recipe() -> None:
    recipe = Retraining(GREEDY)
    subject = replace(shadowed(leaking()), recipe=recipe)
    found = read(subject, retrained=4)
    assert recipe.rows == []
    assert subject.shadows.asked == list(range(6))
    assert "recipe" not in {it.params.get("shadows") for it in found}
    size = AuditSize(260, 3, beside={DatasetRole.TRAINING.value: 200}, shadows=6)
    check, bare = CHECK(retrained=4), AuditSize(260, 3, beside={DatasetRole.TRAINING.value: 200})
    assert check.cost(size).trained == 0 < check.cost(bare).trained
    assert check.cost(size).seconds > check.cost(bare).seconds + 6


@pytest.mark.parametrize("models", [2, 5])
def test_the_same_seed_sees_the_same(models: int) -> None:
    first, again = (CHECK().observe(shadowed(leaking(), models), CheckShard()) for _ in range(2))
    name = "chances_ready"
    assert np.asarray(first[name]).tobytes() == np.asarray(again[name]).tobytes()
