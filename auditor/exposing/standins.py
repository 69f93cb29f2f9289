"""Stand-ins for the model, half of them with each row of a pool and half without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.datasets import Dataset, Role
from auditor.domain.evidence import Item
from auditor.domain.gaps import write_gap
from auditor.domain.readings import Gap, Reason
from auditor.domain.recipes import Recipe
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Floats
from auditor.errors import RecipeError
from auditor.exposing.attacks import Include, Shadows
from auditor.exposing.labels import decided
from auditor.exposing.pools import Pool
from auditor.exposing.temperature import reread
from auditor.shadows.agreement import agreement, mismatch
from auditor.shadows.features import numbers
from auditor.shadows.likeness import Likeness, likeness, marks
from auditor.shadows.retraining import Lessons, retrain
from auditor.shadows.stacks import Stack
from auditor.shadows.training import LOGISTIC, Settings, train_stack

LOGISTIC_KIND, NETWORK_KIND, DISTILLED_KIND, RECIPE_KIND, READY_KIND = (
    "logistic",
    "network",
    "distilled",
    "recipe",
    "ready",
)
NETWORK = Settings(hidden=(64,), rate=0.003)
KINDS: Mapping[str, Settings] = {
    LOGISTIC_KIND: LOGISTIC,
    DISTILLED_KIND: NETWORK,
    NETWORK_KIND: NETWORK,
}
"""What can stand in without a recipe, from the weakest to what has found most."""

Ask = Callable[[Stack], Floats]
"""How ``k`` stand-ins are asked, as the model is: what ``[k, n]`` they give each row's label."""


@dataclass(frozen=True, slots=True, eq=False)
class StandIns:
    """What stand-ins of each kind say of a pool; of models ``like`` the artifact (retrained by the
    recipe, or ready), also why they do not count.

    ``sided`` are those that learn from training data alone, as the model did.
    """

    kinds: Mapping[str, Shadows]
    gap: Gap | None = None
    agreement: Mapping[str, Json] | None = None
    sided: Mapping[str, Shadows] = field(default_factory=dict)
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


def halves(models: int, rows: int, rng: np.random.Generator) -> Include:
    """Return which rows ``[models, n]`` each model sees: each row is seen by every other one."""
    found = np.empty((models, rows), dtype=np.bool_)
    for model in range(0, models, 2):
        found[model] = rng.permutation(rows) < rows // 2
        found[model + 1 : model + 2] = ~found[model]
    return found


def stand_ins(  # noqa: PLR0913 -- what is trained, on what, and how it is asked
    subject: Subject, pool: Pool, said: Floats, ask: Ask, *, kinds: tuple[str, ...], models: int
) -> dict[str, Shadows]:
    """Train ``models`` stand-ins of each kind; distilled ones learn what the model ``said``."""
    features = numbers(pool.inputs)
    found: dict[str, Shadows] = {}
    for at, kind in enumerate(name for name in KINDS if name in kinds):
        rng = np.random.default_rng([subject.seed, at])
        include = halves(models, len(features), rng)
        stack = train_stack(
            features,
            said if kind == DISTILLED_KIND else pool.labels,
            said.shape[1],
            include,
            KINDS[kind],
            seed=subject.seed + at,
            progress=subject.progress,
        )
        found[kind] = Shadows(ask(stack), include)
    return found


def retrained(subject: Subject, pool: Pool, models: int, *, labels_only: bool) -> StandIns:
    """Train ``models`` times by the recipe on halves of the pool and all other training rows.

    What cannot be had, or is not of the recipe that made the artifact, is a Gap.
    """
    recipe, evaluation = subject.recipe, subject.datasets[Role.EVALUATION]
    if isinstance(recipe, Gap) or not models or labels_only:
        why = _LABELS_ALONE if labels_only else _NOT_ASKED
        return StandIns({}, recipe if isinstance(recipe, Gap) else why)
    include = halves(models, len(pool.labels), np.random.default_rng([subject.seed, 99]))
    try:
        chances, held = _answers(subject, recipe, pool, include)
    except RecipeError as error:
        return StandIns({}, Gap(reason=Reason.RECIPE_FAILED, detail=error.problem, cure=error.cure))
    ours = _decisions(subject, evaluation, pool.held)
    others = np.stack([decided(subject, one) for one in held])
    if not len(ours):
        return StandIns({RECIPE_KIND: Shadows(chances, include)})
    alike = agreement(ours, others, alike=_alike(subject, pool, include, held))
    gap = mismatch(alike)
    kinds = {} if gap else {RECIPE_KIND: Shadows(chances, include)}
    return StandIns(kinds, gap, alike.to_json())


def _answers(
    subject: Subject, recipe: Recipe, pool: Pool, include: Include
) -> tuple[Floats, Floats]:
    """Return the chances ``[k, n]`` of the pool's labels, and ``[k, h, classes]`` of held rows."""
    training = subject.datasets[Role.TRAINING]
    evaluation = subject.datasets[Role.EVALUATION]
    if training.inputs is None or training.labels is None or evaluation.inputs is None:
        message = "a recipe needs rows to learn from"
        raise TypeError(message)
    inputs = np.concatenate([pool.inputs, training.inputs[pool.rest]])
    labels = np.concatenate([pool.labels, training.labels[pool.rest]])
    always = np.ones((len(include), len(pool.rest)), dtype=np.bool_)
    given = Lessons(inputs, labels, np.concatenate([include, always], axis=1), subject.seed)
    asked = (pool.inputs, evaluation.inputs[pool.held])
    told, held = retrain(recipe, given, asked, subject.progress)
    return np.stack([pool.chances(reread(one, pool.labels)) for one in told]), held


def _alike(subject: Subject, pool: Pool, include: Include, held: Floats) -> tuple[Likeness, ...]:
    """Return how alike the artifact and retrainings are in what they say of labelled held rows."""
    evaluation = subject.datasets[Role.EVALUATION]
    if evaluation.labels is None:
        return ()
    said = subject.probabilities(Role.EVALUATION)[pool.held]
    taught = include.sum(axis=1).mean() + len(pool.rest)
    share = float(taught / (pool.member.sum() + len(pool.rest)))
    return likeness(marks(said, held, evaluation.labels[pool.held]), share)


def _decisions(subject: Subject, data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return subject.decisions(data.role)[rows]


_LABELS_ALONE = Gap(
    reason=Reason.UNSUPPORTED,
    detail="The model gives labels alone; what its recipe makes is not asked about noisy copies.",
    cure="Audit the model with its scores.",
)
_NOT_ASKED = Gap(
    reason=Reason.OVER_BUDGET,
    detail="This budget trains nothing again by the recipe.",
    cure="Audit with a larger budget, or set retrained.",
)
