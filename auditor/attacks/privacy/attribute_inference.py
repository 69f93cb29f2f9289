"""Attribute inference: how much a model reveals about one column of a known row.

The attacker knows all other columns and the label. The gain on members is compared with an imputer
that never saw the model and with the gain on non-members. Intervals hold jointly over all columns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, ndtri

from auditor.attacks.privacy.membership_pool import find_unseen_rows
from auditor.domain.check_subject import Subject, seeded_permutation
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn, concatenate_columns
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT, WEAK, missing_labels_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Array, FeatureKind, Floats, InputFeature
from auditor.metrics.stats.cluster_robust import clustered_mean, clustered_mean_difference
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.means import paired_difference
from auditor.metrics.stats.share_differences import (
    group_share_difference,
    has_few_clusters,
    interval_difference,
)

FEW_VALUES = 10
"""A column of at most so many values is told apart value by value."""
MOST_COLUMNS = 200
"""Columns beyond which values are not told apart, so that the table of features fits."""
STEPS = 200
LEAST_SPREAD = 1e-9
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RegressionTerms:
    """How rows become the features of a regression, as learnt from known rows.

    Numbers are standardised, and a missing one is the mean with a mark; columns of few values are
    marks for each of them too.
    """

    middle: Floats
    spread: Floats
    values: tuple[Floats, ...]

    @classmethod
    def of(cls, rows: Floats) -> "RegressionTerms":
        """Learn from rows ``[n, columns]``."""
        known = np.isfinite(rows)
        counts = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, rows, 0.0).sum(axis=0) / counts
        away = np.where(known, rows - middle, 0.0)
        spread = np.sqrt((away * away).sum(axis=0) / counts)
        narrow = rows.shape[1] <= MOST_COLUMNS
        values = tuple(
            _few(column[there]) if narrow else np.empty(0)
            for column, there in zip(rows.T, known.T, strict=True)
        )
        return cls(middle, np.where(spread > LEAST_SPREAD, spread, np.inf), values)

    def __call__(self, rows: Floats, labels: Codes, classes: int) -> Floats:
        """Return the features ``[n, k]`` of rows with their labels ``[n]``, a constant first."""
        lost = ~np.isfinite(rows)
        numbers = np.where(lost, 0.0, (rows - self.middle) / self.spread)
        marks = [column[:, None] == of for column, of in zip(rows.T, self.values, strict=True)]
        told = np.eye(classes)[labels]
        return np.hstack([np.ones((len(rows), 1)), numbers, lost, told, *marks]).astype(np.float64)


def _few(column: Floats) -> Floats:
    found = np.unique(column)
    return found if 2 < found.size <= FEW_VALUES else np.empty(0)  # noqa: PLR2004 -- a line does two


@dataclass(frozen=True, slots=True, eq=False)
class LevelImputer:
    """A multinomial logistic regression of a column's level on all others and the label."""

    terms: RegressionTerms
    weights: Floats
    classes: int

    @classmethod
    def of(
        cls, rows: Floats, labels: Codes, classes: int, codes: Codes, levels: int
    ) -> "LevelImputer":
        """Learn the level ``codes`` ``[n]`` from rows ``[n, columns]`` without that column.

        Ridge-penalised maximum likelihood by L-BFGS (Hastie, Tibshirani and Friedman 2009,
        section 4.4); the constant goes unpenalised.
        """
        terms = RegressionTerms.of(rows)
        features = terms(rows, labels, classes)
        told = np.eye(levels)[codes]
        penalty = np.full((features.shape[1], 1), 1.0)
        penalty[0] = 1e-6

        def loss(flat: Floats) -> tuple[float, Floats]:
            weights = flat.reshape(-1, levels)
            scores = features @ weights
            norms = logsumexp(scores, axis=1, keepdims=True)
            missed = np.exp(scores - norms) - told
            value = float((norms.ravel() - (scores * told).sum(axis=1)).sum())
            value += float((penalty * weights * weights).sum()) / 2
            return value, (features.T @ missed + penalty * weights).ravel()

        start = np.zeros(features.shape[1] * levels)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
        weights: Floats = found.x.reshape(-1, levels)
        return cls(terms, weights, classes)

    def chances(self, rows: Floats, labels: Codes) -> Floats:
        """Return ``[n, levels]``: how likely each level is, given the rest of the row."""
        scores = self.terms(rows, labels, self.classes) @ self.weights
        found: Floats = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
        return found


