"""From what was seen of each row to indicators, and to whether gradients can be believed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.goals import Harm
from auditor.attacks.losses import Labels
from auditor.attacks.masking.indicators import (
    INDICATORS,
    SAME_WAY,
    SPREAD,
    STILL_RISING,
    UNSTEADY,
    Weight,
    surely_above,
)
from auditor.attacks.masking.searching import BLACK, COPY, CORNERS, FREE, STEP, WHITE, WHOLE
from auditor.attacks.threats import within
from auditor.attacks.trials import read_goal
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Unit
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]
MOST_NAMED = 8


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """One indicator: ``count`` of ``rows`` show it, at a budget where it is asked at each.

    ``figure`` stands for a number that is no share. ``named`` are some of the rows.
    """

    metric: str
    count: int
    rows: int
    eps: float | None = None
    figure: float | None = None
    named: tuple[str, ...] = field(default=())

    @property
    def shows(self) -> bool:
        """Whether it surely goes beyond what it may."""
        most = INDICATORS[self.metric].most
        if self.figure is not None:
            return self.figure < most
        return surely_above(self.count, self.rows, most)

    @property
    def failed(self) -> bool:
        """Whether it unmakes belief."""
        return self.shows and INDICATORS[self.metric].weight is Weight.FAILS

    @property
    def noted(self) -> bool:
        """Whether it is worth a word, and no more."""
        told = INDICATORS[self.metric].told
        word = told is not None and surely_above(self.count, self.rows, told)
        return (self.shows or word) and not self.failed

    @property
    def share(self) -> float:
        """The share of rows that show it."""
        return self.count / max(1, self.rows)

    @property
    def said(self) -> str:
        """The figure in words."""
        if self.figure is not None:
            return f"{INDICATORS[self.metric].title}: {self.figure:.2f}"
        item = INDICATORS[self.metric]
        if item.unit is Unit.NONE:
            return item.title
        place = "" if self.eps is None else f" at eps {self.eps:g}"
        return f"{item.title}: {self.count} of {self.rows}{place}"


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Evidence, with successes counted again from the target's decisions."""

    evidence: Evidence
    settings: Mapping[str, Json]
    budgets: tuple[float, ...]

    @property
    def ids(self) -> Sequence[str]:
        return cast("Sequence[str]", self.evidence["ids"])

    def size(self, probe: str) -> Floats:
        """Return the size of each row's nearest success, where the decision is harmful."""
        goal = read_goal(cast("Mapping[str, Json]", self.settings["goal"]))
        if not isinstance(goal, Harm):
            raise TypeError(goal)
        labels = cast("Labels", self.evidence["labels"])
        decided = cast("Labels", self.evidence[f"{probe}_decided"])
        found: Floats = np.where(
            goal.harmful[labels, decided], cast("Floats", self.evidence[f"{probe}_size"]), np.inf
        )
        return found

    def array(self, name: str) -> Floats:
        return np.asarray(self.evidence[name])

    def sign(self, metric: str, shows: Mask, among: Mask | None = None) -> Sign:
        """Count the rows that show something."""
        return self._counted(metric, shows if among is None else shows & among, among, None)

    def at(self, metric: str, eps: float, shows: Mask, among: Mask | None = None) -> Sign:
        """Count them at one budget."""
        return self._counted(metric, shows if among is None else shows & among, among, eps)

    def _counted(self, metric: str, shows: Mask, among: Mask | None, eps: float | None) -> Sign:
        rows = len(shows) if among is None else int(among.sum())
        named = tuple(self.ids[row] for row in np.flatnonzero(shows)[:MOST_NAMED])
        return Sign(metric, int(shows.sum()), rows, eps, named=named)


def looked(evidence: Evidence) -> bool:
    """Whether there was any row to look at that can be attacked."""
    return "gradient_zero" in evidence


def signs(evidence: Evidence) -> tuple[Sign, ...]:
    """Return every indicator, those of each budget one after the other."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    budgets = tuple(float(eps) for eps in cast("Sequence[float]", settings["eps"]))
    seen = _Seen(evidence, settings, budgets)
    found = [*_of_outputs(seen), *_of_gradients(seen), *_of_searches(seen), *_of_room(seen)]
    distance = cast("Mapping[str, float]", settings.get("twin_distance", {}))
    if "gradient_correlation" in distance:
        rows = int(distance.get("gradient_rows", 0))
        found.append(Sign("gradient_correlation", 0, rows, figure=distance["gradient_correlation"]))
    order = list(INDICATORS)
    return tuple(sorted(found, key=lambda sign: (order.index(sign.metric), sign.eps or 0.0)))


def _of_outputs(seen: _Seen) -> Iterator[Sign]:
    spread = seen.array("repeat_difference") > SPREAD
    if not seen.settings["deterministic"]:
        spread = np.ones_like(spread)  # it was caught when it was opened
    yield seen.sign("randomised_share", spread)
    scores = seen.settings["scores"]
    if scores is not None:
        given = int("logit" not in str(scores))
        yield Sign("softmax_output", given, 1)
    yield seen.sign("saturated_share", seen.array("saturated").astype(np.bool_))


def _of_gradients(seen: _Seen) -> Iterator[Sign]:
    zero, finite = (seen.array(f"gradient_{name}").astype(np.bool_) for name in ("zero", "finite"))
    yield seen.sign("zero_gradient_share", zero | ~finite)
    yield seen.sign("unstable_gradient_share", seen.array("gradient_cosine") < SAME_WAY)
    yield seen.sign("unstable_prediction_share", seen.array("jitter") > UNSTEADY)
    yield seen.sign("rising_loss_share", seen.array("rise") > STILL_RISING)


def _of_searches(seen: _Seen) -> Iterator[Sign]:
    white = seen.size(WHITE)
    others = {
        "one_step_only_share": STEP,
        "random_only_share": CORNERS,
        "black_box_only_share": BLACK,
    }
    for eps in seen.budgets:
        stands = ~within(white, eps)
        for metric, probe in others.items():
            yield seen.at(metric, eps, stands & within(seen.size(probe), eps))
        yield _phantoms(seen, eps, int((~stands).sum()))


def _phantoms(seen: _Seen, eps: float, broken: int) -> Sign:
    """Count the rows that the twin called broken to the end of a budget, and the target never."""
    log = cast("Sequence[Mapping[str, Json]]", seen.evidence["log"])
    told = [bill for bill in log if bill["probe"] == WHITE and bill["eps"] == eps]
    phantoms = cast("int", told[-1]["phantoms"]) if told else 0
    return Sign("phantom_share", phantoms, phantoms + broken, eps)


def _of_room(seen: _Seen) -> Iterator[Sign]:
    missed = ~within(seen.size(FREE), WHOLE)
    yield seen.sign("unbounded_missed_share", missed, within(seen.size(COPY), WHOLE))
    reached = within(seen.size(WHITE), seen.budgets[-1])
    yield seen.sign("larger_eps_missed_share", missed & reached)
