"""Certified robustness: bounds on margins, randomised smoothing, and the readings from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.evidence import read_goal
from auditor.attacks.evasion.perturbation_ball import SLACK
from auditor.attacks.evasion.readings import median_interval
from auditor.attacks.evasion.threat_model import ThreatModel
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.robustness_certificates import (
    NearestMisclassification,
    PerturbationBoxes,
    RobustnessCertifier,
)
from auditor.domain.row_evidence import RowEvidence, RowFigures
from auditor.domain.tasks import FILLED, Array, ClassificationTask, Floats
from auditor.metrics.stats.proportions import clopper_pearson, exact_limits

NOTHING = -1e30
"""The lead of rows of which nothing was asked: finite, and as far from a proof as can be."""
MARGIN = 3 * SLACK
"""By how much a distance must exceed a budget: what the frame forgives an attack, and rounding."""


def threat_boxes(threat: ThreatModel, rows: Array, labels: NDArray[np.int64]) -> PerturbationBoxes:
    """Return all that a threat allows for ``[n, ...]`` rows, and what the frame would forgive.

    Limits are drawn in to the last step inside, because no candidate lies beyond it.
    """
    ball = threat.around(rows)
    exact = rows.astype(np.float64)
    stepped = threat.quantum > 0
    size = np.where(stepped, threat.quantum, 1.0)
    origin = np.where(np.isfinite(threat.low), threat.low, 0.0)
    first = origin + np.ceil((ball.lower - origin) / size - SLACK) * size
    last = origin + np.floor((ball.upper - origin) / size + SLACK) * size
    lower = np.where(stepped, np.minimum(first, exact), ball.lower)
    upper = np.where(stepped, np.maximum(last, exact), ball.upper)
    movable = threat.radius > 0
    slack = np.where(movable, SLACK * np.maximum(threat.scale, threat.quantum), 0.0)
    shape = rows.shape[1:]
    return PerturbationBoxes(
        clean=rows,
        labels=labels,
        lower=np.where(movable, lower - slack, exact),
        upper=np.where(movable, upper + slack, exact),
        unit=np.broadcast_to(np.where(movable, threat.scale, 0.0), shape),
        quantum=np.broadcast_to(threat.quantum, shape),
        origin=np.broadcast_to(origin, shape),
    )


def certify_margins(
    certifier: RobustnessCertifier,
    arena: AttackSetup,
    budgets: tuple[float, ...],
    progress: ProgressReporter,
) -> Mapping[str, Floats]:
    """Return a network's leads ``[budgets, n]`` by method; of rows that are wrong nothing is asked.

    A row that the closest method leaves open at one budget is not asked again at a larger one.
    """
    right = find_right_rows(arena)
    found = {"interval": np.full((len(budgets), len(arena.rows)), NOTHING)}
    for place, eps in enumerate(budgets):
        progress(place, len(budgets), f"bounds at {eps:g}")
        boxes = threat_boxes(arena.threat(eps), arena.rows[right], arena.labels[right])
        if not len(right):
            break
        leads = certifier.margins(boxes)
        for name, lead in leads.items():
            found.setdefault(name, np.full((len(budgets), len(arena.rows)), NOTHING))
            found[name][place, right] = np.maximum(lead, NOTHING)
        best = np.max(np.stack(list(leads.values())), axis=0)
        right = right[best > 0]
    return found


def find_nearest_wrong_points(
    certifier: RobustnessCertifier, arena: AttackSetup, steps: int, progress: ProgressReporter
) -> tuple[NearestMisclassification, Floats]:
    """Return the nearest wrong points of trees, and what the target says to each candidate.

    Rows that are wrong already are 0 away. A candidate that the threat of its distance does not
    permit is not asked about, and its distance becomes infinite. The second array is
    ``[n, candidates, classes]``.
    """
    threat = arena.threat(1.0)
    count, right = len(arena.rows), find_right_rows(arena)
    parts = []
    for place, row in enumerate(right):
        progress(place, len(right), "nearest wrong points")
        one = slice(row, row + 1)
        boxes = threat_boxes(threat, arena.rows[one], arena.labels[one])
        parts.append(certifier.nearest(boxes, steps=steps))
    candidates = parts[0].distance.shape[1] if parts else 0
    lower, distance = np.zeros(count), np.full((count, candidates), np.inf)
    crafted = np.repeat(arena.rows[:, None], candidates, axis=1)
    for row, part in zip(right, parts, strict=True):
        lower[row], distance[row] = part.lower[0], part.distance[0]
        points = part.crafted[0]
        whole = np.issubdtype(arena.rows.dtype, np.integer)
        typed: Array = (np.rint(points) if whole else points).astype(arena.rows.dtype)
        crafted[row] = typed
    said = np.repeat(arena.probabilities[:, None], candidates, axis=1)
    for place in range(candidates):
        _judge(arena, threat, crafted[:, place], distance[:, place], said[:, place])
    return NearestMisclassification(lower, crafted, distance), said


def _judge(
    arena: AttackSetup, threat: ThreatModel, points: Array, distance: Floats, said: Floats
) -> None:
    """Measure the distance of candidates anew, and write down what the target says to them."""
    there = np.flatnonzero(np.isfinite(distance))
    if not len(there):
        return
    allowed = threat.permits(arena.rows[there], points[there])
    distance[there[~allowed]] = np.inf
    asked = there[allowed]
    if len(asked):
        distance[asked] = threat.distance(arena.rows[asked], points[asked])
        said[asked] = arena.model.probabilities(arena.model.predict(points[asked]))


def find_right_rows(arena: AttackSetup) -> NDArray[np.int64]:
    """Return which rows the target decides rightly without any change."""
    wrong = arena.goal.reached(arena.probabilities, arena.labels)
    return np.flatnonzero(~wrong).astype(np.int64)


BATCH_BYTES = 2**25
"""Of noisy copies in float64 that are made together."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SmoothingVotes:
    """How often each class was decided for among noisy copies, ``[n, classes]``.

    ``chosen`` counts the copies by which the class was guessed, ``counted`` later and independent
    ones; these are only spent on rows whose guess is right.
    """

    chosen: Counts
    counted: Counts

    @property
    def guesses(self) -> Counts:
        """The class that each row is guessed to have after smoothing."""
        best: Counts = self.chosen.argmax(axis=1).astype(np.int64)
        return best