UNKNOWN = -1
CODED = frozenset({FeatureKind.BINARY, FeatureKind.CATEGORICAL, FeatureKind.INTEGER})
SecretCodes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SecretColumn:
    """A column of the inputs, or the columns of one choice, and the ``levels`` that it may have.

    ``places`` are column numbers, ``levels`` ``[levels, places]`` what stands there.
    """

    name: str
    places: tuple[int, ...]
    levels: Floats

    def codes(self, rows: Floats) -> SecretCodes:
        """Return which level each row ``[n, columns]`` has, ``UNKNOWN`` where it has none."""
        same = (rows[:, None, list(self.places)] == self.levels).all(axis=2)
        return np.where(same.any(axis=1), same.argmax(axis=1), UNKNOWN).astype(np.int64)

    def put(self, rows: NDArray[np.generic], level: int) -> NDArray[np.generic]:
        """Return the rows with one level in all of them."""
        moved = rows.copy()
        moved[:, list(self.places)] = self.levels[level]
        return moved


def list_secret_columns(
    known: Floats, features: Sequence[InputFeature], names: Sequence[str], most_levels: int
) -> tuple[SecretColumn, ...]:
    """Return every column with two to ``most_levels`` levels, one of each one-hot group's columns.

    ``known`` ``[n, columns]`` are rows that anybody may have: levels are what occurs there, and
    the categories that a schema declares. Without a schema (no ``features``) numbers count as
    levels where there are few of them.
    """
    found = [*_choices(features), *_columns(known, features, names)]
    return tuple(it for it in found if 1 < len(it.levels) <= most_levels)


def _choices(features: Sequence[InputFeature]) -> Iterator[SecretColumn]:
    groups = dict.fromkeys(it.one_hot for it in features if it.one_hot is not None)
    for group in groups:
        places = tuple(at for at, it in enumerate(features) if it.one_hot == group)
        yield SecretColumn(str(group), places, np.eye(len(places)))


def _columns(
    known: Floats, features: Sequence[InputFeature], names: Sequence[str]
) -> Iterator[SecretColumn]:
    for at in range(known.shape[1]):
        feature = features[at] if at < len(features) else None
        name = feature.name if feature is not None else names[at] if at < len(names) else str(at)
        if feature is not None and (feature.one_hot is not None or feature.kind not in CODED):
            continue
        declared = feature.categories if feature is not None else ()
        column = known[:, at]
        there = np.unique([*declared, *column[np.isfinite(column)]])
        yield SecretColumn(name, (at,), there[:, None])


def choose_secret_columns(
    found: Sequence[SecretColumn],
    features: Sequence[InputFeature],
    groups: Sequence[str],
    most: int,
) -> tuple[SecretColumn, ...]:
    """Return the ``most`` secrets to ask about: declared groups first, then what nobody can change.

    A group is meant by its column's name, or by that of its one-hot group.
    """
    fixed = {name for it in features if it.immutable for name in (it.name, it.one_hot)}
    order = sorted(found, key=lambda it: (it.name not in groups, it.name not in fixed))
    return tuple(order[:most])


