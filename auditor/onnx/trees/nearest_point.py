"""The nearest point that an ensemble of trees decides wrongly, found exactly by dtai-veritas."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from auditor.errors import MissingExtraError
from auditor.extras import to_install
from auditor.twins.ensembles.cells import Reach

Untyped: TypeAlias = Any
"""Of dtai-veritas, which ships no types: the module, an ``AddTree``, a ``Solution``."""
FEWEST = 100
"""The fewest states that one question may look at."""
EAGER = ((0.05, 0.1), (0.8, 0.2))
"""How a question is put, one way after the other: dtai-veritas' focal relaxation (small: depth
first), and the share of the states left that it may look at."""
FIRST = 0.01
"""Where a search begins, as a share of the units: what lies near is quickly ruled out."""


def veritas() -> Untyped:
    """Return the library dtai-veritas. Raises ``MissingExtraError`` where it is not installed."""
    try:
        return importlib.import_module("veritas")
    except ImportError as missing:
        raise MissingExtraError(
            "exact bounds of trees need dtai-veritas, which is not installed",
            cure=f"{to_install('certify')}.",
        ) from missing


@dataclass(slots=True)
class Purse:
    """How many states a search may look at, and how many it has."""

    states: int
    spent: int = 0

    @property
    def left(self) -> int:
        """How many states it may still look at."""
        return self.states - self.spent


@dataclass(frozen=True, slots=True)
class Point:
    """A point that a rival wins: its cells by input, its distance, and by how much it is won."""

    cells: dict[int, int]
    distance: float
    lead: float


@dataclass(frozen=True, slots=True)
class Closest:
    """No rival leads by a limit below ``lower``; ``point`` is the nearest found where one does."""

    lower: float
    point: Point | None


@dataclass(slots=True)
class Bracket:
    """Steps between which the nearest point lies: none up to ``proved``, one at ``end``.

    Between ``dark`` and ``bright`` (equal to ``end`` and ``proved`` where there are none) lie
    steps at which a search gave no answer.
    """

    proved: int
    end: int
    dark: int
    bright: int

    def prove(self, step: int) -> None:
        """Take in that there is nothing up to a step."""
        self.proved, self.bright = step, max(step, self.bright)
        self.dark = self.end if self.dark <= step else self.dark

    def close(self, step: int) -> None:
        """Take in that there is a point at a step."""
        self.bright = self.proved if self.bright >= step else self.bright
        self.end, self.dark = step, min(step, self.dark)

    def leave(self, step: int) -> None:
        """Take in that no answer was to be had at a step."""
        self.dark = min(self.dark, step)
        self.bright = step if self.bright == self.proved else max(self.bright, step)

    def middle(self, *, above: bool) -> int | None:
        """Return the middle step above or below what is in the dark; ``None`` where none is."""
        low, high = (self.bright, self.end) if above else (self.proved, self.dark)
        return (low + high) // 2 if low + 1 < high else None


class Hunt:
    """The search for the nearest point around one row at which a rival leads by ``limit``.

    ``rivals`` are ensembles over cells, of which each adds up to how far a wrong decision is
    ahead. Chen et al. (2019, arXiv 1906.03849) ask, as here, at one distance after the other; the
    answer of each is exact (Devos et al. 2021, arXiv 2010.09461). Distances are those of cells,
    so that bisection ends at the smallest one and not merely near it.
    """

    def __init__(
        self, rivals: Sequence[Untyped], around: Reach, limit: float, purse: Purse
    ) -> None:
        self._rivals = rivals
        self._around = around
        self._limit = limit
        self._purse = purse
        self._steps = np.concatenate([[0.0], around.steps])
        self._best: Point | None = None

    def run(self, lower: float = 0.0) -> Closest:
        """Return the nearest point; below ``lower`` nothing is looked for."""
        start = int(np.searchsorted(self._steps, lower)) - 1
        least = np.inf
        for place, rival in enumerate(self._rivals):
            share = Purse(self._purse.left // (len(self._rivals) - place))
            bracket = self._against(rival, start, share)
            self._purse.spent += share.spent
            if bracket.proved + 1 < bracket.end:
                least = min(least, float(self._steps[bracket.proved + 1]))
        best = np.inf if self._best is None else self._best.distance
        return Closest(min(least, best), self._best)

    def _against(self, rival: Untyped, proved: int, purse: Purse) -> Bracket:
        """Narrow the bracket of one rival, as far as the purse goes."""
        end = len(self._steps) if self._best is None else self._place(self._best)
        bracket = Bracket(proved, end, dark=end, bright=proved)
        step = self._first(bracket)
        above = False
        while step is not None and purse.left > 0:
            point, none = self._ask(rival, float(self._steps[step]), purse)
            if point is not None:
                self._best = point
                bracket.close(self._place(point))
            elif none:
                bracket.prove(step)
            else:
                bracket.leave(step)
                above = not above
            step = self._next(bracket, above=above)
        return bracket

    def _place(self, point: Point) -> int:
        return int(np.searchsorted(self._steps, point.distance))

    def _first(self, bracket: Bracket) -> int | None:
        if self._best is not None:  # most often nothing is nearer than another rival's point
            return bracket.end - 1 if bracket.proved + 1 < bracket.end else None
        return self._next(bracket, above=False)

    def _next(self, bracket: Bracket, *, above: bool) -> int | None:
        nothing_found = bracket.end == len(self._steps)
        in_the_dark = bracket.dark < bracket.end
        if nothing_found and not in_the_dark:
            wide = max(FIRST, 2 * float(self._steps[max(bracket.proved, 0)]))
            step = int(np.searchsorted(self._steps, wide, side="right")) - 1
            step = min(max(step, bracket.proved + 1), bracket.end - 1)
            return step if step > bracket.proved else None
        if nothing_found and bracket.bright < bracket.end - 1:
            return bracket.end - 1  # some point at all
        either = bracket.middle(above=above)
        return bracket.middle(above=not above) if either is None else either

    def _ask(self, rival: Untyped, eps: float, purse: Purse) -> tuple[Point | None, bool]:
        """Return a point up to a distance at which a rival leads, or that there is none.

        First almost depth first, which finds points; then the most promising states first.
        """
        library = veritas()
        windows = [self._around.window(source, eps) for source in self._around.costs]
        box = [library.Interval(low, high + 1) for low, high in windows]
        for eagerness, share in EAGER:
            config = library.Config(library.HeuristicType.MAX_OUTPUT)
            config.focal_eps = eagerness
            config.ignore_state_when_worse_than = self._limit
            config.stop_when_num_solutions_exceeds = 1
            search = config.get_search(rival, box)
            reason = search.steps(max(FEWEST, int(share * purse.left)))
            purse.spent += 1 + int(search.stats.num_steps)
            if search.num_solutions():
                return self._point(search.get_solution(0), windows), False
            if reason == library.StopReason.NO_MORE_OPEN:
                return None, True
        return None, False

    def _point(self, solution: Untyped, windows: Sequence[tuple[int, int]]) -> Point | None:
        """Return the nearest point of the box that a solution is; ``None`` where it has none."""
        box = solution.box()
        cells, distance = dict[int, int](), 0.0
        for place, source in enumerate(self._around.costs):
            low, high = windows[place]
            if place in box:
                low, high = max(low, int(box[place].lo)), min(high, int(box[place].hi) - 1)
            cell = self._around.cheapest(source, low, high)
            cells[source] = cell
            distance = max(distance, float(self._around.costs[source][cell]))
        return Point(cells, distance, solution.output) if np.isfinite(distance) else None