@dataclass(frozen=True, slots=True, eq=False)
class SmoothingNoise:
    """Gaussian noise of ``sigma`` ranges on every coordinate that a threat can move.

    What is smoothed is the target after its noisy input was brought back into the box and onto the
    steps: that is one fixed function of the input, so that the theorem holds for it.
    """

    threat: ThreatModel
    sigma: float

    def copies(self, row: Array, count: int, generator: np.random.Generator) -> Array:
        """Return ``[count, ...]`` noisy copies of one row, in its own type."""
        scale = self.sigma * self.threat.scale
        exact = row.astype(np.float64)
        moved = exact + scale * generator.standard_normal((count, *row.shape))
        low, high, quantum = self.threat.low, self.threat.high, self.threat.quantum
        boxed = np.clip(moved, low, high)
        size = np.where(quantum > 0, quantum, 1.0)
        start = np.where(np.isfinite(low), low, 0.0)
        stepped = np.where(quantum > 0, start + np.rint((boxed - start) / size) * size, boxed)
        settled = np.where(scale > 0, stepped, exact)
        whole = np.issubdtype(row.dtype, np.integer)
        noisy: Array = (np.rint(settled) if whole else settled).astype(row.dtype)
        return noisy


def sample_votes(  # noqa: PLR0913 -- what is smoothed, on what, and how hard
    model: Model,
    task: ClassificationTask,
    noise: SmoothingNoise,
    rows: Array,
    labels: Counts,
    *,
    selection: int,
    samples: int,
    generator: np.random.Generator,
    progress: ProgressReporter,
) -> SmoothingVotes:
    """Let the target decide on noisy copies of each row (Cohen et al. 2019, algorithm CERTIFY).

    ``selection`` copies guess the class, ``samples`` others count it where the guess is the label.
    """
    classes = len(task.classes)
    chosen, counted = (np.zeros((len(rows), classes), dtype=np.int64) for _ in range(2))
    for index, row in enumerate(rows):
        progress(index, len(rows), "noisy copies")
        chosen[index] = _decide(model, task, noise, row, selection, generator)
        if chosen[index].argmax() == labels[index]:
            counted[index] = _decide(model, task, noise, row, samples, generator)
    return SmoothingVotes(chosen, counted)