WRONG, RIGHT, UNASKED = 0, 1, 2
AttackCodes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AttributeInferenceRows:
    """Rows ``[n, columns]`` as the data hold them, with their labels ``[n]``."""

    inputs: Array
    labels: AttackCodes

    @property
    def numbers(self) -> Floats:
        """The rows as numbers."""
        return self.inputs.astype(np.float64)

    def take(self, chosen: NDArray[np.generic]) -> "AttributeInferenceRows":
        """Return some of the rows."""
        return AttributeInferenceRows(self.inputs[chosen], self.labels[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class AttributeGuesses:
    """How the guesses of one secret came out, a row: ``WRONG``, ``RIGHT``, or ``UNASKED`` where
    nobody could have named the row's level.
    """

    attack: NDArray[np.uint8]
    baseline: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ScoreOracle:
    """The model as an attacker asks it: ``score`` returns ``[n, classes]`` probabilities.

    No chance counts as less than ``floor``, so that a model's flat no is not the last word.
    """

    score: Callable[[Array], Floats]
    classes: int
    floor: float


def guess_attribute(
    secret: SecretColumn,
    known: AttributeInferenceRows,
    asked: AttributeInferenceRows,
    oracle: ScoreOracle,
) -> AttributeGuesses:
    """Attack one secret of the rows ``asked``, with nothing but rows that are ``known``.

    The attacker asks the model about the row with each level in turn, and names the level for which
    the chance of the true label times the imputer's chance of the level is greatest (Fredrikson et
    al. 2014, USENIX Security, Pharmacogenetics, section 3, with the label given to the prior too).
    The baseline names the level that the imputer finds likeliest, and never sees the model.
    """
    prior = impute_levels(secret, known, asked, oracle.classes)
    likelihood = np.empty_like(prior)
    for level in range(len(secret.levels)):
        said = oracle.score(secret.put(asked.inputs, level))
        likelihood[:, level] = said[np.arange(len(asked.labels)), asked.labels]
    truth = secret.codes(asked.numbers)
    best = (np.maximum(likelihood, oracle.floor) * prior).argmax(axis=1)
    return AttributeGuesses(grade_guesses(best, truth), grade_guesses(prior.argmax(axis=1), truth))


def impute_levels(
    secret: SecretColumn, known: AttributeInferenceRows, asked: AttributeInferenceRows, classes: int
) -> Floats:
    """Return ``[n, levels]``: how likely each level is by the imputer that ``known`` rows teach."""
    rest = [at for at in range(known.inputs.shape[1]) if at not in secret.places]
    codes = secret.codes(known.numbers)
    told = codes != UNKNOWN
    imputer = LevelImputer.of(
        known.numbers[told][:, rest],
        known.labels[told],
        classes,
        codes[told],
        len(secret.levels),
    )
    return imputer.chances(asked.numbers[:, rest], asked.labels)


def grade_guesses(guesses: AttackCodes, truth: AttackCodes) -> NDArray[np.uint8]:
    """Return how guesses ``[n]`` of a level came out, held against the truth."""
    return np.where(truth == UNKNOWN, UNASKED, guesses == truth).astype(np.uint8)


FEWEST = 20
"""Members, and others, below which nothing is said."""
FEWEST_KNOWN = 40
"""Rows below which nobody learns to impute."""


def column_mismatch_gap(training: Dataset, other: Dataset) -> Gap:
    """Return the Gap of training data that has other columns than another sample."""
    ours, theirs = (0 if it.inputs is None else it.inputs.shape[1] for it in (training, other))
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"The training data has {ours} columns, and the {other.role.value} data {theirs}.",
        cure="Name training data with the same columns as the model takes.",
    )


def too_few_known_gap(rows: int) -> Gap:
    """Return the Gap of an attacker who knows too little to impute."""
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"The attacker would know {rows} rows, of which none was trained on; "
        f"{FEWEST_KNOWN} are needed to impute a column.",
        cure="Name reference data that the model was not trained on, or evaluate on more rows.",
    )


NO_TABLE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The model's inputs are no table of numbers, so that no column of them is a secret.",
    cure="Leave privacy.attribute out; privacy.membership and privacy.inversion take pictures.",
)


def no_secret_gap(levels: int) -> Gap:
    """Return the Gap of a table without a column of few levels."""
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"No column that the model reads has from 2 to {levels} levels.",
        cure="Declare categories in the schema of the features, or set levels of privacy.attribute "
        "higher.",
    )


