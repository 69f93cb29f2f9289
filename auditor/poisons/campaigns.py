"""One campaign of planted poison: what it is tried on, by what means, and the evidence of it."""

from dataclasses import dataclass

import numpy as np

from auditor.domain.absences import without_labels
from auditor.domain.benches import Bench
from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import write_gap
from auditor.domain.images import image_axes
from auditor.domain.readings import Gap, Reason
from auditor.domain.recipes import NO_RECIPE, Recipe
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Classification, Floats
from auditor.poisons.planted_readings import HEAD, RECIPE, written
from auditor.poisons.plants import Aim, Attack
from auditor.poisons.retraining import Told, Trial, by_head, by_recipe

FEWEST_ROWS = 20
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which attacks at which rates, how often, on how many rows, and trained again by what."""

    attacks: tuple[Attack, ...]
    rates: tuple[float, ...]
    repeats: int
    rows: int
    tested: int
    retrain: str

    @property
    def trainings(self) -> int:
        """How many models are trained."""
        return self.repeats * (1 + len(self.attacks) * len(self.rates))


def carry_out(subject: Subject, plan: Plan) -> Evidence:
    """Plant, train and ask; the evidence, or the Gap of what is lacking.

    Raises ``RecipeError``, and what ``Bench.embedding`` and ``Model.predict`` raise.
    """
    trial, means = _trial(subject, plan), _means(subject, plan.retrain)
    if isinstance(trial, Gap):
        return {"gap": write_gap(trial)}
    if isinstance(means, Gap):
        return {"gap": write_gap(means)}
    told = _told(trial, means, subject)
    if isinstance(told, Gap):
        return {"gap": write_gap(told)}
    sample = np.sort(subject.sample(Role.EVALUATION, plan.tested))
    kept: dict[str, Array] = {
        "ids": np.array(subject.datasets[Role.EVALUATION].ids, dtype=np.str_)[sample],
        "labels": trial.tested[1].astype(np.int16),
    }
    if not isinstance(subject.model, Gap):
        kept["artifact"] = subject.decisions(Role.EVALUATION)[sample].astype(np.int16)
    about = _about(trial, means, subject, plan)
    return {"gap": None, "about": about, **kept, **written(told)}


def _about(trial: Trial, means: "Recipe | _Head", subject: Subject, plan: Plan) -> dict[str, Json]:
    task, plants = _classes(subject), trial.plants(0)
    return {
        "retrained": HEAD if isinstance(means, _Head) else RECIPE,
        "recipe": None if isinstance(means, _Head) else means.digest,
        "target": trial.aim.target,
        "target_class": task.classes[trial.aim.target],
        "source_class": task.classes[trial.aim.source],
        "trained_rows": len(trial.training[1]),
        "training_rows": subject.datasets[Role.TRAINING].rows,
        "planted": {name.value: [*trial.counts(made)] for name, made in plants.items()},
        "clustered": subject.datasets[Role.EVALUATION].clustered,
        "gaps": {it.value: write_gap(_NO_TRIGGER) for it in plan.attacks if it not in plants},
    }


def _trial(subject: Subject, plan: Plan) -> Trial | Gap:
    """Return what is tried, or why nothing can be."""
    rows: list[tuple[Array, np.ndarray]] = []
    for role, most in ((Role.TRAINING, plan.rows), (Role.EVALUATION, plan.tested)):
        data = subject.datasets[role]
        if data.inputs is None:
            return _NO_INPUTS
        if data.labels is None:
            return without_labels(role)
        at = np.sort(subject.sample(role, most))
        rows.append((data.inputs[at], data.labels[at]))
    training, tested = rows
    known = np.intersect1d(training[1], tested[1])
    if min(len(training[1]), len(tested[1])) < FEWEST_ROWS or known.size < 2:  # noqa: PLR2004 -- one class to become the other
        return _TOO_FEW
    source, target = np.random.default_rng(subject.seed).permutation(known)[:2]
    space = None if isinstance(subject.space, Gap) else subject.space
    pictures = space is not None and image_axes(training[0].shape[1:]) is not None
    return Trial(
        training=training,
        tested=tested,
        classes=len(_classes(subject).classes),
        attacks=tuple(it for it in plan.attacks if pictures or not it.triggered),
        rates=plan.rates,
        repeats=plan.repeats,
        aim=Aim(int(source), int(target), space),
        seed=subject.seed,
    )


@dataclass(frozen=True, slots=True)
class _Head:
    """The last layer, trained on what the bench shows of the rest."""

    bench: Bench

    def embed(self, inputs: Array) -> Floats | Gap:
        seen = self.bench.embedding(inputs)
        return seen if isinstance(seen, Gap) else seen.values.astype(np.float64)


def _means(subject: Subject, choice: str) -> Recipe | _Head | Gap:
    recipe, bench = subject.recipe, subject.bench
    if choice != HEAD and not isinstance(recipe, Gap):
        return recipe
    if choice == RECIPE:
        return recipe if isinstance(recipe, Gap) else NO_RECIPE
    if isinstance(subject.model, Gap):
        return subject.model
    return bench if isinstance(bench, Gap) else _Head(bench)


def _told(trial: Trial, means: Recipe | _Head, subject: Subject) -> Told | Gap:
    decide = _classes(subject).decide
    if isinstance(means, _Head):
        return by_head(trial, means.embed, decide, subject.progress)
    return by_recipe(trial, means, decide, subject.progress)


def _classes(subject: Subject) -> Classification:
    if not isinstance(subject.task, Classification):
        message = "poison is planted into a classification, and the frame asks for one"
        raise TypeError(message)
    return subject.task


_NO_INPUTS = Gap(
    reason=Reason.NEEDS_MODEL,
    detail="In an audit of predictions alone the data hold no inputs to train on.",
    cure="Name the model's file under model.artifact, and the columns that it reads.",
)
_TOO_FEW = Gap(
    reason=Reason.TOO_FEW_ROWS,
    detail=f"Fewer than {FEWEST_ROWS} rows, or than two classes in training and evaluation data.",
    cure="Name more rows of each class.",
)
_NO_TRIGGER = Gap(
    reason=Reason.NOT_DEFINED,
    detail="The inputs are no pictures, or have no known range: there is no place for a trigger.",
    cure="Declare input.domain for pictures; flip and targeted take tables too.",
)