def _decide(  # noqa: PLR0913, PLR0917 -- the inner loop of one function
    model: Model,
    task: ClassificationTask,
    noise: SmoothingNoise,
    row: Array,
    count: int,
    generator: np.random.Generator,
) -> Counts:
    votes = np.zeros(len(task.classes), dtype=np.int64)
    batch = max(1, BATCH_BYTES // (8 * max(1, row.size)))
    for start in range(0, count, batch):
        copies = noise.copies(row, min(batch, count - start), generator)
        decided = task.decide(model.probabilities(model.predict(copies)))
        votes += np.bincount(decided, minlength=len(votes))
    return votes


def certified_radii(votes: SmoothingVotes, alpha: float, sigma: float) -> Floats:
    """Return the L2 radius, in ranges, within which each row's guess surely stays; 0: abstains.

    ``sigma`` times the normal quantile of the lower limit of the guessed class' share (Cohen et
    al. 2019, arXiv 1902.02918, theorem 1 and algorithm CERTIFY). Each radius above 0 is too large
    with probability at most ``alpha``, over the noise.
    """
    rows = np.arange(len(votes.counted))
    hits, trials = votes.counted[rows, votes.guesses], votes.counted.sum(axis=1)
    least, _ = exact_limits(hits, trials, alpha)
    radii: Floats = sigma * ndtri(np.where(least > 0.5, least, 0.5))  # noqa: PLR2004 -- a majority
    return radii


WHOLE_RANGE = 1.0
"""No change inside the box exceeds it; it stands for rows at which no wrong point is known."""
LINF: Mapping[str, Scalar] = {"norm": "linf"}

Mask = NDArray[np.bool_]
Settings = Mapping[str, Json]


def build_certified_readings(
    evidence: Evidence, confidence: float, alpha: float
) -> tuple[Reading, ...]:
    """Return clean accuracy, then certified accuracy by graph at each eps, then by smoothing.

    ``alpha`` is the probability with which the radius of one smoothed row may be too large.
    """
    settings = cast("Settings", evidence["settings"])
    right = right_rows(evidence)
    counted = clopper_pearson(int(right.sum()), len(right), confidence)
    clean = _steady(Measurement.of(counted, "clean_accuracy", Unit.SHARE), settings)
    by_graph: Sequence[Reading]
    if settings["gap"] is not None:
        by_graph = [_gap(cast("Mapping[str, str]", settings["gap"]))]
    elif settings["kind"] == "trees":
        method = str(settings["method"])
        lower = np.where(right, cast("Floats", evidence["proved"]), 0.0)
        upper = np.where(right, nearest_confirmed_distances(evidence), 0.0)
        # A point nearer than the proof allows would show the proof to be wrong.
        doubted = bool((upper < lower - MARGIN).any())
        near = np.minimum(upper, WHOLE_RANGE)
        settled: dict[str, Json] = {"settled": int((lower >= near - MARGIN).sum())}
        found: list[Reading] = []
        for place, eps in enumerate(cast("Sequence[float]", settings["eps"])):
            params: dict[str, Scalar] = {**LINF, "eps": eps, "method": method}
            more = {**settled, **_at(settings, place)}
            share = _share(right & (lower > eps + MARGIN), confidence, settings, params, more)
            found.append(_steady(share, settings, doubted=doubted))
        least = median_interval(np.minimum(lower, near), confidence, WHOLE_RANGE)
        most = median_interval(near, confidence, WHOLE_RANGE)
        median = Measurement.of(
            ConfidenceInterval(
                least.value, least.low, most.high, confidence, least.method, least.n
            ),
            "min_breaking_eps",
            Unit.SHARE,
            bound=BoundKind.AT_LEAST,
            params={**LINF, "method": method},
            details={**settled, "confirmed_median": most.value, "rows": least.n},
        )
        by_graph = [*found, _steady(median, settings, doubted=doubted)]
    else:
        by_graph = _network(evidence, confidence)
    return (clean, *by_graph, *_smoothed(evidence, confidence, alpha))


def right_rows(evidence: Evidence) -> Mask:
    """Return which rows the target decides rightly before any change."""
    settings = cast("Settings", evidence["settings"])
    goal = read_goal(cast("Settings", settings["goal"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    return ~goal.reached(cast("Floats", evidence["clean_probabilities"]), labels)


def proved_radius(evidence: Evidence) -> Floats:
    """Return for each row the largest change, in ranges, that the graph itself proves harmless.

    0 where nothing is proved: of a row that is wrong from the start, of a graph without proofs.
    """
    settings = cast("Settings", evidence["settings"])
    right = right_rows(evidence)
    if settings["gap"] is not None:
        return np.zeros(len(right))
    if settings["kind"] == "trees":
        lower: Floats = np.where(right, cast("Floats", evidence["proved"]), 0.0)
        return lower
    proved = _proved(evidence, str(settings["method"]))
    budgets = np.array(cast("Sequence[float]", settings["eps"]), dtype=np.float64)
    largest: Floats = np.max(np.where(proved, budgets[:, None], 0.0), axis=0)
    return largest


def _network(evidence: Evidence, confidence: float) -> list[Reading]:
    """Count the rows whose lead is proved: what is proved of a box is proved of every smaller."""
    settings = cast("Settings", evidence["settings"])
    method = str(settings["method"])
    proved, by_interval = (_proved(evidence, name) for name in (method, "interval"))
    found: list[Reading] = []
    for place, eps in enumerate(cast("Sequence[float]", settings["eps"])):
        more = {"by_interval": int(by_interval[place].sum()), **_at(settings, place)}
        params: dict[str, Scalar] = {**LINF, "eps": eps, "method": method}
        found.append(_share(proved[place], confidence, settings, params, more))
    return found


def _proved(evidence: Evidence, method: str) -> Mask:
    leads = cast("Floats", evidence[f"lead_{method}"])
    kept: Mask = np.logical_or.accumulate((leads > 0)[::-1], axis=0)[::-1] & right_rows(evidence)
    return kept


def nearest_confirmed_distances(evidence: Evidence) -> Floats:
    """Return the distance of each row's nearest candidate that the target decides wrongly.

    Infinite where the target decides none wrongly.
    """
    settings = cast("Settings", evidence["settings"])
    goal = read_goal(cast("Settings", settings["goal"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    distance = cast("Floats", evidence["distance"])
    said = cast("Floats", evidence["candidate_probabilities"])
    found = np.full(len(labels), np.inf)
    for place in range(distance.shape[1]):
        wrong = goal.reached(said[:, place], labels)
        found = np.where(wrong, np.minimum(found, distance[:, place]), found)
    return found


def _smoothed(evidence: Evidence, confidence: float, alpha: float) -> list[Reading]:
    """Count rows by radius, and take the certificates' own error from the lower limit.

    A row counts wrongly with probability at most ``alpha``, so that the expected share of rows
    that count exceeds the true one by at most that: ``alpha`` is taken from the limit of the
    former, whatever the confidence.
    """
    settings = cast("Settings", evidence["settings"])
    sigma = cast("float", settings["sigma"])
    votes = SmoothingVotes(
        cast("NDArray[np.int64]", evidence["votes_chosen"]),
        cast("NDArray[np.int64]", evidence["votes_counted"]),
    )
    guessed = votes.guesses == cast("NDArray[np.int64]", evidence["labels"])
    radii = certified_radii(votes, alpha, sigma)
    details: dict[str, Json] = {
        "of": "the majority decision under noise, not the model's own",
        "samples": settings["samples"],
        "alpha": alpha,
        "abstained": int((guessed & (radii <= 0)).sum()),
        "largest_radius": float(radii.max(initial=0.0)),
    }
    found: list[Reading] = []
    for radius in cast("Sequence[float]", settings["radii"]):
        params: dict[str, Scalar] = {
            "norm": "l2",
            "method": "smoothing",
            "sigma": sigma,
            "radius": radius,
        }
        share = _share(guessed & (radii > radius), confidence, settings, params, details)
        low = max(0.0, cast("float", share.low) - alpha)
        method = "clopper-pearson, less the error of one certificate"
        found.append(replace(share, low=low, method=method))
    return found


def _share(
    kept: Mask,
    confidence: float,
    settings: Settings,
    params: Mapping[str, Scalar],
    details: Mapping[str, Json],
) -> Measurement:
    found = Measurement.of(
        clopper_pearson(int(kept.sum()), len(kept), confidence),
        "certified_accuracy",
        Unit.SHARE,
        bound=BoundKind.AT_LEAST,
        params=params,
        details={"rows": len(kept), "certified": int(kept.sum()), **details},
    )
    return _steady(found, settings)


def _at(settings: Settings, place: int) -> dict[str, Json]:
    filled = {name: settings[name] for name in (FILLED,) if name in settings}
    return {"movable": cast("Sequence[int]", settings["movable"])[place], **filled}


def _steady(found: Measurement, settings: Settings, *, doubted: bool = False) -> Measurement:
    """Doubt what was measured of a model that changes its mind, or against a proof."""
    steady = bool(settings["deterministic"])
    repeat = Repeatability.EXACT if steady else Repeatability.INTERVAL
    return replace(found, repeat=repeat, doubted=doubted or not steady)


def _gap(told: Mapping[str, str]) -> Gap:
    return Gap(
        reason=GapReason(told["reason"]),
        detail=told["detail"],
        cure=told["cure"],
        metric="certified_accuracy",
        params=LINF,
    )


def _adds(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return which rows are right, and of which the graph itself proves it at each budget."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    right, radius = right_rows(evidence), proved_radius(evidence)
    found = [RowFigures("clean_accuracy", right)]
    if settings["gap"] is None:
        trees = settings["kind"] == "trees"
        for eps in cast("Sequence[float]", settings["eps"]):
            place: dict[str, Scalar] = {**LINF, "eps": eps, "method": str(settings["method"])}
            kept = radius > eps + MARGIN if trees else radius >= eps
            found.append(RowFigures("certified_accuracy", np.asarray(right & kept), place))
    return tuple(found)


PROVED = RowEvidence(
    each=frozenset(
        {
            *("candidate_probabilities", "clean_probabilities", "distance", "ids", "labels"),
            *("proved", "votes_chosen", "votes_counted"),
        }
    ),
    apart=frozenset({"settings"}),
    counted=frozenset({"certified_accuracy", "clean_accuracy"}),
    adds=_adds,
)
"""Leads of a network lie budget by budget, and are withheld whole."""
