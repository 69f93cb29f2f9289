"""Retrains models by the owner's recipe, and tests whether the artifact agrees with them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t

from auditor.domain.check_subject import ProgressReporter, report_nothing
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask, TrainingRecipe

LIKENESS_LEVEL = 0.01
"""The chance that an artifact is said to stand apart from its own recipe, all measures together."""
ERROR, BRIER, UNSURE = "error", "brier", "unsure"
Marks = Mapping[str, tuple[Floats, Floats]]
"""By measure: what the artifact's answers ``[n]`` and the retrainings' ``[k, n]`` are worth."""


@dataclass(frozen=True, slots=True)
class RetrainingLikeness:
    """One measure of an artifact beside retrainings, as means over held-out rows.

    ``models`` is the p-value that it is one more of the retrainings, as they scatter from one
    training to the next; ``rows`` that it is as the nearest of them, as rows scatter.
    """

    measure: str
    artifact: float
    retrained: float
    scatter: float
    models: float
    rows: float
    level: float

    @property
    def apart(self) -> bool:
        """Whether neither other trainings nor other rows explain the difference."""
        return max(self.models, self.rows) <= self.level

    def to_json(self) -> dict[str, Json]:
        """Return the form in which details hold it."""
        return {
            "artifact": self.artifact,
            "retrained": self.retrained,
            "scatter": self.scatter,
            "p_models": self.models,
            "p_rows": self.rows,
        }


def probability_measures(artifact: Floats, retrained: Floats, labels: NDArray[np.int64]) -> Marks:
    """Return what probabilities ``[n, classes]`` and ``[k, n, classes]`` of labelled rows are
    worth: whether they are wrong, their Brier score (from 0 to 2), and how unsure they are.
    """
    found = {}
    for name, mark in ((ERROR, _wrong), (BRIER, _brier), (UNSURE, _unsure)):
        found[name] = mark(artifact, labels), np.stack([mark(it, labels) for it in retrained])
    return found


def decision_measures(
    artifact: NDArray[np.int64], retrained: NDArray[np.int64], labels: NDArray[np.int64]
) -> Marks:
    """Return the same of decisions ``[n]`` and ``[k, n]`` alone: whether they are wrong."""
    return {ERROR: ((artifact != labels) * 1.0, (retrained != labels) * 1.0)}


def measure_likeness(given: Marks, share: float = 1.0) -> tuple[RetrainingLikeness, ...]:
    """Hold an artifact against two retrainings or more, measure by measure.

    ``share`` is how many rows a retraining learnt from, of each that the artifact did. Whoever
    learns from more rows errs less, but no faster than by one over the rows, and nothing within
    that counts. What is beyond is held against the scatter of retrainings (a t-test for one more
    draw of a normal, at ``k - 1`` degrees of freedom), and row by row against the retraining that
    is nearest; both have to say so at ``LIKENESS_LEVEL``, by Bonferroni over the measures.
    """
    level = LIKENESS_LEVEL / max(1, len(given))
    return tuple(_held(name, *of, share, level) for name, of in given.items())


def _held(
    name: str, artifact: Floats, retrained: Floats, share: float, level: float
) -> RetrainingLikeness:
    count, rows = retrained.shape
    means, mine = retrained.mean(axis=1), float(artifact.mean())
    low, high = float(means.mean()) * min(1.0, share), float(means.mean()) * max(1.0, share)
    # Retrainings that err equally often have a scatter all the same: less than one row shows.
    scatter = max(float(means.std(ddof=1)), 1 / rows)
    beyond = max(low - mine, mine - high, 0.0)
    models = 2 * float(t.sf(beyond / (scatter * np.sqrt(1 + 1 / count)), count - 1))
    nearest = retrained[int(np.argmin(means) if mine < low else np.argmax(means))]
    factor = min(1.0, share) if mine < low else max(1.0, share)
    # The two-sided p-value that differences `[n]` are none; 1 on the wrong side
    difference = nearest * factor - artifact
    signed = difference if mine < low else -difference
    mean, spread = float(signed.mean()), float(signed.std(ddof=1)) if len(signed) > 1 else 0.0
    if mean <= 0:
        by_rows = 1.0
    elif not spread:
        by_rows = 0.0
    else:
        by_rows = 2 * float(norm.sf(mean / (spread / np.sqrt(len(signed)))))
    return RetrainingLikeness(
        measure=name,
        artifact=mine,
        retrained=float(means.mean()),
        scatter=float(means.std(ddof=1)),
        models=min(1.0, models),
        rows=by_rows,
        level=level,
    )


def _wrong(said: Floats, labels: NDArray[np.int64]) -> Floats:
    return np.asarray(said.argmax(axis=1) != labels, dtype=np.float64)


def _brier(said: Floats, labels: NDArray[np.int64]) -> Floats:
    return np.asarray(((said - np.eye(said.shape[1])[labels]) ** 2).sum(axis=1))


def _unsure(said: Floats, labels: NDArray[np.int64]) -> Floats:  # noqa: ARG001 -- one of three
    return np.asarray(1 - said.max(axis=1))


FEWEST = 2
"""Retrainings below which there is no agreement among them."""
AGREEMENT_LEVEL = 0.001
MEASURES = {ERROR: "The error", BRIER: "The Brier score", UNSURE: "The mean doubt"}
Decisions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RetrainingAgreement:
    """Shares of held-out rows on which models decide alike.

    ``artifact`` is how often the artifact decides as a retraining does, on average; ``among`` how
    often two retrainings do; ``lowest`` is that of the retraining which agrees least with all the
    others. ``rank`` is the exact p-value that the artifact is one more retraining, by its place
    among them; ``rows`` that it agrees as often as the lowest retraining, row by row. ``likeness``
    says whether it is as good and as sure as they are: what errs at random agrees with nobody, and
    a far better model agrees with it no less.
    """

    artifact: float
    among: float
    lowest: float
    rank: float
    rows: float
    retrained: int
    count: int
    level: float
    likeness: tuple[RetrainingLikeness, ...] = ()

    @property
    def disagrees(self) -> bool:
        """Whether the artifact agrees less than every retraining, beyond chance of the rows."""
        return self.rank <= 1 / (self.retrained + 1) and self.rows <= self.level

    @property
    def apart(self) -> tuple[RetrainingLikeness, ...]:
        """The measures by which the artifact is another model than its retrainings."""
        return tuple(item for item in self.likeness if item.apart)

    @property
    def differs(self) -> bool:
        """Whether the recipe surely is not that of the artifact."""
        return self.disagrees or bool(self.apart)

    def to_json(self) -> dict[str, Json]:
        """Return the form in which details hold it."""
        return {
            "agrees_with_artifact": self.artifact,
            "agree_among_themselves": self.among,
            "lowest_agreement": self.lowest,
            "p_rank": self.rank,
            "p_rows": self.rows,
            "retrained": self.retrained,
            "rows": self.count,
            "likeness": {item.measure: item.to_json() for item in self.likeness},
        }


def measure_agreement(
    artifact: Decisions,
    retrained: Decisions,
    level: float = AGREEMENT_LEVEL,
    alike: tuple[RetrainingLikeness, ...] = (),
) -> RetrainingAgreement:
    """Compare what the artifact decides ``[n]`` with what ``k`` retrainings do ``[k, n]``.

    ``alike`` is what ``likeness`` found of the same models.

    The rows must be held out from all. If the recipe is that of the artifact, the ``k + 1`` models
    are exchangeable, and the artifact is as likely as any to agree least with the others: that
    place is an exact permutation test, which with few retrainings proves little. So the artifact
    must fall short of the least agreeable retraining as well, by an exact sign test over the rows
    on which the two agree with different numbers of others. Raises ``ValueError`` for fewer than
    two retrainings, or no rows.
    """
    count, rows = retrained.shape
    if count < FEWEST or not rows:
        message = f"{count} retrainings on {rows} rows show no agreement"
        raise ValueError(message)
    shared = _with_others(np.vstack([artifact[None], retrained]))
    shares = shared.mean(axis=1) / count
    lowest = 1 + int(np.argmin(shares[1:]))
    fewer = int((shared[0] < shared[lowest]).sum())
    differing = fewer + int((shared[0] > shared[lowest]).sum())
    pairs = _with_others(retrained)
    return RetrainingAgreement(
        artifact=float(shares[0]),
        among=float(pairs.mean()) / (count - 1),
        lowest=float(shares[lowest]),
        rank=float((shares <= shares[0]).sum()) / (count + 1),
        rows=float(binomtest(fewer, differing, 0.5, "greater").pvalue) if differing else 1.0,
        retrained=count,
        count=rows,
        level=level,
        likeness=alike,
    )


def recipe_mismatch_gap(found: RetrainingAgreement, metric: str = "") -> Gap | None:
    """Return the Gap of a recipe that does not make this artifact; ``None`` where it may."""
    if not found.differs:
        return None
    return Gap(
        reason=GapReason.RECIPE_MISMATCH,
        detail=_how(
            found, f"the recipe's {found.retrained} retrainings", "held-out rows", "what it makes"
        ),
        cure="Name the code, settings and data that made this artifact.",
        metric=metric,
    )


def shadow_mismatch_gap(found: RetrainingAgreement) -> Gap | None:
    """Return the Gap of ready shadow models that are not like this artifact; ``None``: they may be.

    It is the same test as of retrainings.
    """
    if not found.differs:
        return None
    of = f"the {found.retrained} shadow models"
    return Gap(
        reason=GapReason.SHADOWS_MISMATCH,
        detail=_how(found, of, "rows that none of them learnt from", "what made them"),
        cure="Name models trained by the code and settings, and on the kind of data, that made "
        "this artifact.",
    )


def _how(found: RetrainingAgreement, of: str, rows: str, made: str) -> str:
    """Say by what the artifact stands apart from models ``of`` some kind."""
    if found.disagrees:
        return (
            f"The artifact decides as {of} do on {found.artifact:.1%} of {found.count} {rows}, "
            f"where they decide alike on {found.among:.1%}, and none of them on less than "
            f"{found.lowest:.1%}."
        )
    one = found.apart[0]
    return (
        f"{MEASURES[one.measure]} of the artifact is {one.artifact:.3f} on {found.count} {rows}, "
        f"and that of {of} {one.retrained:.3f}, give or take {one.scatter:.3f}: {made} "
        "is another kind of model."
    )


def _with_others(decided: Decisions) -> NDArray[np.int64]:
    """Return with how many other models each one decides alike, ``[k, n]``."""
    found = np.zeros(decided.shape, dtype=np.int64)
    for choice in np.unique(decided):
        chosen = decided == choice
        found += chosen * (chosen.sum(axis=0) - 1)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class RetrainingSubsets:
    """One lesson a row of ``include`` ``[M, n]``: the rows that it names, and a seed of its own.

    A lesson copies its rows when its turn comes, so that no two of them take memory at once.
    """

    inputs: Array
    labels: NDArray[np.int64]
    include: NDArray[np.bool_]
    seed: int

    def __len__(self) -> int:
        """Return how many trainings there are."""
        return len(self.include)

    def __iter__(self) -> Iterator[RetrainingTask]:
        """Yield the lessons one by one, the same ones each time."""
        seeds = np.random.SeedSequence(self.seed).generate_state(len(self))
        for mask, one in zip(self.include, seeds, strict=True):
            yield RetrainingTask(self.inputs[mask], self.labels[mask], int(one))


def retrain_models(
    recipe: TrainingRecipe,
    lessons: RetrainingSubsets,
    asked: Sequence[Array],
    progress: ProgressReporter = report_nothing,
) -> tuple[Floats, ...]:
    """Train once a lesson, and return ``[M, n, classes]`` probabilities of each array asked.

    Raises ``RecipeError`` where the owner's code fails.
    """
    answers = []
    for done, lesson in enumerate(lessons):
        progress(done, len(lessons), "training again by the recipe")
        answers.append(recipe.answers(lesson, asked))
    return tuple(np.stack(item) for item in zip(*answers, strict=True))
