"""Outputs that name a class a row beside the scores, held against what the scores decide."""

from collections.abc import Sequence

from auditor.domain.targets import LabelOutput
from auditor.domain.tasks import ClassificationTask, Task
from auditor.errors import ModelFailedError
from auditor.targets.outputs import (
    LABELS,
    ModelOutput,
    ScoreOutput,
    to_label_indices,
    to_output_table,
    to_probabilities,
    to_scores,
)


def list_label_outputs(
    answers: Sequence[ModelOutput], leaving: ScoreOutput, task: Task
) -> list[str]:
    """Return the outputs beside the scores that name a class of the task in each row."""
    if not isinstance(task, ClassificationTask) or leaving.scores == "labels":
        return []
    return [
        item.name
        for item in answers
        if item.name != leaving.output
        and item.array.dtype.kind in LABELS
        and _count_differing(item, [0] * len(item.array), task) is not None
    ]


def compare_labels(
    answers: Sequence[ModelOutput], leaving: ScoreOutput, names: Sequence[str], task: Task
) -> tuple[LabelOutput, ...]:
    """Count the rows in which the outputs ``names`` say another class than the scores decide.

    An application may read either. Where a row's label is no class, no row counts as the same.
    """
    if not isinstance(task, ClassificationTask):
        return ()
    given = {item.name: item for item in answers}
    scored = given[leaving.output]
    scores = to_scores(scored.array, scored.keys, leaving.scores, task)
    decided = task.decide(to_probabilities(scores, leaving.scores)).tolist()
    rows = len(decided)
    counts = [_count_differing(given[name], decided, task) for name in names]
    return tuple(
        LabelOutput(name, rows, rows if count is None else count)
        for name, count in zip(names, counts, strict=True)
    )


def _count_differing(
    item: ModelOutput, decided: Sequence[int], task: ClassificationTask
) -> int | None:
    """Return how many labels name another class than was decided; ``None`` where one names none."""
    try:
        if to_output_table(item.array).shape != (len(decided), 1):
            return None
        return int((to_label_indices(item.array, task) != decided).sum())
    except ModelFailedError:
        return None
