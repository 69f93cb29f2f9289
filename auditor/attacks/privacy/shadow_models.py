"""Ready shadow models as stand-ins: asked about the pool, of whose rows they say which they saw."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.shadows import ShadowModels, by_all, by_some, learnt
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Floats
from auditor.errors import ShadowsError
from auditor.exposing.attacks import LEAST_FOR_LIRA, Include, Shadows
from auditor.exposing.labels import decided, of_target
from auditor.exposing.pools import LEAST, MOST_HELD, Fit, Pool, gather
from auditor.exposing.standins import READY_KIND, StandIns, retrained
from auditor.exposing.temperature import reread
from auditor.exposing.unseen import unseen
from auditor.shadows.agreement import agreement, unlike
from auditor.shadows.likeness import Likeness, likeness, marks


def choose(subject: Subject, most: int, *, hold: bool) -> Pool | Gap:
    """Gather the pool; where there are ready shadow models, of rows that they can speak of.

    A row that all of them saw says nothing. Evaluation rows that none saw are held back, where some
    were learnt from; training rows that none saw are left out then. Where too few rows are left so,
    any are taken.
    """
    if isinstance(subject.shadows, Gap):
        return gather(subject, most, hold=hold)
    members, others = _seen(subject, subject.shadows)
    both = bool(members.any() and others.any())
    fit = Fit(
        ~by_all(members) & by_some(members) if both else ~by_all(members),
        ~by_all(others) & by_some(others) if others.any() else ~by_all(others),
        ~by_some(others) if others.any() else None,
    )
    pool = gather(subject, most, hold=True, fit=fit)
    return gather(subject, most) if isinstance(pool, Gap) else pool


def alike(subject: Subject, pool: Pool, models: int, *, labels_only: bool) -> StandIns:
    """Return models like the artifact: the ready ones, or else ``models`` by the recipe.

    Ready ones must agree with the artifact as they agree with one another, on rows that none of
    them learnt from. What they lack is a Gap; nothing is trained in their place.
    """
    shadows = subject.shadows
    if isinstance(shadows, Gap):
        return retrained(subject, pool, models, labels_only=labels_only)
    found = _LABELS_ALONE if labels_only else _asked(subject, shadows, pool)
    ready = StandIns({}, found) if isinstance(found, Gap) else found
    return replace(ready, like=READY_KIND)


def lacking_lira(shadows: Shadows) -> Gap | None:
    """Return why LiRA is not made with ready shadow models; ``None`` where it is."""
    count = len(shadows.chances)
    if count < LEAST_FOR_LIRA:
        return Gap(
            reason=Reason.NEEDS_SHADOWS,
            detail=f"{count} shadow models have no variance to speak of; LiRA takes "
            f"{LEAST_FOR_LIRA}.",
            cure=f"Name {LEAST_FOR_LIRA - count} more under shadows in the audit file; 16 make it "
            "steady.",
        )
    if shadows.of_both_sides:
        return None
    return Gap(
        reason=Reason.NEEDS_SHADOWS,
        detail="LiRA compares models that saw a row with models that did not, and no shadow model "
        "learnt from rows of one of both kinds.",
        cure="Train them on halves of training and evaluation rows together, and set shadows.rows: "
        "[training, evaluation] with a matrix over both.",
    )


def _asked(subject: Subject, shadows: ShadowModels, pool: Pool) -> StandIns | Gap:
    members, others = _seen(subject, shadows)
    inside = pool.places[pool.member], pool.places[~pool.member]
    include = np.concatenate([members[:, inside[0]], others[:, inside[1]]], axis=1)
    if by_all(include).any():
        return _NO_ROWS
    held = _held(subject, shadows, pool)
    if sum(map(len, held)) < LEAST:
        return _NOT_HELD
    ours = np.concatenate([subject.decisions(Role.EVALUATION)[pool.held], _beside(subject, held)])
    chances, theirs = [], []
    try:
        for model in range(len(include)):
            subject.progress(model, len(include), "asking ready shadow models")
            said, *parts = shadows.answers(model, (pool.inputs, *held))
            chances.append(pool.chances(reread(said, pool.labels)))
            theirs.append(parts)
    except ShadowsError as error:
        return Gap(reason=Reason.SHADOWS_FAILED, detail=error.problem, cure=error.cure)
    decisions = [np.concatenate([decided(subject, part) for part in one]) for one in theirs]
    answers = np.stack([first for first, _ in theirs])
    likely = _likely(subject, pool, answers, shadows)
    found = agreement(ours, np.stack(decisions), alike=likely)
    gap, kind = unlike(found), Shadows(np.stack(chances), include)
    return StandIns({} if gap else {READY_KIND: kind}, gap, found.to_json())


def _likely(
    subject: Subject, pool: Pool, answers: Floats, shadows: ShadowModels
) -> tuple[Likeness, ...]:
    """Return how alike artifact and shadows are in what they say of evaluation rows held back.

    What a shadow learnt from counts in full, and not what the pool has of it: rows that all saw,
    or none, are not in the pool.
    """
    labels = subject.datasets[Role.EVALUATION].labels
    if labels is None or len(pool.held) < LEAST:
        return ()
    said = subject.probabilities(Role.EVALUATION)[pool.held]
    taught = sum(float(rows.sum(axis=1).mean()) for rows in shadows.include.values())
    share = taught / subject.datasets[Role.TRAINING].rows
    return likeness(marks(said, answers, labels[pool.held]), share)


def _seen(subject: Subject, shadows: ShadowModels) -> tuple[Include, Include]:
    """Return which training and which evaluation rows each model learnt from."""
    members, others = (
        learnt(shadows, role, subject.datasets[role].rows)
        for role in (Role.TRAINING, Role.EVALUATION)
    )
    return members, others


def _held(subject: Subject, shadows: ShadowModels, pool: Pool) -> tuple[Array, Array]:
    """Return evaluation rows that were held back, and where these are few, reference rows."""
    evaluation, training = (subject.datasets[it] for it in (Role.EVALUATION, Role.TRAINING))
    reference = subject.datasets.get(Role.REFERENCE)
    if evaluation.inputs is None or training.inputs is None:
        message = "a pool is of rows with inputs"
        raise TypeError(message)
    held, none = evaluation.inputs[pool.held], evaluation.inputs[:0]
    if len(held) >= LEAST or reference is None or reference.inputs is None:
        return held, none
    if reference.inputs.shape[1:] != evaluation.inputs.shape[1:] or evaluation.texts:
        return held, none
    rows = subject.sample(Role.REFERENCE, reference.rows)
    taken = by_some(learnt(shadows, Role.REFERENCE, reference.rows))
    rows = rows[~taken[rows]][:MOST_HELD]
    spare = reference.inputs[rows]
    return held, spare[unseen(spare, training.inputs)]


def _beside(subject: Subject, held: tuple[Array, Array]) -> NDArray[np.int64]:
    """Ask the target about held rows that are not of the evaluation data."""
    return of_target(subject)(held[1]) if len(held[1]) else np.zeros(0, dtype=np.int64)


_LABELS_ALONE = Gap(
    reason=Reason.UNSUPPORTED,
    detail="The model gives labels alone; shadow models are not asked about noisy copies.",
    cure="Audit the model with its scores.",
)
_NO_ROWS = Gap(
    reason=Reason.NEEDS_SHADOWS,
    detail=f"Of fewer than {LEAST} members or others there is a shadow model that did not learn "
    "from the row, and one that did where they learnt from both kinds.",
    cure="Let each shadow model learn from a random half of the rows.",
)
_NOT_HELD = Gap(
    reason=Reason.TOO_FEW_ROWS,
    detail=f"Fewer than {LEAST} rows were learnt from by no shadow model, so that nobody can say "
    "whether these are like the artifact.",
    cure="Leave a part of the evaluation rows out of all shadow models, or name data.reference.",
)
