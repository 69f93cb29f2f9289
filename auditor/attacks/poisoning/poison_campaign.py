"""A campaign of poisoning trials: its victims, its methods, and its evidence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.attacks.poisoning.poison_trial import (
    OwnPoison,
    PoisonAim,
    PoisonAttack,
    PoisonSource,
    PoisonTrial,
    retrain_by_recipe,
    retrain_last_layer,
)
from auditor.attacks.poisoning.poison_trial_readings import HEAD, RECIPE, write_decisions
from auditor.attacks.poisoning.training_scan import NeighbourCodes
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, find_image_axes
from auditor.domain.gaps import missing_labels_gap, write_gap
from auditor.domain.model_instrumentation import ModelBench
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.domain.training_recipes import NO_RECIPE, TrainingRecipe

FEWEST_ROWS = 20


@dataclass(frozen=True, slots=True)
class PoisonPlan:
    """Which attacks at which rates, how often, on how many rows, and trained again by what."""

    attacks: tuple[str, ...]
    rates: tuple[float, ...]
    repeats: int
    rows: int
    tested: int
    retrain: str

    @property
    def trainings(self) -> int:
        """How many models are trained."""
        return self.repeats * (1 + len(self.attacks) * len(self.rates))


@dataclass(frozen=True, slots=True, eq=False)
class PoisonContext:
    """What poison is made for: inputs and labels that are trained and tried on, and the aim."""

    training: tuple[Array, NeighbourCodes]
    tested: tuple[Array, NeighbourCodes]
    aim: PoisonAim
    plan: PoisonPlan
    seed: int


Sow = Callable[[PoisonContext], tuple[Mapping[str, PoisonSource], Mapping[str, Gap]]]
"""What makes an attack's poison, by name, and why others have none."""


def build_own_poison(soil: PoisonContext) -> tuple[Mapping[str, PoisonSource], Mapping[str, Gap]]:
    """Sow our own attacks; those with triggers need pictures and their space."""
    pictures = (
        soil.aim.space is not None and find_image_axes(soil.training[0].shape[1:]) is not None
    )
    found: dict[str, PoisonSource] = {}
    gaps: dict[str, Gap] = {}
    for attack in map(PoisonAttack, soil.plan.attacks):
        if pictures or not attack.triggered:
            found[attack.value] = OwnPoison(attack, soil.aim)
        else:
            gaps[attack.value] = _NO_TRIGGER
    return found, gaps


def run_poison_campaign(
    subject: Subject, plan: PoisonPlan, sow: Sow = build_own_poison
) -> Evidence:
    """Plant, train and ask; the evidence, or the Gap of what is lacking.

    Raises ``RecipeError``, and what ``ModelBench.embedding`` and ``Model.predict`` raise.
    """
    soil, means = _soil(subject, plan), _means(subject, plan.retrain)
    if isinstance(soil, Gap):
        return {"gap": write_gap(soil)}
    if isinstance(means, Gap):
        return {"gap": write_gap(means)}
    sowers, gaps = sow(soil)
    classes = len(_classes(subject).classes)
    trial = PoisonTrial(
        soil.training, soil.tested, classes, sowers, plan.rates, plan.repeats, subject.seed
    )
    task, plants = _classes(subject), trial.plants(0)
    about = {
        "retrained": HEAD if isinstance(means, _LastLayer) else RECIPE,
        "recipe": None if isinstance(means, _LastLayer) else means.digest,
        "target": soil.aim.target,
        "target_class": task.classes[soil.aim.target],
        "source_class": task.classes[soil.aim.source],
        "trained_rows": len(trial.training[1]),
        "training_rows": subject.datasets[DatasetRole.TRAINING].rows,
        "planted": {name: [*trial.counts(made)] for name, made in plants.items()},
        "clustered": subject.datasets[DatasetRole.EVALUATION].clustered,
        "gaps": {name: write_gap(gap) for name, gap in gaps.items()},
    }
    if not sowers:
        return {"gap": None, "about": about}
    decide = _classes(subject).decide
    if isinstance(means, _LastLayer):
        told = retrain_last_layer(trial, means.embed, decide, subject.progress)
    else:
        told = retrain_by_recipe(trial, means, decide, subject.progress)
    if isinstance(told, Gap):
        return {"gap": write_gap(told)}
    sample = np.sort(subject.sample(DatasetRole.EVALUATION, plan.tested))
    kept: dict[str, Array] = {
        "ids": np.asarray(subject.datasets[DatasetRole.EVALUATION].ids, dtype=np.str_)[sample],
        "labels": trial.tested[1].astype(np.int16),
    }
    if not isinstance(subject.model, Gap):
        kept["artifact"] = subject.decisions(DatasetRole.EVALUATION)[sample].astype(np.int16)
    return {"gap": None, "about": about, **kept, **write_decisions(told)}


