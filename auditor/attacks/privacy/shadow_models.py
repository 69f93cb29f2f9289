"""Shadow models of the target: ready-made, trained on halves of a pool, or on members alone.

One-sided models learn from training data alone, as the target did. A shadow model trained on
members and non-members learns the difference between them, so it never shows how a model that
knows only one side reacts to the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.attacks.privacy.logit_recovery import reread_scores
from auditor.attacks.privacy.membership import (
    LEAST_FOR_LIRA,
    Include,
    ShadowPredictions,
    build_target_decider,
    decide_classes,
)
from auditor.attacks.privacy.membership_pool import (
    LEAST,
    MOST_HELD,
    EligibleRows,
    MembershipPool,
    find_unseen_rows,
    gather_pool,
)
from auditor.attacks.privacy.retraining_agreement import (
    RetrainingLikeness,
    RetrainingSubsets,
    measure_agreement,
    measure_likeness,
    probability_measures,
    recipe_mismatch_gap,
    retrain_models,
    shadow_mismatch_gap,
)
from auditor.attacks.privacy.shadow_training import (
    LOGISTIC,
    ModelStack,
    ShadowTrainingSettings,
    to_feature_matrix,
    train_stack,
)
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Item
from auditor.domain.gaps import write_gap
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason
from auditor.domain.shadow_models import (
    ShadowModels,
    decode_inclusion,
    rows_learnt_by_all,
    rows_learnt_by_any,
)
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import TrainingRecipe
from auditor.errors import RecipeError, ShadowsError

LOGISTIC_KIND, NETWORK_KIND, DISTILLED_KIND, RECIPE_KIND, READY_KIND = (
    "logistic",
    "network",
    "distilled",
    "recipe",
    "ready",
)
NETWORK = ShadowTrainingSettings(hidden=(64,), rate=0.003)
KINDS: Mapping[str, ShadowTrainingSettings] = {
    LOGISTIC_KIND: LOGISTIC,
    DISTILLED_KIND: NETWORK,
    NETWORK_KIND: NETWORK,
}
"""What can stand in without a recipe, from the weakest to what has found most."""

Ask = Callable[[ModelStack], Floats]
"""How ``k`` stand-ins are asked, as the model is: what ``[k, n]`` they give each row's label."""


@dataclass(frozen=True, slots=True, eq=False)
class ShadowModelAnswers:
    """What stand-ins of each kind say of a pool; of models ``like`` the artifact (retrained by the
    recipe, or ready), also why they do not count.

    ``sided`` are those that learn from training data alone, as the model did.
    """

    kinds: Mapping[str, ShadowPredictions]
    gap: Gap | None = None
    agreement: Mapping[str, Json] | None = None
    sided: Mapping[str, ShadowPredictions] = field(default_factory=dict)
    like: str = RECIPE_KIND

    def to_evidence(self) -> dict[str, Item]:
        """Return the arrays of each kind, and what is said of them."""
        arrays: dict[str, Item] = {}
        for name, shadows in self.kinds.items():
            arrays[f"include_{name}"] = shadows.include
            arrays[f"chances_{name}"] = shadows.chances.astype(np.float32)
        for name, shadows in self.sided.items():
            arrays[f"include_sided_{name}"] = shadows.include
            arrays[f"chances_sided_{name}"] = shadows.chances.astype(np.float32)
        arrays["stand_ins"] = {
            "kinds": list(self.kinds),
            "sided": list(self.sided),
            **({"like": self.like} if self.like != RECIPE_KIND else {}),
            "gap": None if self.gap is None else write_gap(self.gap),
            "agreement": None if self.agreement is None else dict(self.agreement),
        }
        return arrays


def draw_halves(models: int, rows: int, rng: np.random.Generator) -> Include:
    """Return which rows ``[models, n]`` each model sees: each row is seen by every other one."""
    found = np.empty((models, rows), dtype=np.bool_)
    for model in range(0, models, 2):
        found[model] = rng.permutation(rows) < rows // 2
        found[model + 1 : model + 2] = ~found[model]
    return found


def train_shadow_models(  # noqa: PLR0913 -- what is trained, on what, and how it is asked
    subject: Subject,
    pool: MembershipPool,
    said: Floats,
    ask: Ask,
    *,
    kinds: tuple[str, ...],
    models: int,
) -> dict[str, ShadowPredictions]:
    """Train ``models`` stand-ins of each kind; distilled ones learn what the model ``said``."""
    features = to_feature_matrix(pool.inputs)
    found: dict[str, ShadowPredictions] = {}
    for at, kind in enumerate(name for name in KINDS if name in kinds):
        rng = np.random.default_rng([subject.seed, at])
        include = draw_halves(models, len(features), rng)
        stack = train_stack(
            features,
            said if kind == DISTILLED_KIND else pool.labels,
            said.shape[1],
            include,
            KINDS[kind],
            seed=subject.seed + at,
            progress=subject.progress,
        )
        found[kind] = ShadowPredictions(ask(stack), include)
    return found


