"""The split of rows for a backdoor scan: rows to search on, and rows to judge triggers by."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.backdoor_triggers import MOST_BYTES, TriggerSpace
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import UNLABELLED, DatasetRole
from auditor.domain.models import Model
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, ClassificationTask

FEWEST_ROWS = 20
"""With fewer rows in a half, no success has an interval that says anything."""
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class DecisionOracle:
    """The target, asked for decisions alone."""

    model: Model
    task: ClassificationTask

    def decide(self, rows: Array) -> Labels:
        """Return the class ``[n]`` of each row, a bounded part of them at a time."""
        step = max(1, MOST_BYTES // max(1, rows[:1].nbytes))
        parts = [rows[first : first + step] for first in range(0, len(rows), step)]
        said = [self.model.probabilities(self.model.predict(part)) for part in parts]
        return np.concatenate([self.task.decide(part) for part in said])


@dataclass(frozen=True, slots=True, eq=False)
class BackdoorRows:
    """Rows ``[n, ...]``, what the target decided of them, and their labels (-1: not known)."""

    inputs: Array
    before: Labels
    labels: Labels
    ids: tuple[str, ...]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.before)


@dataclass(frozen=True, slots=True, eq=False)
class BackdoorRowSplit:
    """Two halves of the evaluation rows: triggers are found on ``fitted``, judged on ``judged``."""

    room: TriggerSpace
    asker: DecisionOracle
    fitted: BackdoorRows
    judged: BackdoorRows

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.asker.task.classes)


def split_backdoor_rows(subject: Subject, rows: int, fitting: int) -> BackdoorRowSplit | Gap:
    """Split the evaluation rows: the first half of the audit's permutation judges.

    At most ``rows`` are judged and ``fitting`` fitted. Raises ``TypeError`` where a need is not
    met: the frame asks for needs first.
    """
    dataset = subject.datasets[DatasetRole.EVALUATION]
    if isinstance(subject.model, Gap) or isinstance(subject.space, Gap) or dataset.inputs is None:
        message = "a backdoor is looked for in a model, in its input space, on rows"
        raise TypeError(message)
    order = subject.sample(DatasetRole.EVALUATION, dataset.rows)
    middle = (len(order) + 1) // 2
    if min(middle, len(order) - middle, rows, fitting) < FEWEST_ROWS:
        return Gap(
            reason=GapReason.TOO_FEW_ROWS,
            detail=f"Of {dataset.rows} evaluation rows one half finds triggers and the other "
            f"judges them; each half takes at least {FEWEST_ROWS}.",
            cure=f"Give at least {2 * FEWEST_ROWS} evaluation rows, better some hundreds.",
        )
    before = subject.decisions(DatasetRole.EVALUATION)
    labels = dataset.labels if dataset.labels is not None else np.full(len(before), UNLABELLED)

    def part(keep: Labels) -> BackdoorRows:
        ids = tuple(dataset.ids[row] for row in keep)
        return BackdoorRows(cast("Array", dataset.inputs)[keep], before[keep], labels[keep], ids)

    space = subject.space
    asker = DecisionOracle(subject.model, cast("ClassificationTask", subject.task))
    room = TriggerSpace.of(space, dataset.inputs)
    if not room.mutable.any():
        return Gap(
            reason=GapReason.NOT_DEFINED,
            detail="No input can take another value on its own, so that there is no trigger to "
            "look for: all are fixed or categories.",
            cure="Name the inputs that are no categories in the schema, if there are some.",
        )
    return BackdoorRowSplit(
        room, asker, part(order[middle:][:fitting]), part(order[:middle][:rows])
    )
