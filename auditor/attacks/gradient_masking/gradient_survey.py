"""Survey of gradients and score smoothness near clean rows, as evidence of gradient masking."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_protocol import AttackContext, QueryResult
from auditor.attacks.evasion.attack_setup import AttackSetup, prepare_attack_run
from auditor.attacks.evasion.evidence import write_goal
from auditor.attacks.evasion.goals import HarmfulDecisionGoal
from auditor.attacks.evasion.losses import Labels, cross_entropy
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.gradient_masking.probe import (
    PROBES,
    REPEATS,
    SLOPES,
    TICKS,
    CleanStartAscent,
    MaskingEffort,
    MaskingSearch,
    ProbeProgress,
    run_probes,
    select_setup_rows,
)
from auditor.domain.check_subject import ProgressReporter, Subject
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.models import Model, Twin
from auditor.domain.readings import Gap
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.row_limits import ROWS_IN_TIME, RowLimit
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
LAST = 10
"""The last steps of a climb, in which it should have come to rest (Pintor et al. 2022)."""
ROWS_AT_ONCE = 64
COUNTED = "live", "broken", "phantoms", "queries", "passes", "refused"
"""What bills of the same attack at the same budget add up."""


@dataclass(frozen=True, slots=True, eq=False)
class GradientSurvey:
    """What was seen at each of ``[n]`` rows.

    ``finite`` and ``zero`` describe the twin's gradient of the loss that attacks climb;
    ``saturated`` says that every probability is 0 or 1 to single precision, the target's or the
    twin's. ``cosine`` is the mean cosine between the gradient and those of neighbours; ``jitter``
    the mean change of the target's margin over the same neighbours, as a share of the margin;
    ``rise`` the part of a climb's whole gain that its last steps brought.
    """

    finite: Mask
    zero: Mask
    saturated: Mask
    cosine: Floats
    jitter: Floats
    rise: Floats

    @classmethod
    def joined(cls, parts: list["GradientSurvey"]) -> "GradientSurvey":
        """Put the parts of a sample together."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__)
        )


def measure_gradients(  # noqa: PLR0913, PLR0917 -- a place, and how hard to look
    arena: AttackSetup,
    near: float,
    eps: float,
    neighbours: int,
    steps: int,
    rng: np.random.Generator,
) -> GradientSurvey:
    """Look at all rows of an arena that has a twin: within ``near`` of each, and up to ``eps``.

    Costs ``neighbours + 1 + steps`` gradients and ``neighbours`` queries a row. Raises
    ``TypeError`` where there is no twin.
    """
    if arena.twin is None:
        message = "gradients are looked at on a twin"
        raise TypeError(message)
    parts = [
        _part(arena, arena.twin, np.arange(first, min(first + ROWS_AT_ONCE, len(arena.rows))),
              near, eps, neighbours, steps, rng)
        for first in range(0, len(arena.rows), ROWS_AT_ONCE)
    ]  # fmt: skip
    return GradientSurvey.joined(parts)


def _part(  # noqa: PLR0913, PLR0917 -- a place, and how hard to look
    arena: AttackSetup, twin: Twin, rows: NDArray[np.int64], near: float, eps: float,
    neighbours: int, steps: int, rng: np.random.Generator,
) -> GradientSurvey:  # fmt: skip
    labels = arena.labels[rows]
    close, wide = (arena.threat(size).around(arena.rows[rows]) for size in (near, eps))
    around = AttackContext(wide, labels, arena.goal, arena.probabilities[rows])
    clean = close.clean.astype(np.float64)
    logits, slope = _gradient(twin, around, close, clean)
    finite: Mask = np.asarray(np.isfinite(slope).reshape(len(rows), -1).all(axis=1))
    slope = np.nan_to_num(slope)
    cosines, jitters = [], []
    margin = _margin(arena, rows, close, clean)
    for _ in range(neighbours):
        points = close.project(close.at(close.eps * rng.uniform(-1.0, 1.0, clean.shape)))
        # The cosine a row; two zeros point the same way, one zero points nowhere
        other = np.nan_to_num(_gradient(twin, around, close, points)[1])
        left, right = slope.reshape(len(slope), -1), other.reshape(len(other), -1)
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        along = (left * right).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
        both = ~left.any(axis=1) & ~right.any(axis=1)
        cosines.append(np.where(both, 1.0, along))
        jitters.append(np.abs(_margin(arena, rows, close, points) - margin))
    single = logits.astype(np.float32)
    powers = np.exp(single - single.max(axis=1, keepdims=True))
    shares: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float64)
    return GradientSurvey(
        finite=finite,
        zero=np.asarray(~slope.reshape(len(rows), -1).any(axis=1)),
        saturated=_extreme(arena.probabilities[rows]) | _extreme(shares),
        cosine=np.mean(cosines, axis=0),
        jitter=np.mean(jitters, axis=0) / np.maximum(np.abs(margin), np.finfo(np.float32).tiny),
        rise=_rise(twin, around, steps, rng),
    )


