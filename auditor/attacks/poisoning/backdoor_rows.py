"""The rows that backdoors are looked for on, and the others that a trigger is judged by."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import UNLABELLED, Role
from auditor.domain.models import Model
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Classification
from auditor.poisons.backdoor_triggers import MOST_BYTES, Room

FEWEST_ROWS = 20
"""With fewer rows in a half, no success has an interval that says anything."""
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """The target, asked for decisions alone."""

    model: Model
    task: Classification

    def decide(self, rows: Array) -> Labels:
        """Return the class ``[n]`` of each row, a bounded part of them at a time."""
        step = max(1, MOST_BYTES // max(1, rows[:1].nbytes))
        parts = [rows[first : first + step] for first in range(0, len(rows), step)]
        said = [self.model.probabilities(self.model.predict(part)) for part in parts]
        return np.concatenate([self.task.decide(part) for part in said])


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows ``[n, ...]``, what the target decided of them, and their labels (-1: not known)."""

    inputs: Array
    before: Labels
    labels: Labels
    ids: tuple[str, ...]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.before)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Two halves of the evaluation rows: triggers are found on ``fitted``, judged on ``judged``."""

    room: Room
    asker: Asker
    fitted: Rows
    judged: Rows

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.asker.task.classes)


def ground_of(subject: Subject, rows: int, fitting: int) -> Ground | Gap:
    """Split the evaluation rows: the first half of the audit's permutation judges.

    At most ``rows`` are judged and ``fitting`` fitted. Raises ``TypeError`` where a need is not
    met: the frame asks for needs first.
    """
    dataset = subject.datasets[Role.EVALUATION]
    if isinstance(subject.model, Gap) or isinstance(subject.space, Gap) or dataset.inputs is None:
        message = "a backdoor is looked for in a model, in its input space, on rows"
        raise TypeError(message)
    order = subject.sample(Role.EVALUATION, dataset.rows)
    middle = (len(order) + 1) // 2
    if min(middle, len(order) - middle, rows, fitting) < FEWEST_ROWS:
        return _too_few(dataset.rows)
    before = subject.decisions(Role.EVALUATION)
    labels = dataset.labels if dataset.labels is not None else np.full(len(before), UNLABELLED)

    def part(keep: Labels) -> Rows:
        ids = tuple(dataset.ids[row] for row in keep)
        return Rows(cast("Array", dataset.inputs)[keep], before[keep], labels[keep], ids)

    space = subject.space
    asker = Asker(subject.model, cast("Classification", subject.task))
    room = Room.of(space, dataset.inputs)
    return Ground(room, asker, part(order[middle:][:fitting]), part(order[:middle][:rows]))


def _too_few(rows: int) -> Gap:
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"Of {rows} evaluation rows one half finds triggers and the other judges them; each "
        f"half takes at least {FEWEST_ROWS}.",
        cure=f"Give at least {2 * FEWEST_ROWS} evaluation rows, better some hundreds.",
    )