def foresee_gap(subject: Subject, plan: PoisonPlan) -> Gap | None:
    """Return the Gap that ``run_poison_campaign`` is known to end in before anything is trained, if
    it is.

    One row is sent to see whether there is a last layer. Raises what ``ModelBench.embedding``
    raises.
    """
    soil, means = _soil(subject, plan), _means(subject, plan.retrain)
    if isinstance(soil, Gap):
        return soil
    if isinstance(means, Gap):
        return means
    if not build_own_poison(soil)[0]:
        return _NO_TRIGGER
    seen = means.embed(soil.training[0][:1]) if isinstance(means, _LastLayer) else None
    return seen if isinstance(seen, Gap) else None


def _soil(subject: Subject, plan: PoisonPlan) -> PoisonContext | Gap:
    """Return what poison is made for, or why none can be."""
    rows: list[tuple[Array, np.ndarray]] = []
    for role, most in ((DatasetRole.TRAINING, plan.rows), (DatasetRole.EVALUATION, plan.tested)):
        data = subject.datasets[role]
        if data.inputs is None:
            return _NO_INPUTS
        if data.labels is None:
            return missing_labels_gap(role)
        at = np.sort(subject.sample(role, most))
        rows.append((data.inputs[at], data.labels[at]))
    training, tested = rows
    known = np.intersect1d(training[1], tested[1])
    if min(len(training[1]), len(tested[1])) < FEWEST_ROWS or known.size < 2:  # noqa: PLR2004 -- one class to become the other
        return _TOO_FEW
    source, target = np.random.default_rng(subject.seed).permutation(known)[:2]
    space = None if isinstance(subject.space, Gap) else subject.space
    return PoisonContext(
        training, tested, PoisonAim(int(source), int(target), space), plan, subject.seed
    )


@dataclass(frozen=True, slots=True)
class _LastLayer:
    """The last layer, trained on what the bench shows of the rest."""

    bench: ModelBench

    def embed(self, inputs: Array) -> Floats | Gap:
        seen = self.bench.embedding(inputs)
        return seen if isinstance(seen, Gap) else seen.values.astype(np.float64)


def _means(subject: Subject, choice: str) -> TrainingRecipe | _LastLayer | Gap:
    recipe, bench = subject.recipe, subject.bench
    if choice != HEAD and not isinstance(recipe, Gap):
        return recipe
    if choice == RECIPE:
        return recipe if isinstance(recipe, Gap) else NO_RECIPE
    if isinstance(subject.model, Gap):
        return subject.model
    return bench if isinstance(bench, Gap) else _LastLayer(bench)


def _classes(subject: Subject) -> ClassificationTask:
    if not isinstance(subject.task, ClassificationTask):
        message = "poison is planted into a classification, and the frame asks for one"
        raise TypeError(message)
    return subject.task


_NO_INPUTS = Gap(
    reason=GapReason.NEEDS_MODEL,
    detail="In an audit of predictions alone the data hold no inputs to train on.",
    cure="Name the model's file under model.artifact in the audit file.",
)
_TOO_FEW = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail=f"Fewer than {FEWEST_ROWS} rows, or than two classes in training and evaluation data.",
    cure="Name more rows of each class.",
)
_NO_TRIGGER = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The inputs are no pictures, or have no known range: there is no place for a trigger.",
    cure="Declare input.domain for pictures; flip and targeted take tables too.",
)
