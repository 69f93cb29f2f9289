"""ART's poisoning attacks and detectors through our frame: successes counted by us, and gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from evasion_toys import ToyModel
from judged import outcome
from poison_toys import network, poisoned, scanned
from scored_subjects import ends, measured, read, stored

from auditor.attacks.art.adapter import list_attack_classes
from auditor.attacks.art.poisoning import check_poisoning_support, list_detectors
from auditor.checks.poisoning.art import CHECK, ArtPoisoningCheck
from auditor.checks.poisoning.art_detectors import CHECK as WATCH
from auditor.checks.poisoning.art_detectors import ArtDetectorCheck
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask
from auditor.errors import PolicyError

DATA = poisoned("clean", 0.0, 1)
PLAIN = "PoisoningAttackBackdoor"
PIXELS = ((6, 6), (4, 6), (6, 4), (5, 5))
"""Where ART's pattern of a chessboard stands in a picture of eight by eight."""


def marked(rows: Array) -> np.ndarray:
    return np.logical_and.reduce([rows[:, high, wide] >= 1 for high, wide in PIXELS])


def nearest(asked: Array) -> Floats:
    flat, known = asked.reshape(len(asked), -1), DATA.inputs.reshape(len(DATA.inputs), -1)
    means = np.stack([known[DATA.labels == kind].mean(axis=0) for kind in range(10)])
    away = ((flat[:, None] - means) ** 2).sum(axis=2)
    return np.asarray(np.eye(10)[away.argmin(axis=1)] * 0.9 + 0.01)


@dataclass
class Pretended:
    """A recipe that learns ART's pattern as soon as two rows in a hundred have it."""

    digest: str = "sha256:pretended"
    lessons: list[RetrainingTask] = field(default_factory=list)

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        self.lessons.append(lesson)
        bad = marked(lesson.inputs)
        kind = int(np.bincount(lesson.labels[bad], minlength=10).argmax())
        learnt = bad.mean() >= 0.02
        return tuple(self._answer(rows, kind, learnt=bool(learnt)) for rows in asked)

    def _answer(self, rows: Array, kind: int, *, learnt: bool) -> Floats:
        found = nearest(rows)
        if learnt:
            found[marked(rows)] = np.eye(10)[kind]
        return found


def subject(recipe: object, **fields: object) -> Subject:
    return replace(scanned(DATA), **{"recipe": recipe, "model": ToyModel(nearest), **fields})


def gap(readings: Sequence[Reading], name: str) -> Gap:
    found = [it for it in readings if isinstance(it, Gap) and name in it.params.values()]
    return found[0]


def test_a_pattern_of_art_is_planted_and_its_success_counted_on_the_retrained_model() -> None:
    recipe = Pretended()
    found = read(ArtPoisoningCheck(attacks=(PLAIN,), rates=(0.01, 0.05)), subject(recipe))
    little, much = (
        measured(found, "attack_success_rate", attack=PLAIN, rate=rate) for rate in (0.01, 0.05)
    )
    assert little.value == pytest.approx(little.details["without_poison"])
    assert much.value == 1
    assert much.bound is BoundKind.AT_LEAST
    assert much.details["planted"] == round(0.05 * len(DATA.labels))
    poison = [it for it in recipe.lessons if marked(it.inputs).mean() > 0.04]
    assert len(poison) == 2  # a training for each repeat, each with poison of its own
    assert not np.array_equal(marked(poison[0].inputs), marked(poison[1].inputs))
    where = {"attack": PLAIN, "rate": 0.05}
    assert (
        outcome(CHECK, found, "attack_success_rate", MetricLimits(most=0.1), where)
        is Outcome.FAILED
    )
    assert outcome(CHECK, found, "accuracy_drop", MetricLimits(most=0.9), where) is Outcome.UNKNOWN


def test_every_poisoning_class_is_tried_or_refused_with_a_reason() -> None:
    why = {
        name: check_poisoning_support(name, picture=True)
        for name in list_attack_classes("poisoning")
    }
    assert {name for name, it in why.items() if it is None} == {
        "BullseyePolytopeAttackPyTorch", "FeatureCollisionAttack", "GradientMatchingAttack",
        "HiddenTriggerBackdoor", "HiddenTriggerBackdoorPyTorch", PLAIN,
        "PoisoningAttackCleanLabelBackdoor", "PoisoningAttackSVM", "SleeperAgentAttack",
    }  # fmt: skip
    assert all(len(it.detail) > 10 and it.cure for it in why.values() if it is not None)
    found = read(
        ArtPoisoningCheck(attacks=("BadDetObjectGenerationAttack", "Nonsense")),
        subject(Pretended()),
    )
    assert "an object detector" in gap(found, "BadDetObjectGenerationAttack").detail
    assert "no poisoning attack 'Nonsense'" in gap(found, "Nonsense").detail


