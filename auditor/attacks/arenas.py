"""What an attack check takes from its subject."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.goals import Goal, any_other
from auditor.attacks.losses import Labels
from auditor.attacks.norms import Norm
from auditor.attacks.threats import Constraints, Threat, lp_threat
from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap
from auditor.domain.subjects import Model, Subject, Twin
from auditor.domain.tasks import Array, Classification, Floats, InputSpace
from auditor.errors import PolicyError

REPEATS = 8
"""Answers that are averaged of a model that answers at random: its mean decision is attacked."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Arena:
    """What is attacked: rows with labels and the probabilities that the target gave them clean.

    ``whole`` says that the model takes whole numbers only; ``constraints`` what a candidate keeps
    beside norm, box and steps. A target that answers at random is asked ``repeats`` times. At each
    budget no more than ``most_queries`` a row are asked.
    """

    model: Model
    goal: Goal
    space: InputSpace
    rows: Array
    labels: Labels
    probabilities: Floats
    twin: Twin | None = None
    norm: Norm = Norm.LINF
    whole: bool = False
    constraints: Constraints | None = None
    repeats: int = 1
    most_queries: int | None = None

    def threat(self, eps: float) -> Threat:
        """Return the threat of one budget."""
        row = self.rows.shape[1:]
        return lp_threat(
            self.space, self.norm, eps, row, whole=self.whole, constraints=self.constraints
        )


@dataclass(frozen=True, slots=True, eq=False)
class Bout:
    """The attacked rows: ``arena`` as arrays, ``sample`` as row numbers of ``dataset``."""

    arena: Arena
    dataset: Dataset
    sample: NDArray[np.int64]


def gather(subject: Subject, rows: int, norm: Norm = Norm.LINF) -> Bout:
    """Take the first ``rows`` of the audit's permutation of the evaluation data.

    A model that answers at random is asked ``REPEATS`` times about each candidate.

    Raises ``TypeError`` where a need is not met: the frame asks for needs first.
    """
    dataset = subject.datasets[Role.EVALUATION]
    if (
        isinstance(subject.model, Gap)
        or isinstance(subject.space, Gap)
        or not isinstance(subject.task, Classification)
        or dataset.inputs is None
        or dataset.labels is None
    ):
        message = "an attack needs a classifier, its input space and labelled rows"
        raise TypeError(message)
    sample = subject.sample(Role.EVALUATION, rows)
    arena = Arena(
        model=subject.model,
        twin=None if isinstance(subject.twin, Gap) else subject.twin,
        goal=any_other(subject.task),
        norm=norm,
        repeats=1 if subject.model.deterministic else REPEATS,
        space=subject.space,
        rows=dataset.inputs[sample],
        labels=dataset.labels[sample],
        probabilities=subject.probabilities(Role.EVALUATION)[sample],
        whole=_takes_whole_numbers(subject.model, dataset),
    )
    return Bout(arena, dataset, sample)


def growing(budgets: tuple[float, ...], norm: Norm = Norm.LINF) -> tuple[float, ...]:
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


def _takes_whole_numbers(model: Model, dataset: Dataset) -> bool:
    interface = model.fingerprint.interface
    takes = "" if interface is None else interface.input_dtype
    given = "" if dataset.inputs is None else dataset.inputs.dtype.name
    return any(kind in f"{takes} {given}" for kind in ("int", "bool"))


def positive(**counts: int) -> None:
    """Raise ``PolicyError`` for a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise PolicyError(
                f"{name} {count} of an evasion check is no amount of work",
                cure="Give a whole number of at least 1.",
            )
