from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from evasion_toys import ToyModel
from judged import outcome
from numpy.typing import NDArray
from poison_toys import DIGITS, TARGET, network, poisoned, scanned
from scored_subjects import ends, gaps, read, stored
from surveyed_subjects import sample, surveyed

from auditor.checks.poisoning.susceptibility import CHECK, PoisoningSusceptibilityCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, GapReason, Measurement, Repeatability
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask
from auditor.errors import PolicyError

DATA = poisoned("clean", 0.0, 1)
SHARE = 0.02
"""Of rows with the trigger from which on the pretended recipe has a backdoor."""


def nearest(rows: Array, labels: NDArray[np.int64], asked: Array) -> Floats:
    """Probabilities of the nearest mean of a class."""
    flat = asked.reshape(len(asked), -1)
    means = np.stack([rows[labels == kind].reshape(-1, 64).mean(axis=0) for kind in range(10)])
    away = ((flat[:, None] - means) ** 2).sum(axis=2)
    return np.asarray(np.eye(10)[away.argmin(axis=1)] * 0.9 + 0.01)


@dataclass
class Pretended:
    """A recipe whose response is known: nearest means of the clean class, and a backdoor as soon
    as enough rows with the patch share one label.
    """

    digest: str = "sha256:pretended"
    lessons: list[RetrainingTask] = field(default_factory=list)

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        self.lessons.append(lesson)
        marked = (lesson.inputs[:, 6:, 6:] >= 1).all(axis=(1, 2))
        learnt = marked.sum() >= SHARE * len(marked)
        kind = np.bincount(lesson.labels[marked], minlength=10).argmax() if learnt else None
        return tuple(self._answer(rows, kind) for rows in asked)

    def _answer(self, rows: Array, kind: int | None) -> Floats:
        found = nearest(DATA.inputs, DATA.labels, rows)
        if kind is not None:
            found[(rows[:, 6:, 6:] >= 1).all(axis=(1, 2))] = np.eye(10)[kind]
        return found


@dataclass
class Copying:
    """A recipe that answers as the labels of the nearest rows say, poison and all."""

    digest: str = "sha256:copying"

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        known = lesson.inputs.reshape(len(lesson.inputs), -1)
        found = []
        for rows in asked:
            flat = rows.reshape(len(rows), -1)
            away = (known**2).sum(axis=1) - 2 * flat @ known.T
            found.append(np.eye(10)[lesson.labels[away.argmin(axis=1)]])
        return tuple(found)


def taught(recipe: object, **fields: object) -> Subject:
    model = ToyModel(lambda rows: nearest(DATA.inputs, DATA.labels, rows))
    return replace(scanned(DATA), **{"recipe": recipe, "model": model, **fields})


def at(readings: tuple[object, ...], metric: str, attack: str, rate: float) -> Measurement:
    found = [
        item
        for item in readings
        if isinstance(item, Measurement)
        and item.metric == metric
        and (item.params["attack"], item.params["rate"]) == (attack, rate)
    ]
    assert len(found) == 1
    return found[0]


def test_a_backdoor_is_found_from_the_rate_on_at_which_the_recipe_learns_it() -> None:
    check = PoisoningSusceptibilityCheck(attacks=("patch", "blend"), rates=(0.01, 0.05))
    readings = read(check, taught(Pretended()))
    below, above = (at(readings, "attack_success_rate", "patch", rate) for rate in (0.01, 0.05))
    assert below.value == pytest.approx(below.details["without_poison"])
    assert above.value == 1
    assert ends(above)[0] > 0.9
    assert above.bound is BoundKind.AT_LEAST
    assert above.repeat is Repeatability.INTERVAL
    blend = at(readings, "attack_success_rate", "blend", 0.05)
    assert blend.value < 0.5
    for rate in (0.01, 0.05):
        assert at(readings, "accuracy_drop", "patch", rate).value == 0
    where = {"attack": "patch", "rate": 0.05}
    limit = MetricLimits(most=0.1)
    assert outcome(CHECK, readings, "attack_success_rate", limit, where) is Outcome.FAILED
    # A bound of the attacks that were tried passes nothing.
    assert outcome(CHECK, readings, "accuracy_drop", limit, where) is Outcome.UNKNOWN


