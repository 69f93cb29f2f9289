"""Whether a twin is the model's equal: in what it says, and in where its gradient leads."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.models import Twin
from auditor.domain.readings import Gap, Reason
from auditor.domain.tasks import Array, Classification, Floats, InputSpace, Task
from auditor.targets.borders import near_border
from auditor.targets.models import OpenedModel
from auditor.targets.slopes import Aim, Sides, Slopes, reach_of, slopes, spread_of

DISTANCE_ROWS = 512
MOST_DIFFERENCE = 1e-3
"""Largest difference of a probability for the twin to count as the same function. Two float32
implementations differ by about 1e-6, the same INT8 file on two chips by 5e-2 (both measured), so
that this bound lies far from either. A regression's values count in their own standard deviation.
"""
LEAST_AGREEMENT = 0.999
"""Least share of equal decisions: rows so near a tie that rounding decides them may differ."""
ASKED_AGAIN = 4
"""How often a model that is not deterministic is asked more, to know its own spread."""
GRADIENT_ROWS = 24
SHARES = (0.02, 0.1)
"""Steps, as shares of the input range: networks in float bend within the larger one, and what is
constant in pieces (trees, INT8) stands still within the smaller one."""
SETTLED = 0.9
"""A correlation at the first step from which the second one is not tried."""
LEAST_CORRELATION = 0.2
"""Below this a gradient leads nowhere. Measured on digits: float networks and INT8 with its
rounding passed straight through 0.98 to 1, trees by their smoothed gradient 0.76, a softmax that is
all but certain everywhere 0.48; elsewhere INT8 0.72 and trees 0.33 to 0.5. A gradient that was cut
off came to 0, or to 0.04 where a rest of it got through. 288 unrelated pairs scatter by 0.06, so
that the line is three of these from nothing, and well below the worst that helped an attack."""
SURE = 3.0
"""With fewer pairs, so many standard errors of unrelated ones."""
TELLING = 1e-3
"""A second class of at least this probability: of surer rows a float32 tells little."""


class Examined(Twin, Protocol):
    """A twin that can say where its gradient is lost."""

    def cut(self, inputs: Array) -> tuple[str, ...]:
        """Return the operators that let no gradient through on these rows, as far as is known."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fidelity:
    """What an examination found; ``gap`` says why the twin is refused, if it is."""

    distance: Mapping[str, float]
    gap: Gap | None


def examine(
    twin: Examined, model: OpenedModel, inputs: Array, space: InputSpace | Gap,
    rng: np.random.Generator,
) -> Fidelity:  # fmt: skip
    """Compare a twin with its model: outputs on ``DISTANCE_ROWS`` rows, slopes on some of them.

    Asks the model once a row, and ``24 * GRADIENT_ROWS`` times for each step tried; more often
    where it is not deterministic. Raises what either side raises.
    """
    rows = inputs[:DISTANCE_ROWS]
    theirs = _answers(model, rows)
    distance, allowed = _distance(twin, model.task, theirs, rows)
    if distance["max_difference"] > allowed.difference or distance["agreement"] < allowed.agreement:
        return Fidelity(distance, _differs(distance, allowed))
    whole = any(kind in model.interface.input_dtype for kind in ("int", "bool"))
    reach = reach_of(space, rows, whole=whole or rows.dtype.kind in "biu")
    tried = list(_trials(Sides(model, twin, reach, rng), rows, theirs.mean(axis=0)))
    best = max(tried, key=lambda trial: trial.found.correlation - trial.needed)
    distance = {
        **distance,
        "gradient_correlation": best.found.correlation,
        "gradient_rows": float(len(best.rows)),
        "step": best.share,
    }
    return Fidelity(distance, _astray(best, twin))


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    rows: Array
    share: float
    found: Slopes

    @property
    def needed(self) -> float:
        """The least correlation that tells the gradient from one that leads nowhere."""
        return max(LEAST_CORRELATION, min(1.0, SURE / math.sqrt(max(1, self.found.pairs))))


