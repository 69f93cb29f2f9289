"""Clean models that are ready: shadow models that learnt from rows that the audit trusts, alone."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.shadows import ShadowModels
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array
from auditor.errors import ShadowsError
from auditor.poisons.backdoor_ground import Ground
from auditor.shadows.agreement import FEWEST, Agreement, agreement, unlike

Answers = Mapping[str, NDArray[np.int64]]
JUDGED = "judged"


def clean_ones(shadows: ShadowModels) -> tuple[int, ...]:
    """Return the models that learnt from reference rows and from no others.

    One that learnt from training rows has what was planted there; one that learnt from evaluation
    rows knows those by which triggers are judged.
    """
    parts = {role: rows.any(axis=1) for role, rows in shadows.include.items()}
    others = [learnt for role, learnt in parts.items() if role is not Role.REFERENCE]
    if Role.REFERENCE not in parts:
        return ()
    clean = parts[Role.REFERENCE] & ~np.any([*others, np.zeros_like(parts[Role.REFERENCE])], axis=0)
    return tuple(np.flatnonzero(clean).tolist())


def ready_answers(
    subject: Subject, shadows: ShadowModels, ground: Ground, asked: Mapping[str, Array]
) -> tuple[Answers, Agreement] | Gap:
    """Ask every clean shadow model, and return what each decides of the rows asked: ``[k, n]``.

    They must agree with the artifact as they agree with one another, on the judged rows: a model
    with a backdoor decides on rows without trigger as a clean one does.
    """
    clean = clean_ones(shadows)
    if len(clean) < FEWEST:
        return _none_clean(len(clean))
    told: list[list[NDArray[np.int64]]] = []
    rows = (ground.judged.inputs, *asked.values())
    try:
        for done, model in enumerate(clean):
            subject.progress(done, len(clean), "clean models")
            said = shadows.answers(model, rows, labels_only=True)
            told.append([ground.asker.task.decide(part) for part in said])
    except ShadowsError as error:
        return Gap(reason=Reason.SHADOWS_FAILED, detail=error.problem, cure=error.cure)
    judged, *others = (np.stack(parts) for parts in zip(*told, strict=True))
    found = agreement(ground.judged.before, judged)
    return unlike(found) or (dict(zip(asked, others, strict=True)), found)


def _none_clean(count: int) -> Gap:
    return Gap(
        reason=Reason.NEEDS_SHADOWS,
        detail=f"{count} of the shadow models learnt from reference rows alone, and {FEWEST} are "
        "the fewest to compare with: those that learnt from data.training have what was planted "
        "there.",
        cure="Train clean models on data.reference, which is trusted, and let shadows.rows name "
        "reference; 19 of them decide by themselves.",
    )