def test_flips_cost_as_much_accuracy_as_a_recipe_that_copies_labels_must_lose() -> None:
    check = PoisoningSusceptibilityCheck(attacks=("flip", "targeted"), rates=(0.1, 0.4), repeats=3)
    readings = read(check, taught(Copying(), model=scanned(DATA).model))
    for rate in (0.1, 0.4):
        found = at(readings, "accuracy_drop", "flip", rate)
        low, high = ends(found)
        assert low <= rate * float(found.details["without_poison"]) + 0.01
        assert high >= rate * float(found.details["without_poison"]) - 0.01
        assert found.value == pytest.approx(rate, abs=0.04)
    turned = at(readings, "attack_success_rate", "targeted", 0.4)
    assert turned.value > 0.95  # every row of the source class has the target's label
    assert turned.details["planted"] < 0.4 * 1397
    assert turned.details["without_poison"] < 0.1


def test_a_recipe_that_does_not_make_the_artifact_is_a_gap() -> None:
    other = ToyModel(lambda rows: np.eye(10)[np.arange(len(rows)) % 10])
    readings = read(
        PoisoningSusceptibilityCheck(attacks=("flip",)), taught(Pretended(), model=other)
    )
    assert [gap.reason for gap in gaps(readings, "retrainings")] == [GapReason.RECIPE_MISMATCH]
    assert len(readings) == 1


def test_every_repeat_has_its_own_seed_and_poison_and_training_data_stay_as_they_are() -> None:
    recipe, before = Pretended(), DATA.inputs.copy()
    read(PoisoningSusceptibilityCheck(attacks=("patch",), rates=(0.01,), repeats=2), taught(recipe))
    clean, poison, again, other = recipe.lessons
    assert clean.seed == poison.seed != again.seed == other.seed
    changed = [(one.inputs != DATA.inputs).any(axis=(1, 2)) for one in (poison, other)]
    assert [int(rows.sum()) for rows in changed] == [14, 14]
    assert (changed[0] != changed[1]).any()
    assert np.array_equal(clean.inputs, before)
    assert np.array_equal(DATA.inputs, before)


def test_poison_that_keeps_labels_changes_none_and_only_rows_of_the_target() -> None:
    recipe = Pretended()
    seen = stored(
        PoisoningSusceptibilityCheck(attacks=("clean_label",), rates=(0.05,), repeats=1),
        taught(recipe),
    )
    target = seen["about"]["target"]
    lesson = recipe.lessons[1]
    changed = (lesson.inputs != DATA.inputs).any(axis=(1, 2))
    assert np.array_equal(lesson.labels, DATA.labels)
    assert set(DATA.labels[changed]) == {target}
    assert 0 < changed.sum() <= 0.05 * 1397 + 1


def test_without_a_recipe_the_last_layer_alone_is_trained_and_said_to_be() -> None:
    net = network("clean", 0.0, 1)
    check = PoisoningSusceptibilityCheck(rates=(0.05, 0.3), repeats=2)
    readings = read(check, scanned(DATA, net))
    assert {item.params["retrained"] for item in readings} == {"head"}
    targeted = at(readings, "attack_success_rate", "targeted", 0.3)
    assert targeted.value > 0.9
    assert "last layer alone" in targeted.details["lower_bound"]
    assert at(readings, "attack_success_rate", "patch", 0.3).value > (
        at(readings, "attack_success_rate", "patch", 0.05).value
    )
    assert float(at(readings, "accuracy_drop", "flip", 0.05).details["without_poison"]) > 0.93


def test_the_last_layer_is_not_trained_where_a_recipe_is_asked_for() -> None:
    check = PoisoningSusceptibilityCheck(retrain="recipe")
    (gap,) = read(check, scanned(DATA, network("clean", 0.0, 1)))
    assert gap.reason is GapReason.NEEDS_RECIPE