def unread_group_gap(name: str) -> Gap:
    """Return the Gap of a declared group that the model does not read."""
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"The model does not read {name} as a column of few levels, so that nothing can be "
        "asked about it level by level.",
        cure=f"If the model does read {name}, name it in the schema of its features, and set levels"
        " of privacy.attribute higher.",
        metric="advantage",
        params={"column": name},
    )


UNLIKE = (
    "the imputer, which never saw the model, is right more often on one of members and others than "
    "on the other: the two samples are not alike"
)
WHY = (
    "no column has enough members and others that are alike, or the least leak that would be shown "
    f"is above {WEAK}"
)
TOO_FEW = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail=f"The column is known of fewer than {FEWEST} members or others, or of too few clusters.",
    cure="Give more training and evaluation rows.",
)


POWER = 0.8
OutcomeCodes = NDArray[np.integer]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class AttributeOutcome:
    """Which guesses of one secret were right, of rows of which some are ``members``.

    ``clusters`` ``[n]`` says which rows hang together, ``None`` where each stands alone.
    """

    attack: Flags
    baseline: Flags
    members: Flags
    clusters: OutcomeCodes | None

    @classmethod
    def of(
        cls,
        attack: NDArray[np.uint8],
        baseline: NDArray[np.uint8],
        members: Flags,
        clusters: OutcomeCodes | None,
    ) -> "AttributeOutcome":
        """Leave out the rows about which nobody was asked."""
        kept = attack != UNASKED
        return cls(
            attack[kept] == RIGHT,
            baseline[kept] == RIGHT,
            members[kept],
            None if clusters is None else clusters[kept],
        )

    @property
    def enough(self) -> bool:
        """Whether there are enough members and others to say anything."""
        few = min(int(self.members.sum()), int((~self.members).sum())) < FEWEST
        return not few and (
            self.clusters is None or not has_few_clusters(self.clusters, self.members)
        )

    def over_baseline(self, confidence: float) -> ConfidenceInterval:
        """Return the attack's accuracy on members less the baseline's on the same rows."""
        return self._gain(self.members, confidence)

    def over_others(self, confidence: float) -> ConfidenceInterval:
        """Return that gain of members less the gain that the attack has of others.

        What a model has learnt of everybody shows in both, and so does an imputer that does better
        on one of two samples; only what it keeps of its members is left.
        """
        if self.clusters is None:
            ours, others = (self._gain(side, confidence) for side in (self.members, ~self.members))
            return interval_difference(ours, others)
        gains = self.attack.astype(np.float64) - self.baseline
        codes = self.clusters.astype(np.int64)
        return clustered_mean_difference(gains, self.members, codes, confidence)

    def _gain(self, side: Flags, confidence: float) -> ConfidenceInterval:
        attack, baseline = self.attack[side], self.baseline[side]
        if self.clusters is None:
            gained, lost = int((attack & ~baseline).sum()), int((~attack & baseline).sum())
            return paired_difference(gained, lost, attack.size, confidence)
        gains = attack.astype(np.float64) - baseline
        return clustered_mean(gains, self.clusters[side].astype(np.int64), confidence)

    def leak(self, confidence: float, family: int) -> ConfidenceInterval:
        """Return the smaller of both gains, at a level that holds for a family of secrets at once.

        Its lower limit is the smaller of both lower limits, which needs no correction for two; its
        upper limit is the smaller of both at half of the error, which does.
        """
        error = (1 - confidence) / family
        one, other = self.over_baseline(1 - error), self.over_others(1 - error)
        wide = [part(1 - error / 2) for part in (self.over_baseline, self.over_others)]
        value = min(one.value, other.value)
        low, high = min(one.low, other.low), min(it.high for it in wide)
        method = f"smaller of {one.method} and {other.method}, joint by bonferroni"
        return ConfidenceInterval(
            value, min(low, value), max(high, value), confidence, method, one.n
        )

    def unlike(self, level: float, family: int) -> bool:
        """Whether the baseline, which knows no model, tells members from others."""
        found = group_share_difference(
            self.baseline, self.members, self.clusters, 1 - level / family
        )
        return not found.low <= 0 <= found.high

    def smallest(self, level: float, family: int) -> float:
        """Return the least leak that would be shown four times in five, at these rows."""
        error = level / family
        z = float(ndtri(1 - error))
        parts = (part(1 - 2 * error) for part in (self.over_baseline, self.over_others))
        spread = max((it.value - it.low) / z for it in parts)
        return min(1.0, (z + float(ndtri(POWER))) * spread)

    def rates(self) -> dict[str, Json]:
        """Return the accuracies that the figure comes from."""
        sides = {"members": self.members, "non_members": ~self.members}
        found: dict[str, Json] = {}
        for name, side in sides.items():
            found[f"{name}_accuracy"] = float(self.attack[side].mean())
            found[f"{name}_baseline"] = float(self.baseline[side].mean())
            found[name] = int(side.sum())
        return found