def retrain_on_halves(
    subject: Subject, pool: MembershipPool, models: int, *, labels_only: bool
) -> ShadowModelAnswers:
    """Train ``models`` times by the recipe on halves of the pool and all other training rows.

    What cannot be had, or is not of the recipe that made the artifact, is a Gap.
    """
    recipe, evaluation = subject.recipe, subject.datasets[DatasetRole.EVALUATION]
    if isinstance(recipe, Gap) or not models or labels_only:
        why = _LABELS_ALONE if labels_only else _NOT_ASKED
        return ShadowModelAnswers({}, recipe if isinstance(recipe, Gap) else why)
    include = draw_halves(models, len(pool.labels), np.random.default_rng([subject.seed, 99]))
    try:
        chances, held = _answers(subject, recipe, pool, include)
    except RecipeError as error:
        return ShadowModelAnswers(
            {}, Gap(reason=GapReason.RECIPE_FAILED, detail=error.problem, cure=error.cure)
        )
    ours = subject.decisions(evaluation.role)[pool.held]
    others = np.stack([decide_classes(subject, one) for one in held])
    if not len(ours):
        return ShadowModelAnswers({RECIPE_KIND: ShadowPredictions(chances, include)})
    alike = measure_agreement(ours, others, alike=_alike(subject, pool, include, held))
    gap = recipe_mismatch_gap(alike)
    kinds = {} if gap else {RECIPE_KIND: ShadowPredictions(chances, include)}
    return ShadowModelAnswers(kinds, gap, alike.to_json())


def _answers(
    subject: Subject, recipe: TrainingRecipe, pool: MembershipPool, include: Include
) -> tuple[Floats, Floats]:
    """Return the chances ``[k, n]`` of the pool's labels, and ``[k, h, classes]`` of held rows."""
    training = subject.datasets[DatasetRole.TRAINING]
    evaluation = subject.datasets[DatasetRole.EVALUATION]
    if training.inputs is None or training.labels is None or evaluation.inputs is None:
        message = "a recipe needs rows to learn from"
        raise TypeError(message)
    inputs = np.concatenate([pool.inputs, training.inputs[pool.rest]])
    labels = np.concatenate([pool.labels, training.labels[pool.rest]])
    always = np.ones((len(include), len(pool.rest)), dtype=np.bool_)
    given = RetrainingSubsets(
        inputs, labels, np.concatenate([include, always], axis=1), subject.seed
    )
    asked = (pool.inputs, evaluation.inputs[pool.held])
    told, held = retrain_models(recipe, given, asked, subject.progress)
    return np.stack([pool.chances(reread_scores(one, pool.labels)) for one in told]), held


def _alike(
    subject: Subject, pool: MembershipPool, include: Include, held: Floats
) -> tuple[RetrainingLikeness, ...]:
    """Return how alike the artifact and retrainings are in what they say of labelled held rows."""
    evaluation = subject.datasets[DatasetRole.EVALUATION]
    if evaluation.labels is None:
        return ()
    said = subject.probabilities(DatasetRole.EVALUATION)[pool.held]
    taught = include.sum(axis=1).mean() + len(pool.rest)
    share = float(taught / (pool.member.sum() + len(pool.rest)))
    return measure_likeness(probability_measures(said, held, evaluation.labels[pool.held]), share)


_LABELS_ALONE = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="The model gives labels alone; what its recipe makes is not asked about noisy copies.",
    cure="Audit the model with its scores.",
)
_NOT_ASKED = Gap(
    reason=GapReason.OVER_BUDGET,
    detail="This budget trains nothing again by the recipe.",
    cure="Audit with a larger budget, or set retrained.",
)


