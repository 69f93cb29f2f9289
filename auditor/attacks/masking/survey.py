"""Looks for signs of masked gradients, and writes down what was seen of each row."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from auditor.attacks.arenas import Arena, gather
from auditor.attacks.goals import Harm
from auditor.attacks.masking.efforts import REPEATS, Effort
from auditor.attacks.masking.searching import PROBES, SLOPES, Search, Told, part_of, search_all
from auditor.attacks.masking.slopes import Slopes, measure
from auditor.attacks.norms import Norm
from auditor.attacks.trials import write_goal
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence, Item
from auditor.domain.models import Model
from auditor.domain.readings import Gap
from auditor.domain.rows import ByRow
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Floats

FEWEST_ROWS = 10
"""With fewer rows nothing could be seen, and that would look like nothing to see."""


def survey(subject: Subject, effort: Effort) -> Evidence:
    """Look at the rows that the model gets right, of the first ``rows`` of the audit's permutation.

    Raises ``TypeError`` where a need is not met: the frame asks for needs first.
    """
    bout = gather(subject, effort.rows)
    right = np.flatnonzero(~bout.arena.goal.reached(bout.arena.probabilities, bout.arena.labels))
    arena = part_of(bout.arena, right)
    base: dict[str, Item] = {
        "settings": _settings(subject, effort, arena),
        "ids": [bout.dataset.ids[bout.sample[row]] for row in right],
        "labels": arena.labels,
    }
    if len(right) < FEWEST_ROWS or not arena.threat(effort.eps[-1]).movable.any():
        return base
    search = search_all(arena, effort, subject.seed, subject.progress)
    rng = np.random.default_rng([subject.seed, len(PROBES)])
    near = _near(arena, effort)
    Told(subject.progress, SLOPES)(0, 1)
    slopes = measure(
        arena, near, effort.eps[len(effort.eps) // 2], effort.neighbours, effort.steps, rng
    )
    return {
        **base,
        "log": [{"probe": probe, **asdict(bill)} for probe, bill in search.log],
        "repeat_difference": _repeated(arena.model, arena.rows),
        **_written(slopes),
        **_decided(search),
    }


def _near(arena: Arena, effort: Effort) -> float:
    """Return how far neighbours lie: further where the input's own steps are coarser."""
    sizes = (effort.near, *effort.eps)
    return next(eps for eps in sizes if arena.threat(eps).movable.any())


def _repeated(model: Model, rows: Array) -> Floats:
    """Return the largest difference of a probability between repeats of the same call."""
    said = np.array([model.probabilities(model.predict(rows)) for _ in range(REPEATS)])
    spread: Floats = (said.max(axis=0) - said.min(axis=0)).max(axis=1)
    return spread


def _written(slopes: Slopes) -> Mapping[str, Item]:
    return {
        "gradient_finite": slopes.finite,
        "gradient_zero": slopes.zero,
        "saturated": slopes.saturated,
        "gradient_cosine": slopes.cosine,
        "jitter": slopes.jitter,
        "rise": slopes.rise,
    }


def _decided(search: Search) -> dict[str, Item]:
    """Return what the target decided on each probe's nearest success, and the size of its change.

    An infinite size: none was found.
    """
    goal = search.arena.goal
    if not isinstance(goal, Harm):
        raise TypeError(goal)
    told: dict[str, Item] = {}
    for probe, found in search.found.items():
        decided = goal.task.decide(found.probabilities)
        told |= {f"{probe}_decided": decided.astype(np.int32), f"{probe}_size": found.breaking}
    return told


def _settings(subject: Subject, effort: Effort, arena: Arena) -> dict[str, Json]:
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
    return told


LOOKED_AT = ByRow(
    each=frozenset(
        {
            *("ids", "labels", "repeat_difference", "jitter", "rise", "saturated"),
            *("gradient_cosine", "gradient_finite", "gradient_zero"),
            *(f"{probe}_{what}" for probe in PROBES for what in ("decided", "size")),
        }
    ),
    apart=frozenset({"log", "settings"}),
)
"""What goes by the rows that the model gets right: signs are shares of some of them alone."""
