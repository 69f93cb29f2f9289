"""Evaluates model inversion: class accuracy by independent judges, and proximity to members.

The judge compares reconstructions with baselines that need no model. Proximity compares distances
to members with distances to other rows of the same class.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.membership_pool import find_unseen_rows
from auditor.attacks.privacy.model_inversion_space import flatten_rows
from auditor.attacks.privacy.shadow_training import ModelStack, ShadowTrainingSettings, train_stack
from auditor.domain.check_subject import Subject, seeded_permutation
from auditor.domain.datasets import TEXT, Dataset, DatasetRole
from auditor.domain.evidence import find_image_axes
from auditor.domain.gaps import missing_labels_gap
from auditor.domain.json import Json
from auditor.domain.readings import ConfidenceInterval, Gap, GapReason
from auditor.domain.tasks import Array, Floats
from auditor.metrics.stats.cluster_robust import LEAST, clustered_proportion_difference
from auditor.metrics.stats.p_values import permutation_p_value
from auditor.metrics.stats.proportions import clopper_pearson

POWER = 0.8
STEPS, DRAWS = 50, 400
PROXIMITY_CHUNK_VALUES = 4_000_000
TINY = 1e-12
METHOD = "clopper-pearson of the distinct nearest rows"
ProximityFlags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructionProximity:
    """The nearest rows ``near`` ``[n, k]`` of a pool to each reconstruction, how far ``away``
    ``[n, k]`` each is, and which of the pool's rows ``[p]`` are ``members``, of what ``classes``.
    """

    near: NDArray[np.int32]
    away: NDArray[np.float32]
    members: ProximityFlags
    classes: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        near: NDArray[np.int32],
        away: NDArray[np.float32],
        members: ProximityFlags,
        classes: NDArray[np.int64],
    ) -> "ReconstructionProximity":
        """Leave out the reconstructions of classes that the pool lacks."""
        kept = near[:, 0] >= 0
        return cls(near[kept], away[kept], members, classes)

    @property
    def distinct(self) -> tuple[int, int]:
        """Return how many rows are nearest to some reconstruction, and how many are members."""
        first = np.unique(self.near[:, 0])
        return len(first), int(self.members[first].sum())

    def advantage(self, confidence: float, family: int) -> ConfidenceInterval:
        """Return the share of members among the nearest rows, less that of others.

        Each row that is nearest to some reconstruction counts once: reconstructions of one class
        that end at one place prove no more than one of them. The intervals of a family hold
        jointly.
        """
        rows, ours = self.distinct
        found = clopper_pearson(ours, rows, 1 - (1 - confidence) / family)
        value, low, high = (2 * it - 1 for it in (found.value, found.low, found.high))
        return ConfidenceInterval(
            value, low, high, confidence, f"{METHOD}, joint by bonferroni", rows
        )

    def margin(self, members: ProximityFlags) -> Floats:
        """Return ``[rounds]``: how much nearer the nearest member is than the nearest other.

        ``members`` are ``[rounds, p]``. Each reconstruction's difference of both distances over
        their sum, from -1 to 1, on average.
        """
        ours, theirs = (self._first(side) for side in (members, ~members))
        return np.asarray(((theirs - ours) / (theirs + ours + TINY)).mean(axis=1))

    def _first(self, side: ProximityFlags) -> Floats:
        """Return ``[rounds, n]``: how far the nearest row of a side is, or the last that is known.

        Where no neighbour is of that side it lies at least as far as the farthest one known.
        """
        there = side[:, np.maximum(self.near, 0)] & (self.near >= 0)
        found: NDArray[np.int64] = (self.near >= 0).sum(axis=1) - 1
        place = np.where(there.any(axis=2), there.argmax(axis=2), found)
        return self.away[np.arange(len(self.near)), place].astype(np.float64)

    def test(self, rounds: int, seed: int) -> "ProximityPermutationTest":
        """Return what the mean margin is, and what it would be by chance alone.

        Members and others of each class change places at random: exact if reconstructions do not
        depend on who of them was a member (Phipson and Smyth 2010).
        """
        rng = np.random.default_rng(seed)
        seen = float(self.margin(self.members[None])[0])
        chances = np.concatenate([self.margin(part) for part in self._shuffled(rounds, rng)])
        return ProximityPermutationTest(self, seen, chances, seed)

    def _shuffled(self, rounds: int, rng: np.random.Generator) -> Iterator[ProximityFlags]:
        groups = [np.flatnonzero(self.classes == one) for one in np.unique(self.classes)]
        size = self._at_once
        for start in range(0, rounds, size):
            count = min(size, rounds - start)
            mixed = np.empty((count, len(self.members)), dtype=np.bool_)
            for group in groups:
                own = np.broadcast_to(self.members[group], (count, len(group)))
                mixed[:, group] = rng.permuted(own, axis=1)
            yield mixed

    def leaning(self, advantage: float, rounds: int, seed: int) -> Floats:
        """Return margins ``[rounds]`` of members who are drawn with an advantage: each row that is
        nearest to some reconstruction is one with the chance ``(1 + advantage) / 2``, and the rest
        of each class's members are any others of the class.
        """
        rng = np.random.default_rng([seed, 1])
        rank = rng.random((rounds, len(self.members)))
        first = np.unique(self.near[:, 0])
        rank[:, first] = np.where(rank[:, first] < (1 + advantage) / 2, -1.0, 2.0)
        drawn = np.zeros(rank.shape, dtype=np.bool_)
        for one in np.unique(self.classes):
            group = np.flatnonzero(self.classes == one)
            count = int(self.members[group].sum())
            chosen = group[rank[:, group].argsort(axis=1, kind="stable")[:, :count]]
            np.put_along_axis(drawn, chosen, values=True, axis=1)
        size = self._at_once
        parts = [self.margin(drawn[at : at + size]) for at in range(0, rounds, size)]
        return np.concatenate(parts)

    @property
    def _at_once(self) -> int:
        return max(1, PROXIMITY_CHUNK_VALUES // max(1, self.near.size, self.members.size))

    def details(self) -> dict[str, Json]:
        """Return the distances that the figure comes from, on average."""
        if not len(self.near):
            return {}
        ours, theirs = (self._first(side[None]).mean() for side in (self.members, ~self.members))
        return {
            "nearest_member": float(ours),
            "nearest_other": float(theirs),
            "reconstructions": len(self.near),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ProximityPermutationTest:
    """The mean margin that was ``seen`` of a ``nearness``, and ``chances`` ``[rounds]`` of it."""

    nearness: ReconstructionProximity
    seen: float
    chances: Floats
    seed: int

    @property
    def nearer(self) -> float:
        """The p-value that reconstructions are nearer to members by chance alone."""
        return permutation_p_value(self.seen, self.chances)

    @property
    def farther(self) -> float:
        """The p-value that they are farther by chance alone."""
        return permutation_p_value(-self.seen, -self.chances)

    def smallest(self, level: float) -> float:
        """Return the least advantage that this test shows at ``level`` four times in five, in
        steps of 0.02; 1 where none is.

        By drawing members with that advantage and holding their margin against the same chances.
        """
        most = int(np.floor(level * (len(self.chances) + 1) + TINY)) - 1
        if most < 0:
            return 1.0
        limit = np.sort(self.chances)[::-1][min(most, len(self.chances) - 1)]
        low, high = 0, STEPS
        while low + 1 < high:  # the power grows with the advantage
            middle = (low + high) // 2
            margins = self.nearness.leaning(middle / STEPS, DRAWS, self.seed)
            low, high = (low, middle) if (margins > limit).mean() >= POWER else (middle, high)
        return high / STEPS


FEWEST_CLASS_ROWS = 2
"""Rows of a class below which the attacker, or the judge, does not know it."""
MOST_PUBLIC, MOST_ROWS = 2000, 20_000
MOST_SAMPLE_VALUES = 30_000_000
"""Input values of one sample, so that it fits into memory in full precision."""
SamplePlaces = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class InversionSample:
    """Rows ``[n, ...]`` with their labels ``[n]`` and names."""

    inputs: Array
    labels: SamplePlaces
    ids: NDArray[np.str_]

    def take(self, places: SamplePlaces) -> "InversionSample":
        """Return some of the rows."""
        return InversionSample(self.inputs[places], self.labels[places], self.ids[places])

    def counts(self, classes: int) -> SamplePlaces:
        """Return how many rows each class has."""
        return np.bincount(self.labels, minlength=classes).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class InversionSplit:
    """Rows that nobody trained the target on, for the attacker, for the judge, and as ``others``;
    and its ``members``. The last two are empty where there are no training data. ``public`` is the
    data that the attacker's rows are of.
    """

    attacker: InversionSample
    judge: InversionSample
    others: InversionSample
    members: InversionSample
    clustered: bool
    public: DatasetRole = DatasetRole.EVALUATION

    def classes(self, count: int) -> SamplePlaces:
        """Return the classes that both attacker and judge know."""
        known = [side.counts(count) >= FEWEST_CLASS_ROWS for side in (self.attacker, self.judge)]
        return np.flatnonzero(known[0] & known[1])


def split_inversion_rows(subject: Subject) -> InversionSplit | Gap:
    """Split the data: reference rows are the attacker's and the judge's, evaluation rows others.

    Without reference data the evaluation rows are split in three, or, without training data, in
    two. Rows that stand in the training data are members, whatever their file says.
    """
    roles = (DatasetRole.EVALUATION, DatasetRole.TRAINING, DatasetRole.REFERENCE)
    evaluation, training, reference = (subject.datasets.get(role) for role in roles)
    if evaluation is None or evaluation.inputs is None or evaluation.inputs.dtype.kind == TEXT:
        return NO_NUMBERS
    if evaluation.labels is None:
        return missing_labels_gap(DatasetRole.EVALUATION)
    usable = [it for it in (training, reference) if it is not None and _fits(it, evaluation)]
    members = next((_sample(subject, it) for it in usable if it.role is DatasetRole.TRAINING), None)
    public = next((_sample(subject, it) for it in usable if it.role is DatasetRole.REFERENCE), None)
    taught = None if members is None or training is None else training.inputs
    here = _fresh(_sample(subject, evaluation), taught)
    none = here.take(np.arange(0))
    if public is not None:
        one, other = _parts(_fresh(public, taught), 2)
        others = none if members is None else here
    elif members is not None:
        one, other, others = _parts(here, 3)
    else:
        (one, other), others = _parts(here, 2), none
    clustered = any(it.clustered for it in (evaluation, *usable))
    first = np.arange(MOST_PUBLIC)
    one, other = (it.take(first[: len(it.labels)]) for it in (one, other))
    source = DatasetRole.EVALUATION if public is None else DatasetRole.REFERENCE
    return InversionSplit(
        one, other, others, none if members is None else members, clustered, source
    )


def _fits(dataset: Dataset, evaluation: Dataset) -> bool:
    ours, theirs = dataset.inputs, evaluation.inputs
    if ours is None or theirs is None or dataset.labels is None:
        return False
    return ours.shape[1:] == theirs.shape[1:] and ours.dtype.kind != TEXT


def _sample(subject: Subject, dataset: Dataset) -> InversionSample:
    """Return labelled rows of a dataset, the first in the audit's order."""
    order = seeded_permutation(subject.audit_seed, dataset.rows)
    labels = np.asarray(dataset.labels)
    inputs = np.asarray(dataset.inputs)
    room = max(1, MOST_SAMPLE_VALUES // max(1, int(np.prod(inputs.shape[1:]))))
    order = order[labels[order] >= 0][: min(MOST_ROWS, room)]
    return InversionSample(inputs[order], labels[order], np.asarray(dataset.ids)[order])


def _fresh(sample: InversionSample, taught: Array | None) -> InversionSample:
    if taught is None:
        return sample
    return sample.take(np.flatnonzero(find_unseen_rows(sample.inputs, taught)))


def _parts(sample: InversionSample, count: int) -> list[InversionSample]:
    return [sample.take(np.arange(at, len(sample.labels), count)) for at in range(count)]


NO_NUMBERS = Gap(
    reason=GapReason.NEEDS_NUMERIC_INPUT,
    detail="The model's inputs are texts, which no attack here makes up.",
    cure="Leave privacy.inversion out: it inverts models of numbers.",
)
NO_CLASSES = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail=f"No class has {FEWEST_CLASS_ROWS} rows for the attacker and {FEWEST_CLASS_ROWS} for "
    "the judge.",
    cure="Give more labelled evaluation rows, or name reference data.",
)
NO_MEMBERS = Gap(
    reason=GapReason.NEEDS_TRAINING_DATA,
    detail="Without labelled training data nobody can say whether a reconstruction is near to a "
    "member.",
    cure="Name the sample that the model was trained on under data.training in the audit file.",
)
FEW_MEMBERS = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail="No class has two members and two others to compare a reconstruction with.",
    cure="Give more rows of each class in the training and the evaluation data.",
)