def clip_share_difference(found: ConfidenceInterval) -> ConfidenceInterval:
    """Keep the limits of a difference of shares within -1 and 1."""
    return replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def read_attribute_outcomes(evidence: Evidence) -> Iterator[AttributeOutcome]:
    """Yield the contest of each column that was asked about, from the evidence."""
    names = ("attack", "baseline", "members")
    attack, baseline, members = (cast("NDArray[np.uint8]", evidence[name]) for name in names)
    clusters = cast("NDArray[np.int32] | None", evidence.get("clusters"))
    for one, other in zip(attack, baseline, strict=True):
        yield AttributeOutcome.of(one, other, members.astype(np.bool_), clusters)


MOST_KNOWN = 5000
"""Rows that an imputer is taught, so that its features fit into memory."""
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AttributeSplit:
    """Rows that the attacker knows, and those that are asked about: members first.

    ``clusters`` ``[n]`` are those of the rows that are asked about, where there are any; ``copies``
    counts rows that stand in the training data too, and so are no others.
    """

    known: AttributeInferenceRows
    asked: AttributeInferenceRows
    members: NDArray[np.bool_]
    ids: tuple[str, ...]
    clusters: NDArray[np.int32] | None
    copies: int


def split_attribute_rows(subject: Subject, most: int) -> AttributeSplit | Gap:
    """Take at most ``most`` members, and as many others; a Gap where there are not enough.

    What the attacker knows is the reference data, or else one half of the evaluation data; whole
    clusters stay on one side.
    """
    training, evaluation = (
        subject.datasets[DatasetRole.TRAINING],
        subject.datasets[DatasetRole.EVALUATION],
    )
    reference = subject.datasets.get(DatasetRole.REFERENCE)
    lacking = _lacking(training, evaluation)
    if lacking is not None:
        return lacking
    taught = np.asarray(training.inputs)
    order = seeded_permutation(subject.audit_seed, evaluation.rows)
    fresh = order[_fresh(evaluation, taught)[order]]
    apart = first_half(seeded_permutation(subject.audit_seed, evaluation.units), evaluation.cluster)
    others, copies = fresh[~apart[fresh]][:most], evaluation.rows - len(fresh)
    known = _rows(evaluation, fresh[apart[fresh]][:MOST_KNOWN])
    if reference is not None and _lacking(training, reference) is None:
        there = np.flatnonzero(_fresh(reference, taught))
        known, others = _rows(reference, there[:MOST_KNOWN]), fresh[:most]
    members = subject.sample(DatasetRole.TRAINING, most)
    members = members[_labels(training)[members] >= 0]
    if len(known.labels) < FEWEST_KNOWN:
        return too_few_known_gap(len(known.labels))
    asked = (_rows(training, members), _rows(evaluation, others))
    return AttributeSplit(
        known,
        AttributeInferenceRows(
            np.concatenate([it.inputs for it in asked]), np.concatenate([it.labels for it in asked])
        ),
        np.arange(len(members) + len(others)) < len(members),
        (*(training.ids[at] for at in members), *(evaluation.ids[at] for at in others)),
        _clusters((training, members), (evaluation, others)),
        copies,
    )


