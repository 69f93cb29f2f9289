"""What an attack check takes from its subject."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.losses import LOSSES
from auditor.attacks.sweeping import Arena
from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap
from auditor.domain.subjects import Model, Subject
from auditor.domain.tasks import Classification
from auditor.errors import PolicyError


@dataclass(frozen=True, slots=True, eq=False)
class Bout:
    """The attacked rows: ``arena`` as arrays, ``sample`` as row numbers of ``dataset``."""

    arena: Arena
    dataset: Dataset
    sample: NDArray[np.int64]


def gather(subject: Subject, rows: int) -> Bout:
    """Take the first ``rows`` of the audit's permutation of the evaluation data.

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
        task=subject.task,
        space=subject.space,
        rows=dataset.inputs[sample],
        labels=dataset.labels[sample],
        probabilities=subject.probabilities(Role.EVALUATION)[sample],
        whole=_takes_whole_numbers(subject.model, dataset),
    )
    return Bout(arena, dataset, sample)


def growing(budgets: tuple[float, ...]) -> tuple[float, ...]:
    """Return distinct budgets, the smallest first.

    Raises ``PolicyError`` where there is none, or one is not a share of the range.
    """
    if not budgets or not all(0 < eps <= 1 for eps in budgets):
        raise PolicyError(
            f"eps {list(budgets)} of an evasion check is not a list of shares of the input range",
            cure="Give at least one number above 0 and at most 1, as 0.05.",
        )
    return tuple(sorted({float(eps) for eps in budgets}))


def _takes_whole_numbers(model: Model, dataset: Dataset) -> bool:
    interface = model.fingerprint.interface
    takes = "" if interface is None else interface.input_dtype
    given = "" if dataset.inputs is None else dataset.inputs.dtype.name
    return any(kind in f"{takes} {given}" for kind in ("int", "bool"))


def named_losses(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the losses. Raises ``PolicyError`` where there is none, or one is not known."""
    if not names or not set(names) <= set(LOSSES):
        raise PolicyError(
            f"losses {list(names)} of an evasion check do not all exist",
            cure=f"Choose from {', '.join(LOSSES)}.",
        )
    return names


def positive(**counts: int) -> None:
    """Raise ``PolicyError`` for a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise PolicyError(
                f"{name} {count} of an evasion check is no amount of work",
                cure="Give a whole number of at least 1.",
            )