JUDGES = 3
WIDEST, NARROWEST, MOST_WEIGHTS = 64, 8, 4_000_000
JUDGE_CHUNK_VALUES = 2_000_000
Flags = NDArray[np.bool_]
Aims = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class InversionJudge:
    """A few small networks that were taught by public rows alone, and decide together."""

    stack: ModelStack

    @classmethod
    def of(cls, known: InversionSample, classes: int, seed: int) -> "InversionJudge":
        """Teach the judge rows that neither attacker nor target ever saw."""
        width = int(np.prod(known.inputs.shape[1:]))
        hidden = int(np.clip(MOST_WEIGHTS // max(width, 1), NARROWEST, WIDEST))
        include = np.ones((JUDGES, len(known.labels)), dtype=np.bool_)
        settings = ShadowTrainingSettings((hidden,), rate=0.005)
        return cls(train_stack(known.inputs, known.labels, classes, include, settings, seed=seed))

    def chances(self, rows: Array) -> Floats:
        """Return ``[n, classes]`` probabilities."""
        size = max(1, JUDGE_CHUNK_VALUES // max(1, int(np.prod(rows.shape[1:]))))
        parts = range(0, len(rows), size)
        said = [self.stack.probabilities(rows[at : at + size]).mean(axis=0) for at in parts]
        return np.concatenate(said).astype(np.float64)

    def hits(self, rows: Array, aims: Aims) -> Flags:
        """Return which rows ``[n]`` the judge takes for the class that was aimed at."""
        found: Flags = self.chances(rows).argmax(axis=1) == aims
        return found

    def accuracy(self, sample: InversionSample) -> float | None:
        """Return how often it is right about rows that it never saw; ``None`` of no rows."""
        return float(self.hits(sample.inputs, sample.labels).mean()) if len(sample.labels) else None


def draw_class_means(known: InversionSample, aims: Aims, rng: np.random.Generator) -> Floats:
    """Return ``[n, d]``: the mean of each class aimed at, over public rows drawn with return."""
    flat = known.inputs.reshape(len(known.labels), -1).astype(np.float64)
    found = []
    for aim in aims:
        there = np.flatnonzero(known.labels == aim)
        found.append(np.nanmean(flat[rng.choice(there, len(there))], axis=0))
    return np.stack(found)


def draw_class_rows(
    known: InversionSample, aims: Aims, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return ``[n]`` places of one public row of each class aimed at."""
    return np.array([rng.choice(np.flatnonzero(known.labels == aim)) for aim in aims])


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructionGain:
    """Which reconstructions the judge takes for their class, and which of each baseline; ``aims``
    are the classes. All are ``[n]``. ``drawn`` rows are those of a generator that no model led, a
    baseline of attacks that have the generator too.
    """

    hits: Flags
    mean: Flags
    row: Flags
    aims: Aims
    drawn: Flags | None = None

    @property
    def baseline(self) -> Flags:
        """The best of the baselines."""
        every = [self.mean, self.row, *([] if self.drawn is None else [self.drawn])]
        return max(every, key=lambda flags: float(flags.mean()))

    def over_baseline(self, confidence: float, family: int) -> ConfidenceInterval:
        """Return the attack's hits less the best baseline's; a family's intervals hold jointly.

        Starts at one class are alike, so that classes are clusters; one class says nothing of
        others. The judge and the public rows are taken as they are.
        """
        rows, level = self.hits.size, 1 - (1 - confidence) / family
        if len(np.unique(self.aims)) < LEAST:
            value = float(self.hits.mean() - self.baseline.mean())
            return ConfidenceInterval(
                value, -1.0, 1.0, confidence, "of one class, nothing of others", rows
            )
        found = clustered_proportion_difference(
            np.concatenate([self.hits, self.baseline]),
            np.arange(2 * rows) < rows,
            np.concatenate([self.aims, self.aims]),
            level,
        )
        method = f"{found.method}, classes are clusters, joint by bonferroni"
        return replace(found, confidence=confidence, method=method, n=rows)

    def details(self) -> dict[str, Json]:
        """Return the shares that the figure comes from."""
        return {
            "attack": float(self.hits.mean()),
            "class_mean": float(self.mean.mean()),
            "public_row": float(self.row.mean()),
            **({} if self.drawn is None else {"drawn_row": float(self.drawn.mean())}),
        }


NEAREST = 16
"""Neighbours that are kept: that all of them are of one side has the chance 2^-15."""
FEWEST, MOST = 2, 500
"""Rows of each class and side in the pool."""
POOL_CHUNK_VALUES = 8_000_000
MOST_POOL_VALUES = 30_000_000
"""Input values of the whole pool, so that it fits into memory."""
LEAST_SPREAD = 1e-9
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ProximityPool:
    """As many ``members`` as others of each class: points ``[p, d]``, classes and names ``[p]``."""

    points: Floats
    classes: Places
    members: NDArray[np.bool_]
    ids: NDArray[np.str_]
    rows: Array
    scale: Floats

    @classmethod
    def of(cls, taken: InversionSplit, classes: Places) -> "ProximityPool":
        """Take the first rows of each of the classes from either side, as many of each."""
        members, others = [], []
        width = max(1, int(np.prod(taken.attacker.inputs.shape[1:])))
        most = max(FEWEST, min(MOST, MOST_POOL_VALUES // (2 * width * max(1, len(classes)))))
        for at in classes:
            ours, theirs = (np.flatnonzero(it.labels == at) for it in (taken.members, taken.others))
            count = min(len(ours), len(theirs), most)
            if count >= FEWEST:
                members.append(ours[:count])
                others.append(theirs[:count])
        none = np.arange(0)
        parts = [
            taken.members.take(np.concatenate([none, *members])),
            taken.others.take(np.concatenate([none, *others])),
        ]
        scale = coordinate_scale(taken.attacker)
        rows = np.concatenate([it.inputs for it in parts])
        return cls(
            flatten_rows(rows) / scale if len(rows) else np.zeros((0, len(scale))),
            np.concatenate([it.labels for it in parts]),
            np.arange(len(rows)) < len(parts[0].labels),
            np.concatenate([it.ids for it in parts]).astype(np.str_),
            rows,
            scale,
        )

    def nearest(self, made: Array, aims: Places) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the nearest rows of its own class to each row that was made up, and how far.

        ``[n, 16]`` places in the pool and distances; places are -1 where a class has fewer rows.
        """
        points = flatten_rows(made) / self.scale
        near = np.full((len(made), NEAREST), -1, dtype=np.int32)
        away = np.full((len(made), NEAREST), np.inf, dtype=np.float32)
        for one in np.unique(aims):
            places, asked = np.flatnonzero(self.classes == one), np.flatnonzero(aims == one)
            if places.size:
                distances_points = points[asked]
                known = self.points[places]
                found = np.empty((len(distances_points), len(known)))
                size = max(1, POOL_CHUNK_VALUES // max(1, known.size))
                for at in range(0, len(distances_points), size):
                    apart = distances_points[at : at + size, None] - known
                    found[at : at + size] = np.sqrt((apart * apart).sum(axis=2))
                order = np.argsort(found, axis=1, kind="stable")[:, :NEAREST]
                near[asked, : order.shape[1]] = places[order]
                away[asked, : order.shape[1]] = np.take_along_axis(found, order, axis=1)
        return near, away


def coordinate_scale(known: InversionSample) -> Floats:
    """Return what coordinates are divided by: nothing of a picture, deviations of a table."""
    flat = flatten_rows(known.inputs)
    if find_image_axes(known.inputs.shape[1:]) is not None:
        return np.ones(flat.shape[1])
    spread = flat.std(axis=0)
    return np.where(spread > LEAST_SPREAD, spread, 1.0)
