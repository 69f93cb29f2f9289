"""The setup of an attack: the model, rows, labels, goal and limits that a check takes for it."""

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.goals import AttackGoal, find_concerned_rows, goal_for_task
from auditor.attacks.evasion.judge import AttackJudge, BestSoFar
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.threat_model import PerturbationConstraint, ThreatModel, lp_threat
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.models import Model, Twin
from auditor.domain.readings import Gap
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace, Task
from auditor.errors import PolicyError

REPEATS = 8
"""Answers that are averaged of a model that answers at random: its mean decision is attacked."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AttackSetup:
    """What is attacked: rows with labels and the probabilities that the target gave them clean.

    ``whole`` says that the model takes whole numbers only; ``constraints`` what a candidate keeps
    beside norm, box and steps. A target that answers at random is asked ``repeats`` times. At each
    budget no more than ``most_queries`` a row are asked.
    """

    model: Model
    goal: AttackGoal
    space: InputSpace
    rows: Array
    labels: Labels
    probabilities: Floats
    twin: Twin | None = None
    norm: Norm = Norm.LINF
    whole: bool = False
    constraints: PerturbationConstraint | None = None
    repeats: int = 1
    most_queries: int | None = None

    def threat(self, eps: float) -> ThreatModel:
        """Return the threat of one budget."""
        row = self.rows.shape[1:]
        return lp_threat(
            self.space, self.norm, eps, row, whole=self.whole, constraints=self.constraints
        )

    def take(self, keep: NDArray[np.int64]) -> "AttackSetup":
        """Return the part for some rows."""
        return replace(
            self,
            rows=self.rows[keep],
            labels=self.labels[keep],
            probabilities=self.probabilities[keep],
        )

    def frame(self, eps: float, standing: BestSoFar) -> AttackJudge:
        """Return the frame that judges candidates for all rows at one budget."""
        most = self.most_queries
        return AttackJudge(
            model=self.model,
            goal=self.goal,
            threat=self.threat(eps),
            clean=self.rows,
            labels=self.labels,
            clean_probabilities=self.probabilities,
            standing=standing,
            repeats=self.repeats,
            most_queries=None if most is None else most * len(self.rows),
        )


@dataclass(frozen=True, slots=True, eq=False)
class AttackRun:
    """The attacked rows: ``arena`` as arrays, ``sample`` as row numbers of ``dataset``."""

    arena: AttackSetup
    dataset: Dataset
    sample: NDArray[np.int64]

    def first(self, count: int) -> "AttackRun":
        """Return the run of the first ``count`` rows."""
        keep = np.arange(count, dtype=np.int64)
        return replace(self, arena=self.arena.take(keep), sample=self.sample[:count])


def prepare_attack_run(
    subject: Subject, rows: int, norm: Norm = Norm.LINF, *, label: str = "", decision: str = ""
) -> AttackRun:
    """Take the first ``rows`` rows of the audit's permutation that the goal is about.

    ``label`` and ``decision`` narrow the goal (``goals.goal_of``); rows of other labels are left
    out then. A model that answers at random is asked ``REPEATS`` times about each clean row and
    each candidate: its mean answer is attacked.

    Raises ``TypeError`` where a need is not met: the frame asks for needs first. Raises
    ``PolicyError`` for a goal that the task does not have.
    """
    dataset = subject.datasets[DatasetRole.EVALUATION]
    truth = true_targets(dataset, subject.task)
    if (
        isinstance(subject.model, Gap)
        or isinstance(subject.space, Gap)
        or dataset.inputs is None
        or truth is None
    ):
        message = "an attack needs a model, its input space and labelled rows"
        raise TypeError(message)
    goal = goal_for_task(subject.task, label, decision)
    # The rows that a goal is about, in the order of the audit's permutation
    order = subject.sample(DatasetRole.EVALUATION, len(truth))
    found = order[find_concerned_rows(goal, truth[order])]
    if not len(found):
        raise PolicyError(
            "no row of the evaluation data has a label that the goal is about",
            cure="Name a label that the evaluation data hold, or leave label and decision empty.",
        )
    sample = found[:rows]
    arena = AttackSetup(
        model=subject.model,
        twin=None if isinstance(subject.twin, Gap) else subject.twin,
        goal=goal,
        norm=norm,
        repeats=1 if subject.model.deterministic else REPEATS,
        space=subject.space,
        rows=dataset.inputs[sample],
        labels=truth[sample],
        probabilities=clean_probabilities(subject, sample),
        whole=requires_integers(subject.model, dataset.inputs),
    )
    return AttackRun(arena, dataset, sample)


def true_targets(dataset: Dataset, task: Task) -> Labels | None:
    """Return what is true of each row: a class, or, for a regression, a number."""
    if isinstance(task, ClassificationTask):
        return dataset.labels
    # A goal on numbers (goals.Error) takes the numbers where others take classes.
    return cast("Labels | None", dataset.targets)


def clean_probabilities(subject: Subject, sample: NDArray[np.int64]) -> Floats:
    """Return the target's probabilities of some evaluation rows, asked for once by all checks.

    Of a model that answers at random they are the mean of ``REPEATS`` answers, as those of
    candidates are: else an unlucky answer to a clean row would count as a success of attacks.
    """
    dataset, model = subject.datasets[DatasetRole.EVALUATION], subject.model
    if isinstance(model, Gap) or model.deterministic or dataset.inputs is None:
        return subject.probabilities(DatasetRole.EVALUATION)[sample]
    rows = dataset.inputs[sample]
    said = [model.probabilities(model.predict(rows)) for _ in range(REPEATS)]
    mean: Floats = np.mean(said, axis=0)
    return mean


def sort_budgets(budgets: tuple[float, ...], norm: Norm = Norm.LINF) -> tuple[float, ...]:
    """Return distinct budgets, the smallest first.

    Raises ``PolicyError`` where there is none, or one has no meaning in the norm.
    """
    most = 1.0 if norm is Norm.LINF else math.inf
    if not budgets or not all(0 < eps <= most and math.isfinite(eps) for eps in budgets):
        what = "shares of the input range" if norm is Norm.LINF else "positive numbers"
        end = " and at most 1, as 0.05" if norm is Norm.LINF else ", as 0.5"
        raise PolicyError(
            f"eps {list(budgets)} of an evasion check is not a list of {what}",
            cure=f"Give at least one number above 0{end}.",
        )
    return tuple(sorted({float(eps) for eps in budgets}))


def requires_integers(model: Model, rows: Array) -> bool:
    """Return whether only whole numbers fit, into the model or into the rows' own type."""
    interface = model.fingerprint.interface
    takes = "" if interface is None else interface.input_dtype
    return any(kind in f"{takes} {rows.dtype.name}" for kind in ("int", "bool"))


def require_positive(**counts: int) -> None:
    """Raise ``PolicyError`` for a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise PolicyError(
                f"{name} {count} of an evasion check is no amount of work",
                cure="Give a whole number of at least 1.",
            )


def require_harmful_decision(label: str, decision: str) -> None:
    """Raise ``PolicyError`` where a decision is asked for that is right for the label."""
    if label and label == decision:
        raise PolicyError(
            f"the decision {decision!r} is right for the label {label!r}, no harm",
            cure="Name two different classes, or leave one of them empty.",
        )
