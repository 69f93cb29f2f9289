"""Model extraction: surrogates trained on the target's answers, their fidelity and data split."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.attacks.privacy.membership_pool import find_unseen_rows
from auditor.attacks.privacy.shadow_training import ModelStack, ShadowTrainingSettings, train_stack
from auditor.domain.check_subject import (
    ProgressReporter,
    Subject,
    report_nothing,
    seeded_permutation,
)
from auditor.domain.datasets import TEXT, Dataset, DatasetRole
from auditor.domain.evidence import Evidence, Item, read_clusters, write_clusters
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, WEAK, missing_labels_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Unit,
)
from auditor.domain.tasks import Array, FeatureKind, Floats, InputFeature
from auditor.metrics.stats.cluster_robust import clustered_mean
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.means import paired_difference
from auditor.metrics.stats.share_differences import share_with_clusters

KNOCKOFF, MIXUP = "knockoff", "mixup"
STRATEGIES = (KNOCKOFF, MIXUP)
WIDEST, NARROWEST = 64, 8
MOST_WEIGHTS = 4_000_000
MOST_VALUES = 30_000_000
"""Input values that all queries together may have, so that they fit into memory."""
AT_ONCE = 2_000_000
UPDATES, RATE = 1500, 0.01
QueryPlaces = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ExtractionQueries:
    """What the attacker asks: ``rows`` ``[n, ...]``, made of ``parents`` ``[n, 2]`` of his own.

    ``share`` ``[n]`` is the first parent's share, 1 for a row as it is. ``of`` maps a strategy to
    the places of its queries, in the order in which they are asked.
    """

    rows: Array
    parents: QueryPlaces
    share: Floats
    of: dict[str, QueryPlaces]

    def labels(self, labels: QueryPlaces, classes: int) -> Floats:
        """Return ``[n, classes]``: the labels of the attacker's own rows, mixed as the rows are."""
        told = np.eye(classes)[labels]
        share = self.share[:, None]
        mixed: Floats = share * told[self.parents[:, 0]] + (1 - share) * told[self.parents[:, 1]]
        return mixed

    def ask(self, score: Callable[[Array], Floats]) -> Floats:
        """Return what the target answers, ``[n, classes]``, a bounded number of rows at once."""
        width = max(1, int(np.prod(self.rows.shape[1:])))
        size = max(1, AT_ONCE // width)
        parts = range(0, len(self.rows), size)
        return np.concatenate([score(self.rows[at : at + size]) for at in parts])


def make_queries(
    pool: Array,
    most: int,
    strategies: Sequence[str],
    features: Sequence[InputFeature],
    rng: np.random.Generator,
) -> ExtractionQueries:
    """Return at most ``most`` queries a strategy, from a ``pool`` ``[n, ...]`` of natural rows.

    ``knockoff`` asks about the rows themselves (Orekondy, Schiele and Fritz 2019, CVPR, Knockoff
    Nets, with random choice) and ends with them; ``mixup`` asks about a natural row and a mixture
    of two in turn, and about mixtures alone when the rows have run out (Zhang et al. 2018, ICLR).
    Coded columns of a table all come from one of the two parents.
    """
    natural = np.arange(min(most, len(pool)))
    mixed = most if MIXUP in strategies else 0
    parents = rng.integers(0, len(pool), (mixed, 2))
    share = rng.random(mixed)
    one, other = (pool[parents[:, at]].astype(np.float64) for at in (0, 1))
    weight = share.reshape(-1, *[1] * (pool.ndim - 1))
    mixed_mixed = weight * one + (1 - weight) * other
    coded = [at for at, it in enumerate(features) if it.kind is not FeatureKind.NUMERIC]
    if coded:
        first = (rng.random(len(share)) < share)[:, None]
        mixed_mixed[:, coded] = np.where(first, one[:, coded], other[:, coded])
    if np.issubdtype(pool.dtype, np.integer):
        mixed_mixed = np.rint(mixed_mixed)
    made: Array = mixed_mixed.astype(pool.dtype)
    places = len(natural) + np.arange(mixed)
    turns = np.full((most, 2), -1)
    turns[: len(natural), 0] = natural
    turns[:mixed, 1] = places
    order = turns.ravel()
    return ExtractionQueries(
        np.concatenate([pool[natural], made]),
        np.concatenate([np.stack([natural, natural], axis=1), parents]),
        np.concatenate([np.ones(len(natural)), share]),
        {KNOCKOFF: natural, MIXUP: order[order >= 0][:mixed]},
    )


@dataclass(frozen=True, slots=True)
class ExtractionPlan:
    """Which stand-ins are taught: a strategy and a number of queries each."""

    cells: tuple[tuple[str, int], ...]

    @classmethod
    def of(
        cls, asked: ExtractionQueries, strategies: Sequence[str], budgets: Sequence[int]
    ) -> "ExtractionPlan":
        """Return what there are queries for, and one of all natural rows where more are asked for:
        labels of these are what an answer has to beat.
        """
        natural = len(asked.of[KNOCKOFF])
        cells = [
            (name, count)
            for name in strategies
            for count in budgets
            if count <= len(asked.of[name])
        ]
        return cls(tuple(cells) + ((KNOCKOFF, natural),) * (bool(cells) and natural < max(budgets)))

    def include(self, asked: ExtractionQueries) -> NDArray[np.bool_]:
        """Return ``[cells, n]``: the queries that each stand-in learns from."""
        found = np.zeros((len(self.cells), len(asked.rows)), dtype=np.bool_)
        for at, (name, count) in enumerate(self.cells):
            found[at, asked.of[name][:count]] = True
        return found

    def to_json(self) -> list[Json]:
        """Return the evidence form."""
        return [{"strategy": name, "queries": count} for name, count in self.cells]


def train_copies(
    asked: ExtractionQueries,
    answers: Floats,
    include: NDArray[np.bool_],
    seed: int,
    progress: ProgressReporter = report_nothing,
) -> ModelStack:
    """Teach one stand-in a row of ``include``, a network of one hidden layer.

    ``answers`` are ``[n, classes]`` probabilities. Stand-ins of one seed begin alike and see their
    rows in one order, so that two stacks differ by what they were told alone.
    """
    width = int(np.prod(asked.rows.shape[1:]))
    hidden = int(np.clip(MOST_WEIGHTS // max(width, 1), NARROWEST, WIDEST))
    settings = ShadowTrainingSettings((hidden,), updates=UPDATES, rate=RATE)
    classes = answers.shape[1]
    return train_stack(
        asked.rows, answers, classes, include, settings, seed=seed, progress=progress
    )


def decide_copies(
    stack: ModelStack, rows: Array, decide: Callable[[Floats], NDArray[np.int64]]
) -> NDArray[np.int16]:
    """Return ``[models, n]``: how ``decide`` reads each stand-in's ``[n, classes]`` chances."""
    size = max(1, AT_ONCE // max(1, int(np.prod(rows.shape[1:]))))
    said = []
    for at in range(0, len(rows), size):
        chances = stack.probabilities(rows[at : at + size]).astype(np.float64)
        said.append(np.stack([decide(one) for one in chances]))
    return np.concatenate(said, axis=1).astype(np.int16)


def most_queries_in_memory(row: tuple[int, ...]) -> int:
    """Return how many queries of a shape fit into memory at once."""
    return MOST_VALUES // max(1, int(np.prod(row)))


POWER = 0.8
WHY = (
    "there are no labels to teach a copy by without asking, or the least gain that would be shown "
    f"is above {WEAK}"
)
METRICS = ("fidelity", "gain_over_labels")
Decisions = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class CopyAgreement:
    """Whether two stand-ins decide as the target does, a held-out row: the one taught by the
    target's ``answers``, and the most faithful one that true ``labels`` of as many queries or fewer
    taught, by whatever strategy, if there is one; or a guesser who knows the commonest label.
    """

    strategy: str
    queries: int
    answers: NDArray[np.bool_]
    labels: NDArray[np.bool_] | None
    clusters: NDArray[np.int64] | None

    @property
    def params(self) -> dict[str, str | int]:
        """The coordinates of its readings."""
        return {"strategy": self.strategy, "queries": self.queries}

    def fidelity(self, confidence: float) -> ConfidenceInterval:
        """Return the share of rows on which the stand-in agrees with the target."""
        return share_with_clusters(self.answers, self.clusters, confidence)

    def gain(self, confidence: float, family: int) -> ConfidenceInterval | None:
        """Return the fidelity less that of the stand-in which the labels taught.

        The intervals of a family hold jointly; ``None`` where there are no labels.
        """
        if self.labels is None:
            return None
        level = 1 - (1 - confidence) / family
        if self.clusters is not None:
            gains = self.answers.astype(np.float64) - self.labels
            found = clustered_mean(gains, self.clusters, level)
            found = replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))
        else:
            more = int((self.answers & ~self.labels).sum())
            less = int((~self.answers & self.labels).sum())
            found = paired_difference(more, less, self.answers.size, level)
        return replace(found, confidence=confidence, method=f"{found.method}, joint by bonferroni")

    def smallest(self, level: float, family: int) -> float:
        """Return the least gain that would be shown four times in five, at these rows."""
        found = self.gain(1 - 2 * level, family)
        if found is None:
            return 1.0
        z = float(ndtri(1 - level / family))
        return min(1.0, (found.value - found.low) * (1 + float(ndtri(POWER)) / z))


def read_copy_agreements(evidence: Evidence) -> Iterator[CopyAgreement]:
    """Yield what each stand-in did, from the evidence."""
    target = cast("Decisions", evidence["target"])
    cells = cast("list[Mapping[str, Json]]", evidence["cells"])
    budgets = np.array([cast("int", cell["queries"]) for cell in cells])
    answers = cast("Decisions", evidence["answers"]) == target
    labels = cast("Decisions | None", evidence.get("labels"))
    alike = None if labels is None else labels == target
    guess = target == cast("Mapping[str, Json]", evidence["about"])["commonest_label"]
    clusters = read_clusters(evidence)
    for at, cell in enumerate(cells):
        name = str(cell["strategy"])
        told = None if alike is None else _best(np.vstack([guess, alike[budgets <= budgets[at]]]))
        yield CopyAgreement(name, int(budgets[at]), answers[at], told, clusters)


def _best(alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = alike[int(alike.sum(axis=1).argmax())]
    return found


def majority_share(evidence: Evidence) -> float:
    """Return the share of the decision that the target takes most often: what a guess agrees on."""
    target = cast("Decisions", evidence["target"])
    return float(np.bincount(target).max() / target.size)


def copy_readings(
    copy: CopyAgreement, confidence: float, family: int, about: Mapping[str, Json]
) -> list[Reading]:
    """Return the fidelity of one copy, and what the answers gave it; both say ``about`` too."""
    details = dict(about)
    if copy.labels is not None:
        details["taught_by_labels"] = float(copy.labels.mean())
    gain = copy.gain(confidence, family)
    found: Reading = replace(
        missing_labels_gap(DatasetRole.EVALUATION, METRICS[1]), params={**copy.params}
    )
    if gain is not None:
        found = _measured(METRICS[1], gain, copy, details)
    return [_measured(METRICS[0], copy.fidelity(confidence), copy, details), found]


def _measured(
    metric: str, found: ConfidenceInterval, copy: CopyAgreement, details: dict[str, Json]
) -> Measurement:
    return Measurement.of(
        found, metric, Unit.SHARE, bound=BoundKind.AT_LEAST, params=copy.params, details=details
    )


def extraction_verdict(found: Sequence[CopyAgreement], level: float) -> Measurement:
    """Return the verdict: shown where the answers of some strategy gave more than labels do."""
    compared = [it for it in found if it.labels is not None]
    family = len(found)
    gains = {_name(it): it.gain(1 - 2 * level, family) for it in compared}
    shown = [name for name, gain in gains.items() if gain is not None and gain.low > 0]
    smallest = {_name(it): it.smallest(level, family) for it in compared}
    weak = min(smallest.values(), default=1.0) > WEAK
    value = SHOWN if shown else OPEN if weak else NOT_SEEN
    details: dict[str, Json] = {
        "shown_by": list(shown),
        "level": level,
        "power": dict(smallest),
        **({"reason": WHY} if value == OPEN else {}),
    }
    method = "one-sided intervals, joint by bonferroni"
    rows = found[0].answers.size
    return Measurement(
        metric="verdict",
        value=value,
        bound=BoundKind.AT_LEAST,
        method=method,
        n=rows,
        details=details,
    )


def _name(copy: CopyAgreement) -> str:
    return f"{copy.strategy} of {copy.queries}"


FEWEST_POOL, FEWEST_HELD = 10, 20
SPARE = 2
"""Of so many times the rows that judge, those that the attacker has are left out."""
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ExtractionSplit:
    """The attacker's own rows with their labels, if known, and the places of the held-out rows.

    ``most`` is the largest number of queries that fits into memory, which has ``room`` for so many;
    ``clusters`` is the evidence of which held-out rows hang together.
    """

    pool: Array
    labels: Places | None
    held: Places
    most: int
    room: int
    clusters: Mapping[str, Item]

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form: how many rows there are, and the label that most of them have.

        ``None`` where the attacker knows no labels.
        """
        labels = self.labels
        commonest = None if labels is None else int(np.bincount(labels).argmax())
        return {"pool": len(self.pool), "room": self.room, "commonest_label": commonest}


def split_extraction_rows(
    subject: Subject, rows: int, budgets: Sequence[int]
) -> ExtractionSplit | Gap:
    """Split the data: at most ``rows`` evaluation rows judge, of which none is the attacker's.

    The attacker has the reference data, or one half of the evaluation data, whole clusters each.
    """
    evaluation, reference = (
        subject.datasets.get(it) for it in (DatasetRole.EVALUATION, DatasetRole.REFERENCE)
    )
    if evaluation is None or evaluation.inputs is None or evaluation.inputs.dtype.kind == TEXT:
        return NO_NUMBERS
    order = seeded_permutation(subject.audit_seed, evaluation.rows)
    if reference is not None and _alike(reference, evaluation):
        source, owned, held = reference, np.arange(reference.rows), order
    else:
        units = seeded_permutation(subject.audit_seed, evaluation.units)
        first = first_half(units, evaluation.cluster)
        source, owned, held = evaluation, order[first[order]], order[~first[order]]
    labels = source.labels
    if labels is not None:
        owned = owned[labels[owned] >= 0]
    owned = owned[: max(budgets)]
    pool = np.asarray(source.inputs)[owned]
    held = held[: SPARE * rows]
    held = held[find_unseen_rows(evaluation.inputs[held], pool)][:rows]
    if len(pool) < FEWEST_POOL or len(held) < FEWEST_HELD:
        return _too_few(len(pool), len(held))
    room = most_queries_in_memory(evaluation.inputs.shape[1:])
    fitting = [count for count in budgets if count <= room]
    if not fitting:
        return query_count_gap(min(budgets), room)
    told = None if labels is None else labels[owned]
    joined = write_clusters(evaluation)
    clusters = {name: np.asarray(codes)[held] for name, codes in joined.items()}
    return ExtractionSplit(pool, told, held, max(fitting), room, clusters)


def _alike(reference: Dataset, evaluation: Dataset) -> bool:
    ours, theirs = reference.inputs, evaluation.inputs
    return ours is not None and theirs is not None and ours.shape[1:] == theirs.shape[1:]


def query_count_gap(queries: int, most: int, strategy: str = "") -> Gap:
    """Return the Gap of a number of queries for which there is no room, or are no natural rows."""
    if queries > most:
        return Gap(
            reason=GapReason.OVER_BUDGET,
            detail=f"{queries} queries of this shape do not fit into memory; {most} do.",
            cure="Set fewer queries of privacy.extraction.",
        )
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"There are fewer than {queries} rows to ask about by {strategy}.",
        cure="Name reference data of as many rows, or look at mixup, which makes rows.",
    )


def _too_few(pool: int, held: int) -> Gap:
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"The attacker would have {pool} rows, and be judged on {held} others; "
        f"{FEWEST_POOL} and {FEWEST_HELD} are needed.",
        cure="Give more evaluation rows, or name reference data for the attacker.",
    )


NO_NUMBERS = Gap(
    reason=GapReason.NEEDS_NUMERIC_INPUT,
    detail="The model's inputs are texts, for which there is no stand-in here.",
    cure="Leave privacy.extraction out: it copies models of numbers.",
)