def _trials(sides: Sides, rows: Array, scores: Floats) -> Iterator[_Trial]:
    """Measure slopes with each step until one of them is convincing."""
    task = sides.model.task
    aim = Aim.at(task, scores, logits=sides.model.scores_are_logits)
    chosen = _telling(task, scores, sides.rng)
    moved = 0
    for share in SHARES:
        found = slopes(sides, rows[chosen], aim.take(chosen), share)
        moved = max(moved, found.pairs)
        yield _Trial(rows[chosen], share, found)
        if found.correlation >= SETTLED:
            return
    if isinstance(task, Classification) and 2 * moved < found.foretold.size:
        # Scores so sure that they stand still say nothing; on the border none is sure.
        near, beyond = near_border(
            lambda points: task.decide(sides.model.probabilities(sides.model.predict(points))),
            rows, task.decide(scores), GRADIENT_ROWS, sides.rng,
        )  # fmt: skip
        if len(near):
            found = slopes(sides, near, replace(aim, wanted=beyond), SHARES[-1])
            yield _Trial(near, SHARES[-1], found)


@dataclass(frozen=True, slots=True)
class _Allowed:
    difference: float
    agreement: float


def _answers(model: OpenedModel, rows: Array) -> Floats:
    """Return ``[repeats, n, classes]`` probabilities, or a regression's values."""
    times = 1 if model.deterministic else 1 + ASKED_AGAIN
    return np.array([model.probabilities(model.predict(rows)) for _ in range(times)])


def _distance(
    twin: Twin, task: Task, theirs: Floats, rows: Array
) -> tuple[dict[str, float], _Allowed]:
    ours = twin.forward(rows)
    if isinstance(task, Classification):
        raised = np.exp(ours - ours.max(axis=1, keepdims=True))
        ours = raised / raised.sum(axis=1, keepdims=True)
    mean = theirs.mean(axis=0)
    unit = 1.0 if isinstance(task, Classification) else spread_of(mean)
    difference = np.abs(mean - ours) / unit
    distance = {
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "agreement": _agreement(task, mean, ours),
        "rows": float(len(rows)),
    }
    if len(theirs) == 1:
        return distance, _Allowed(MOST_DIFFERENCE, LEAST_AGREEMENT)
    # Each repeat against the mean of the others, as the twin against the mean of all.
    others = [np.delete(theirs, index, axis=0).mean(axis=0) for index in range(len(theirs))]
    own = max(
        float(np.abs(one - rest).max()) / unit for one, rest in zip(theirs, others, strict=True)
    )
    agreed = min(_agreement(task, one, rest) for one, rest in zip(theirs, others, strict=True))
    distance |= {"own_difference": own, "own_agreement": agreed}
    return distance, _Allowed(MOST_DIFFERENCE + own, min(LEAST_AGREEMENT, agreed))


def _agreement(task: Task, left: Floats, right: Floats) -> float:
    if isinstance(task, Classification):
        return float(np.mean(task.decide(left) == task.decide(right)))
    return float(np.mean(np.abs(left - right) <= task.tolerance))


def _telling(task: Task, scores: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return rows to measure slopes on: by chance, those first that are not all but certain."""
    order = rng.permutation(len(scores)).astype(np.int64)
    if isinstance(task, Classification):
        second = np.sort(scores, axis=1)[:, -2][order]
        order = order[np.argsort(-np.minimum(second, TELLING), kind="stable")]
    return order[:GRADIENT_ROWS]


def _astray(trial: _Trial, twin: Examined) -> Gap | None:
    found, rows = trial.found, trial.rows
    if found.pairs and found.correlation >= trial.needed:
        return None
    if found.flat:
        detail = f"The twin's gradient is zero on all of {len(rows)} rows"
    elif not found.pairs:
        detail = (
            f"The model's scores do not move within steps of {SHARES[-1]:g} of the input range, "
            "so that no gradient can be tried"
        )
    else:
        detail = (
            f"The twin's gradient correlates by {found.correlation:.2g} with how the model's "
            f"scores move ({len(rows)} rows, steps of {trial.share:g} of the input range); "
            f"{trial.needed:.2g} is needed"
        )
    lost = ", ".join(twin.cut(rows))
    return Gap(
        reason=Reason.TWIN_DIFFERS,
        detail=f"{detail}. None passes {lost}." if lost else f"{detail}.",
        cure="Use checks that ask the model alone (evasion.linf_query), or give a twin without "
        "that operator as model.twin.",
    )


def _differs(distance: Mapping[str, float], allowed: _Allowed) -> Gap:
    return Gap(
        reason=Reason.TWIN_DIFFERS,
        detail=(
            f"The twin's scores differ from the model's by up to "
            f"{distance['max_difference']:.3g} and its decisions agree on "
            f"{distance['agreement']:.2%} of {distance['rows']:g} rows; allowed are "
            f"{allowed.difference:g} and {allowed.agreement:.1%}."
        ),
        cure="Use checks that ask the model alone, and report the model's operators to us.",
    )