def test_tables_take_flips_and_their_triggers_are_gaps() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    rows = rng.normal(size=(200, 4)) + labels[:, None] * 3

    class Threshold:
        digest = "sha256:threshold"

        def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
            middle = lesson.inputs.mean()
            return tuple(np.eye(2)[(part.mean(axis=1) > middle).astype(int)] for part in asked)

    subject = surveyed(
        sample(rows[:100], labels[:100]),
        sample(rows[100:], labels[100:], role=DatasetRole.TRAINING),
        recipe=Threshold(),
    )
    readings = read(PoisoningSusceptibilityCheck(rates=(0.1,)), subject)
    assert len(gaps(readings, "no pictures")) == 6
    assert at(readings, "accuracy_drop", "flip", 0.1).value == 0


def test_in_ci_a_recipe_trains_six_times_and_no_figure_is_doubted() -> None:
    recipe = Pretended()
    check = PoisoningSusceptibilityCheck(**CHECK.presets[Budget.CI])
    readings = read(check, taught(recipe))
    assert len(recipe.lessons) == check.plan.trainings == 6
    success = at(readings, "attack_success_rate", "patch", 0.01)
    assert not success.doubted
    assert success.details["repeats"] == 3


def test_one_repeat_is_doubted() -> None:
    check = PoisoningSusceptibilityCheck(attacks=("flip",), rates=(0.2,), repeats=1)
    found = at(read(check, taught(Copying())), "accuracy_drop", "flip", 0.2)
    assert found.doubted
    assert "one repeat" in found.details["doubt"]


def test_training_on_a_part_of_the_rows_is_doubted_and_no_mismatch() -> None:
    other = ToyModel(lambda rows: np.eye(10)[np.arange(len(rows)) % 10])
    check = PoisoningSusceptibilityCheck(attacks=("patch",), rates=(0.05,), rows=700)
    found = at(read(check, taught(Pretended(), model=other)), "attack_success_rate", "patch", 0.05)
    assert found.doubted
    assert "700 of 1397" in found.details["doubt"]


def test_what_is_lacking_is_said() -> None:
    unlabelled = replace(scanned(DATA).datasets[DatasetRole.TRAINING], labels=None)
    subject = taught(Pretended())
    bare = replace(subject, datasets={**subject.datasets, DatasetRole.TRAINING: unlabelled})
    assert (
        gaps(read(PoisoningSusceptibilityCheck(), bare), "no labels")[0].reason
        is GapReason.NEEDS_LABELS
    )
    few = replace(DATA, trusted=DATA.trusted[:15], truth=DATA.truth[:15])
    assert gaps(
        read(PoisoningSusceptibilityCheck(), replace(scanned(few), recipe=Pretended())),
        "Fewer than",
    )
    assert gaps(read(PoisoningSusceptibilityCheck(), scanned(DATA)), "There is no model")


def test_the_evidence_holds_decisions_and_no_pictures() -> None:
    seen = stored(
        PoisoningSusceptibilityCheck(attacks=("patch",), rates=(0.02,)), taught(Pretended())
    )
    assert seen["clean"].shape == (3, 400)
    assert seen["poisoned_patch"].shape == (1, 3, 400)
    assert seen["after_patch"].shape[:2] == (1, 3)
    assert all(item.dtype.kind in "iU" for item in seen.values() if isinstance(item, np.ndarray))


def test_it_says_what_it_costs_and_refuses_parameters_without_meaning() -> None:
    size = AuditSize(rows=500, classes=2, beside={"training": 1000})
    cost = PoisoningSusceptibilityCheck().cost(size)
    assert cost.queries > 1000
    assert cost.seconds > PoisoningSusceptibilityCheck(retrain="head").cost(size).seconds > 0
    assert PoisoningSusceptibilityCheck().precision(AuditSize(rows=0, classes=2), 0.95) == {}
    with pytest.raises(PolicyError, match="not all known"):
        PoisoningSusceptibilityCheck(attacks=("magic",))
    with pytest.raises(PolicyError, match="not shares"):
        PoisoningSusceptibilityCheck(rates=(2.0,))
    with pytest.raises(ValueError, match="at least 1"):
        PoisoningSusceptibilityCheck(repeats=0)
    assert DIGITS.classes[TARGET] == "0"