def _labels(dataset: Dataset) -> Places:
    return np.asarray(dataset.labels)


def _rows(dataset: Dataset, places: Places) -> AttributeInferenceRows:
    return AttributeInferenceRows(np.asarray(dataset.inputs)[places], _labels(dataset)[places])


def _fresh(dataset: Dataset, taught: Array) -> NDArray[np.bool_]:
    return find_unseen_rows(np.asarray(dataset.inputs), taught) & (_labels(dataset) >= 0)


def _clusters(*sides: tuple[Dataset, Places]) -> NDArray[np.int32] | None:
    """Return which rows hang together across both samples, ``None`` where none do."""
    if not any(dataset.clustered for dataset, _ in sides):
        return None
    one, other = (
        dataset.cluster.take(places)
        if dataset.cluster is not None
        else TextColumn.of([f"{dataset.role.value} {dataset.ids[at]}" for at in places])
        for dataset, places in sides
    )
    return concatenate_columns(one, other).codes


def _lacking(training: Dataset, other: Dataset) -> Gap | None:
    for dataset in (training, other):
        if not dataset.tabular or dataset.inputs is None:
            return NO_TABLE
        if dataset.labels is None:
            return missing_labels_gap(dataset.role)
    ours, theirs = (np.asarray(it.inputs).shape[1] for it in (training, other))
    return None if ours == theirs else column_mismatch_gap(training, other)


@dataclass(frozen=True, slots=True)
class AttributeTestFamily:
    """How many contests are looked at together, and the ``level`` at which a leak is shown."""

    size: int
    level: float

    def advantage(
        self,
        contest: AttributeOutcome,
        params: Mapping[str, Scalar],
        confidence: float,
        about: Mapping[str, Json],
    ) -> Reading:
        """Return the smaller of both gains of one contest, or a Gap where rows are too few."""
        if not contest.enough:
            return replace(TOO_FEW, metric="advantage", params=params)
        unlike = contest.unlike(self.level, self.size)
        details = {
            **contest.rates(),
            "smallest_shown": contest.smallest(self.level, self.size),
            "known_rows": about["known_rows"],
            "copies": about["copies"],
            **({"doubt": UNLIKE} if unlike else {}),
        }
        return Measurement.of(
            clip_share_difference(contest.leak(confidence, self.size)),
            "advantage",
            Unit.SHARE,
            bound=BoundKind.AT_LEAST,
            params=params,
            doubted=unlike,
            astray=BiasDirection.EITHER if unlike else None,
            details=details,
        )

    def conclusion(
        self, contests: Mapping[str, AttributeOutcome], params: Mapping[str, Scalar] | None = None
    ) -> Measurement:
        """Fold the columns: shown where one is, inconclusive where none could say anything."""
        usable = {
            name: it
            for name, it in contests.items()
            if it.enough and not it.unlike(self.level, self.size)
        }
        one_sided = 1 - 2 * self.level
        leaking = sorted(
            name for name, it in usable.items() if it.leak(one_sided, self.size).low > 0
        )
        smallest = {name: it.smallest(self.level, self.size) for name, it in usable.items()}
        weak = not usable or min(smallest.values()) > WEAK
        value = SHOWN if leaking else OPEN if weak else NOT_SEEN
        details: dict[str, Json] = {
            "columns": cast("Json", leaking),
            "level": self.level,
            "power": cast("Json", smallest),
            **({"reason": WHY} if value == OPEN else {}),
        }
        return Measurement(
            metric=VERDICT,
            value=value,
            bound=BoundKind.AT_LEAST,
            method="one-sided intervals, joint by bonferroni",
            n=max((int(it.members.size) for it in contests.values()), default=0),
            params=dict(params or {}),
            details=details,
        )