def choose_pool(subject: Subject, most: int, *, hold: bool) -> MembershipPool | Gap:
    """Gather the pool; where there are ready shadow models, of rows that they can speak of.

    A row that all of them saw says nothing. Evaluation rows that none saw are held back, where some
    were learnt from; training rows that none saw are left out then. Where too few rows are left so,
    any are taken.
    """
    if isinstance(subject.shadows, Gap):
        return gather_pool(subject, most, hold=hold)
    members, others = _seen(subject, subject.shadows)
    both = bool(members.any() and others.any())
    fit = EligibleRows(
        ~rows_learnt_by_all(members) & rows_learnt_by_any(members)
        if both
        else ~rows_learnt_by_all(members),
        ~rows_learnt_by_all(others) & rows_learnt_by_any(others)
        if others.any()
        else ~rows_learnt_by_all(others),
        ~rows_learnt_by_any(others) if others.any() else None,
    )
    pool = gather_pool(subject, most, hold=True, fit=fit)
    return gather_pool(subject, most) if isinstance(pool, Gap) else pool


def reference_shadow_models(
    subject: Subject, pool: MembershipPool, models: int, *, labels_only: bool
) -> ShadowModelAnswers:
    """Return models like the artifact: the ready ones, or else ``models`` by the recipe.

    Ready ones must agree with the artifact as they agree with one another, on rows that none of
    them learnt from. What they lack is a Gap; nothing is trained in their place.
    """
    shadows = subject.shadows
    if isinstance(shadows, Gap):
        return retrain_on_halves(subject, pool, models, labels_only=labels_only)
    found = _LABELS_ALONE_READY if labels_only else _asked(subject, shadows, pool)
    ready = ShadowModelAnswers({}, found) if isinstance(found, Gap) else found
    return replace(ready, like=READY_KIND)


def missing_lira_reason(shadows: ShadowPredictions) -> Gap | None:
    """Return why LiRA is not made with ready shadow models; ``None`` where it is."""
    count = len(shadows.chances)
    if count < LEAST_FOR_LIRA:
        return Gap(
            reason=GapReason.NEEDS_SHADOWS,
            detail=f"{count} shadow models have no variance to speak of; LiRA takes "
            f"{LEAST_FOR_LIRA}.",
            cure=f"Name {LEAST_FOR_LIRA - count} more under shadows in the audit file; 16 make it "
            "steady.",
        )
    if shadows.of_both_sides:
        return None
    return Gap(
        reason=GapReason.NEEDS_SHADOWS,
        detail="LiRA compares models that saw a row with models that did not, and no shadow model "
        "learnt from rows of one of both kinds.",
        cure="Train them on halves of training and evaluation rows together, and set shadows.rows: "
        "[training, evaluation] with a matrix over both.",
    )


def _asked(
    subject: Subject, shadows: ShadowModels, pool: MembershipPool
) -> ShadowModelAnswers | Gap:
    members, others = _seen(subject, shadows)
    inside = pool.places[pool.member], pool.places[~pool.member]
    include = np.concatenate([members[:, inside[0]], others[:, inside[1]]], axis=1)
    if rows_learnt_by_all(include).any():
        return _NO_ROWS
    held = _held(subject, shadows, pool)
    if sum(map(len, held)) < LEAST:
        return _NOT_HELD
    ours = np.concatenate(
        [
            subject.decisions(DatasetRole.EVALUATION)[pool.held],
            build_target_decider(subject)(held[1]) if len(held[1]) else np.zeros(0, dtype=np.int64),
        ]
    )
    chances, theirs = [], []
    try:
        for model in range(len(include)):
            subject.progress(model, len(include), "asking ready shadow models")
            said, *parts = shadows.answers(model, (pool.inputs, *held))
            chances.append(pool.chances(reread_scores(said, pool.labels)))
            theirs.append(parts)
    except ShadowsError as error:
        return Gap(reason=GapReason.SHADOWS_FAILED, detail=error.problem, cure=error.cure)
    decisions = [np.concatenate([decide_classes(subject, part) for part in one]) for one in theirs]
    answers = np.stack([first for first, _ in theirs])
    likely = _likely(subject, pool, answers, shadows)
    found = measure_agreement(ours, np.stack(decisions), alike=likely)
    gap, kind = shadow_mismatch_gap(found), ShadowPredictions(np.stack(chances), include)
    return ShadowModelAnswers({} if gap else {READY_KIND: kind}, gap, found.to_json())


def _likely(
    subject: Subject, pool: MembershipPool, answers: Floats, shadows: ShadowModels
) -> tuple[RetrainingLikeness, ...]:
    """Return how alike artifact and shadows are in what they say of evaluation rows held back.

    What a shadow learnt from counts in full, and not what the pool has of it: rows that all saw,
    or none, are not in the pool.
    """
    labels = subject.datasets[DatasetRole.EVALUATION].labels
    if labels is None or len(pool.held) < LEAST:
        return ()
    said = subject.probabilities(DatasetRole.EVALUATION)[pool.held]
    taught = sum(float(rows.sum(axis=1).mean()) for rows in shadows.include.values())
    share = taught / subject.datasets[DatasetRole.TRAINING].rows
    return measure_likeness(probability_measures(said, answers, labels[pool.held]), share)