def _gradient(
    twin: Twin, ground: AttackContext, ball: PerturbationBall, points: Floats
) -> tuple[Floats, Floats]:
    """Return the twin's logits, and the gradient of its loss where coordinates may move."""
    logits = twin.forward(points.astype(ball.clean.dtype))
    _, cotangent = cross_entropy(logits, ground.aim)
    return logits, twin.backward(cotangent) * ball.scale


def _margin(
    arena: AttackSetup, rows: NDArray[np.int64], ball: PerturbationBall, points: Floats
) -> Floats:
    scores = arena.model.predict(ball.settle(points))
    return arena.goal.margin(scores, arena.labels[rows])


def _extreme(probabilities: Floats) -> Mask:
    """Return the rows whose every probability is 0 or 1 to single precision."""
    single = probabilities.astype(np.float32)
    found: Mask = ((single == 0) | (single == 1)).all(axis=1)
    return found


def _rise(twin: Twin, ground: AttackContext, steps: int, rng: np.random.Generator) -> Floats:
    """Climb on the twin, and return which part of the gain the last steps brought.

    0 where nothing was gained, and where the twin is broken: more of a success is no news.
    """
    climb = CleanStartAscent(AutoPgd(steps)).begin(ground, rng)
    if climb is None:
        return np.zeros(len(ground.labels))
    losses = []
    for _ in range(steps):
        points = ground.ball.settle(climb.ascent.point)
        answer = QueryResult(
            points,
            np.zeros(len(points), dtype=np.bool_),
            np.zeros(0),
            twin.forward(points),
            lambda cotangent: np.nan_to_num(twin.backward(cotangent)),
        )
        climb = climb.tell(answer)
        losses.append(climb.ascent.best_loss)
    first, before, last = losses[0], losses[max(0, len(losses) - 1 - LAST)], losses[-1]
    gained = last - first
    part = (last - before) / np.where(gained > 0, gained, 1.0)
    return np.where((gained > 0) & (last < 0), part, 0.0)


FEWEST_ROWS = 10
"""With fewer rows nothing could be seen, and that would look like nothing to see."""
EXAMINED_ROWS = 20
"""Where time ends the rows before, fewer than these examine nothing. So many find attacks that miss
three rows in ten 24 times in 25, and found each planted masking of the tests over three seeds."""
SEEDS_A_PART = 1000


def survey_masking(subject: Subject, effort: MaskingEffort) -> Evidence:
    """Look at the rows that the model gets right, of the first ``rows`` of the audit's permutation.

    Where time is limited, they are looked at part by part until it ends, at every budget: masked
    gradients that show at one of them alone are common. Raises ``TypeError`` where a need is not
    met: the frame asks for needs first.
    """
    bout, timed = prepare_attack_run(subject, effort.rows), subject.row_limit.timed
    right = np.flatnonzero(~bout.arena.goal.reached(bout.arena.probabilities, bout.arena.labels))
    arena = select_setup_rows(bout.arena, right)
    found: list[Evidence] = []
    if len(right) >= FEWEST_ROWS and arena.threat(effort.eps[-1]).movable.any():
        found = list(_survey_parts(arena, effort, subject))
    seen = right[: sum(len(cast("Labels", part["labels"])) for part in found)] if found else right
    interface = arena.model.fingerprint.interface
    told: dict[str, Json] = {
        "eps": list(effort.eps),
        "norm": Norm.LINF.value,
        "goal": write_goal(arena.goal),
        "cascade": effort.cascade.names,
        "coordinates": int(np.prod(arena.rows.shape[1:])),
        "movable": [int(arena.threat(eps).movable.sum()) for eps in effort.eps],
        "scores": None if interface is None else interface.scores,
        "deterministic": arena.model.deterministic,
        "repeats": arena.repeats,
    }
    if not isinstance(subject.twin, Gap):
        distance = subject.twin.distance
        told["twin_distance"] = {name: float(item) for name, item in distance.items()}
        told["twin_source"] = dict(subject.twin.source)
    base: dict[str, Item] = {
        "settings": told,
        "ids": [bout.dataset.ids[bout.sample[row]] for row in seen],
        "labels": arena.labels[: len(seen)],
    }
    if not found:
        return base
    cut = {ROWS_IN_TIME: _describe_parts(found, len(right), effort)} if timed else {}
    return {**base, **_join_parts(found), **cut}