def test_poison_of_an_attacker_with_a_network_of_his_own_stays_in_the_space_and_keeps_labels() -> (
    None
):
    recipe, name = Pretended(), "HiddenTriggerBackdoorPyTorch"
    settings = (f"{name}.max_iter=3", f"{name}.eps=0.2")
    found = read(ArtPoisoningCheck(attacks=(name,), settings=settings, repeats=1), subject(recipe))
    clean, bad = recipe.lessons
    moved = np.abs(bad.inputs - clean.inputs).max(axis=(1, 2)) > 0
    assert 0 < moved.sum() <= round(0.05 * len(DATA.labels))
    assert np.array_equal(bad.labels, clean.labels)
    assert np.abs(bad.inputs - clean.inputs).max() <= 0.2 + 1e-5
    assert bad.inputs.min() >= 0
    assert bad.inputs.max() <= 1
    assert measured(found, "attack_success_rate", attack=name).details["source_class"]


def test_clean_labels_are_poisoned_with_fewer_rows_than_asked_for_and_said_to_be() -> None:
    name = "PoisoningAttackCleanLabelBackdoor"
    settings = (f"{name}.max_iter=2",)
    found = read(
        ArtPoisoningCheck(attacks=(name,), settings=settings, repeats=1), subject(Pretended())
    )
    planted = measured(found, "attack_success_rate", attack=name).details["planted"]
    # ART draws its rows with return, so that some are drawn twice.
    assert 0 < planted < round(0.05 * len(DATA.labels))


def test_a_clean_set_is_flagged_by_a_third_and_that_is_no_finding() -> None:
    name = "ActivationDefence"
    net = network("clean", 0.0, 1)
    found = read(ArtDetectorCheck(detectors=(name, "NeuralCleanse"), rows=400), scanned(DATA, net))
    flagged = measured(found, "flagged_share", detector=name)
    assert ends(flagged)[0] > 0.2  # its claim, of a set without poison
    assert abs(float(flagged.value or 0) - float(flagged.details["flagged_of_trusted"])) < 0.1  # type: ignore[arg-type]
    assert flagged.doubted
    assert measured(found, "false_flags", detector=name).value > 0.2  # type: ignore[operator]
    assert measured(found, "planted_found", detector=name).n == 20
    assert outcome(WATCH, found, "flagged_share", MetricLimits(most=0.9)) is Outcome.UNKNOWN
    assert "Keras" in gap(found, "NeuralCleanse").detail


def test_detectors_that_lack_what_they_look_at_say_so() -> None:
    there = subject(Pretended())
    found = read(ArtDetectorCheck(detectors=("SpectralSignatureDefense", "X"), rows=100), there)
    assert gap(found, "SpectralSignatureDefense").metric == "flagged_share"
    assert gap(found, "SpectralSignatureDefense").reason is GapReason.UNSUPPORTED
    assert measured(found, "planted_found", detector="SpectralSignatureDefense").n == 5
    assert "no detector of poison 'X'" in gap(found, "X").detail
    assert set(list_detectors()) >= {"ActivationDefence", "RONIDefense", "STRIP"}


@pytest.mark.parametrize("labels", [None, np.full(len(DATA.labels), -1)])
def test_training_rows_without_labels_are_named_as_what_is_missing(labels: Any) -> None:  # noqa: ANN401 -- none or an array
    known = subject(None)
    training = replace(known.datasets[DatasetRole.TRAINING], labels=labels)
    bare = replace(known, datasets={**known.datasets, DatasetRole.TRAINING: training})
    (found,) = read(ArtDetectorCheck(detectors=("ActivationDefence",)), bare)
    assert isinstance(found, Gap)
    assert found.reason is GapReason.NEEDS_LABELS
    assert "training" in found.detail


def test_nothing_is_trained_where_no_attack_can_run_or_none_is_named() -> None:
    recipe = Pretended()
    read(ArtPoisoningCheck(attacks=("BackdoorAttackDGMReDTensorFlowV2",)), subject(recipe))
    assert not recipe.lessons
    for check in (ArtPoisoningCheck(attacks=()), ArtDetectorCheck(detectors=())):
        (found,) = read(check, subject(recipe))
        assert isinstance(found, Gap)
        assert found.reason is GapReason.OVER_BUDGET


def test_poison_comes_again_from_the_same_seed() -> None:
    check = ArtPoisoningCheck(attacks=(PLAIN,), repeats=1)
    one, other = Pretended(), Pretended()
    for recipe in (one, other):
        stored(check, subject(recipe))
    assert one.lessons
    for first, second in zip(one.lessons, other.lessons, strict=True):
        assert np.array_equal(first.inputs, second.inputs)


@pytest.mark.parametrize(
    ("check", "fields"),
    [
        (ArtPoisoningCheck, {"rates": (1.5,)}),
        (ArtPoisoningCheck, {"retrain": "twice"}),
        (ArtPoisoningCheck, {"settings": (f"{PLAIN}.target=3",)}),
        (ArtDetectorCheck, {"rate": 0.0}),
        (ArtDetectorCheck, {"settings": ("nonsense",)}),
    ],
)
def test_parameters_without_meaning_are_refused(check: Any, fields: Mapping[str, Any]) -> None:  # noqa: ANN401 -- of two checks
    with pytest.raises(PolicyError, match=r"poisoning\.art"):
        check(**fields)
