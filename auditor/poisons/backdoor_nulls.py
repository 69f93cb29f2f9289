"""Clean models to compare with: ready ones, or the recipe trained again on rows that are trusted.

They are not trained on the training data: were those poisoned, every model would have the backdoor,
and none would stand out. Rows that the audit trusts are fewer than those that the artifact was
trained on, and models of fewer rows are flightier, so that the comparison leans to silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.recipes import Lesson
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array
from auditor.errors import RecipeError
from auditor.poisons.backdoor_ground import Ground
from auditor.poisons.backdoor_shadows import Answers, ready_answers
from auditor.shadows.agreement import Agreement

MOST_ASKED = 256 * 2**20
"""How many bytes of rows a clean model is asked about at most, of each kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Clean:
    """What clean models decide of the rows asked, ``[k, n]`` classes by name; of ready ones also
    how they agree with the artifact.
    """

    answers: Answers
    agreement: Agreement | None = None


def clean_models(
    subject: Subject, ground: Ground, asked: Mapping[str, Array], count: int
) -> Clean | Gap:
    """Return what clean models decide: ready shadow models, else ``count`` by the recipe.

    Raises ``CancelledError`` through progress.
    """
    shadows = subject.shadows
    ready = shadows if isinstance(shadows, Gap) else ready_answers(subject, shadows, ground, asked)
    if not isinstance(ready, Gap):
        return Clean(*ready)
    trained = clean_answers(subject, ground, asked, count)
    if not isinstance(trained, Gap):
        return Clean(trained)
    unnamed = isinstance(subject.recipe, Gap) and not isinstance(shadows, Gap)
    return ready if unnamed else trained


def clean_answers(
    subject: Subject, ground: Ground, asked: Mapping[str, Array], count: int
) -> Answers | Gap:
    """Train ``count`` clean models, and return what each decides of the rows asked.

    The answer to each name is ``[count, n]`` classes. The models are trained on the labelled
    reference data or, without any, on the rows that triggers were found on. Raises
    ``CancelledError`` through progress.
    """
    if isinstance(subject.recipe, Gap):
        return subject.recipe
    trusted = _trusted(subject, ground)
    if isinstance(trusted, Gap):
        return trusted
    inputs, labels = trusted
    told: list[list[NDArray[np.int64]]] = []
    for index in range(count):
        subject.progress(index, count, "clean models")
        lesson = Lesson(inputs, labels, (subject.seed + index) % 2**31)
        try:
            said = subject.recipe.answers(lesson, tuple(asked.values()))
        except RecipeError as error:
            return Gap(
                reason=Reason.RECIPE_FAILED,
                detail=f"The recipe did not train a clean model: {error}",
                cure="Mend the recipe, or leave it out of the audit file.",
            )
        told.append([ground.asker.task.decide(part) for part in said])
    return {name: np.stack([one[at] for one in told]) for at, name in enumerate(asked)}


def _trusted(subject: Subject, ground: Ground) -> tuple[Array, NDArray[np.int64]] | Gap:
    """Return rows with labels that had no part in training the artifact."""
    reference = subject.datasets.get(Role.REFERENCE)
    row = ground.room.shape
    if _usable(reference, row) and reference is not None and reference.labels is not None:
        assert reference.inputs is not None  # noqa: S101 -- as asked in `_usable`
        return reference.inputs, reference.labels
    labels = ground.fitted.labels
    known = labels >= 0
    if len(np.unique(labels[known])) < ground.classes:
        return Gap(
            reason=Reason.NEEDS_LABELS,
            detail="Clean models to compare with are trained on labelled reference or evaluation "
            "rows of every class, and there are none.",
            cure="Name labelled rows that had no part in training under data.reference.",
        )
    return ground.fitted.inputs[known], labels[known]


def _usable(dataset: Dataset | None, row: tuple[int, ...]) -> bool:
    if dataset is None or dataset.inputs is None or dataset.labels is None:
        return False
    return dataset.inputs.shape[1:] == row and bool((dataset.labels >= 0).all())