def _seen(subject: Subject, shadows: ShadowModels) -> tuple[Include, Include]:
    """Return which training and which evaluation rows each model learnt from."""
    members, others = (
        decode_inclusion(shadows, role, subject.datasets[role].rows)
        for role in (DatasetRole.TRAINING, DatasetRole.EVALUATION)
    )
    return members, others


def _held(subject: Subject, shadows: ShadowModels, pool: MembershipPool) -> tuple[Array, Array]:
    """Return evaluation rows that were held back, and where these are few, reference rows."""
    evaluation, training = (
        subject.datasets[it] for it in (DatasetRole.EVALUATION, DatasetRole.TRAINING)
    )
    reference = subject.datasets.get(DatasetRole.REFERENCE)
    if evaluation.inputs is None or training.inputs is None:
        message = "a pool is of rows with inputs"
        raise TypeError(message)
    held, none = evaluation.inputs[pool.held], evaluation.inputs[:0]
    if len(held) >= LEAST or reference is None or reference.inputs is None:
        return held, none
    if reference.inputs.shape[1:] != evaluation.inputs.shape[1:] or evaluation.texts:
        return held, none
    rows = subject.sample(DatasetRole.REFERENCE, reference.rows)
    taken = rows_learnt_by_any(decode_inclusion(shadows, DatasetRole.REFERENCE, reference.rows))
    rows = rows[~taken[rows]][:MOST_HELD]
    spare = reference.inputs[rows]
    return held, spare[find_unseen_rows(spare, training.inputs)]


_LABELS_ALONE_READY = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="The model gives labels alone; shadow models are not asked about noisy copies.",
    cure="Audit the model with its scores.",
)
_NO_ROWS = Gap(
    reason=GapReason.NEEDS_SHADOWS,
    detail=f"Of fewer than {LEAST} members or others there is a shadow model that did not learn "
    "from the row, and one that did where they learnt from both kinds.",
    cure="Let each shadow model learn from a random half of the rows.",
)
_NOT_HELD = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail=f"Fewer than {LEAST} rows were learnt from by no shadow model, so that nobody can say "
    "whether these are like the artifact.",
    cure="Leave a part of the evaluation rows out of all shadow models, or name data.reference.",
)


MODELS = 4
SALT = 55


def ask_one_sided_models(
    subject: Subject, pool: MembershipPool, classes: int, kinds: tuple[str, ...], ask: Ask
) -> dict[str, ShadowPredictions]:
    """Return what stand-ins of each kind say, as ``ask`` asks them, that
    ``train_one_sided_models``.
    """
    found = {}
    for kind in (name for name in KINDS if name in kinds):
        stack, include = train_one_sided_models(subject, pool, classes, kind)
        found[kind] = ShadowPredictions(ask(stack), include)
    return found


def train_one_sided_models(
    subject: Subject, pool: MembershipPool, classes: int, kind: str
) -> tuple[ModelStack, Include]:
    """Train stand-ins on halves of the members, and on training rows besides.

    Besides are as many rows as make up for the non-members that the others learn from, where the
    training data have them. Half of the members and all non-members are then unseen ``[k, n]``,
    and no attack should tell these from those. Labels are the true ones: answers of the model
    would be of members that it has seen.
    """
    # Training rows that are not in the pool, with their labels
    training = subject.datasets[DatasetRole.TRAINING]
    if training.inputs is None or training.labels is None:
        message = "training data without rows or labels teach nothing"
        raise TypeError(message)
    rng = np.random.default_rng([subject.seed, SALT, 1])
    most = int((~pool.member).sum()) // 2
    taken = np.sort(rng.permutation(pool.rest)[:most])
    inputs, labels = training.inputs[taken], training.labels[taken]
    # Which rows `[MODELS, n + besides]` each sees: no non-member, and all besides
    rng = np.random.default_rng([subject.seed, SALT])
    include = np.zeros((MODELS, len(pool.labels) + len(labels)), dtype=np.bool_)
    members = np.flatnonzero(pool.member)
    include[:, members] = draw_halves(MODELS, len(members), rng)
    include[:, len(pool.labels) :] = True
    stack = train_stack(
        to_feature_matrix(np.concatenate([pool.inputs, inputs])),
        np.concatenate([pool.labels, labels]),
        classes,
        include,
        KINDS[kind],
        seed=subject.seed + SALT,
        progress=subject.progress,
    )
    return stack, include[:, : len(pool.labels)]