def _survey_parts(
    arena: AttackSetup, effort: MaskingEffort, subject: Subject
) -> Iterator[Evidence]:
    """Look at rows part by part, as many as time allows; parts that are remembered stay."""
    limit, done, part, count = subject.row_limit, 0, 0, len(arena.rows)
    # How far neighbours lie: further where the input's own steps are coarser
    sizes = (effort.near, *effort.eps)
    near = next(eps for eps in sizes if arena.threat(eps).movable.any())
    while done < count and (taken := limit.take(done, count - done)):
        name = f"part {part} from row {done} of {taken} rows"
        found = subject.memory.recall(name) if limit.timed else None
        if found is None:
            rows = np.arange(done, done + taken)
            told = _PartProgress(subject.progress, limit, done, taken, count)
            seed = subject.seed + SEEDS_A_PART * part
            found = _survey(select_setup_rows(arena, rows), effort, near, seed, told)
            if limit.timed:
                subject.memory.remember(name, found)
        yield found
        done, part = done + taken, part + 1


def _survey(
    arena: AttackSetup, effort: MaskingEffort, near: float, seed: int, progress: ProgressReporter
) -> Evidence:
    search = run_probes(arena, effort, seed, progress)
    rng = np.random.default_rng([seed, len(PROBES)])
    ProbeProgress(progress, SLOPES)(0, 1)
    slopes = measure_gradients(
        arena, near, effort.eps[len(effort.eps) // 2], effort.neighbours, effort.steps, rng
    )
    return {
        "labels": arena.labels,
        "log": [{"probe": probe, **asdict(bill)} for probe, bill in search.log],
        "repeat_difference": _repeated(arena.model, arena.rows),
        "gradient_finite": slopes.finite,
        "gradient_zero": slopes.zero,
        "saturated": slopes.saturated,
        "gradient_cosine": slopes.cosine,
        "jitter": slopes.jitter,
        "rise": slopes.rise,
        **_decided(search),
    }


def _join_parts(parts: Sequence[Evidence]) -> dict[str, Item]:
    """Put the evidence of all parts together; bills of the same attack and budget are added up."""
    if len(parts) == 1:
        return dict(parts[0])
    bills: dict[tuple[Json, ...], dict[str, Json]] = {}
    for part in parts:
        for bill in cast("list[dict[str, Json]]", part["log"]):
            place = bill["probe"], bill["attack"], bill["eps"]
            known = bills.setdefault(place, dict.fromkeys(bill, 0))
            counts = {name: cast("int", known[name]) + cast("int", bill[name]) for name in COUNTED}
            bills[place] = {**bill, **counts}
    arrays = [name for name in parts[0] if name != "log"]
    joined: dict[str, Item] = {
        name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in arrays
    }
    return {**joined, "log": list(bills.values())}


def _describe_parts(
    parts: Sequence[Evidence], count: int, effort: MaskingEffort
) -> dict[str, Json]:
    """Return how many of ``count`` rows were seen, in which parts, and what they cost."""
    sizes = [len(cast("Labels", part["labels"])) for part in parts]
    log = cast("Sequence[Mapping[str, int]]", _join_parts(parts)["log"])
    rows = sum(sizes)
    return {
        "rows": rows,
        "of": count,
        "parts": list(sizes),
        "races": False,
        "looks": 0,
        "decided": False,
        "queries": sum(bill["queries"] for bill in log) + rows * (effort.neighbours + 1 + REPEATS),
        "passes": sum(bill["passes"] for bill in log)
        + rows * (effort.neighbours + 1 + effort.steps),
    }


@dataclass(frozen=True, slots=True)
class _PartProgress:
    """Passes on how far the survey of ``taken`` rows after ``done`` ones of ``count`` is."""

    progress: ProgressReporter
    limit: RowLimit
    done: int
    taken: int
    count: int

    def __call__(self, done: int, total: int, note: str = "") -> None:
        rows = (self.done + self.taken * done / max(1, total)) / self.count
        self.progress(int(TICKS * max(rows, min(self.limit.spent(), 1.0))), TICKS, note)


def _repeated(model: Model, rows: Array) -> Floats:
    """Return the largest difference of a probability between repeats of the same call."""
    said = np.array([model.probabilities(model.predict(rows)) for _ in range(REPEATS)])
    spread: Floats = (said.max(axis=0) - said.min(axis=0)).max(axis=1)
    return spread


def _decided(search: MaskingSearch) -> dict[str, Item]:
    """Return what the target decided on each probe's nearest success, and the size of its change.

    An infinite size: none was found.
    """
    goal = search.arena.goal
    if not isinstance(goal, HarmfulDecisionGoal):
        raise TypeError(goal)
    told: dict[str, Item] = {}
    for probe, found in search.found.items():
        decided = goal.task.decide(found.probabilities)
        told |= {f"{probe}_decided": decided.astype(np.int32), f"{probe}_size": found.breaking}
    return told


LOOKED_AT = RowEvidence(
    each=frozenset(
        {
            *("ids", "labels", "repeat_difference", "jitter", "rise", "saturated"),
            *("gradient_cosine", "gradient_finite", "gradient_zero"),
            *(f"{probe}_{what}" for probe in PROBES for what in ("decided", "size")),
        }
    ),
    apart=frozenset({"log", "settings", ROWS_IN_TIME}),
)
"""What goes by the rows that the model gets right: signs are shares of some of them alone."""
