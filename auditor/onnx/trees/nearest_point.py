"""Exact search by dtai-veritas for the nearest point that a tree ensemble misclassifies."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from auditor.domain.robustness_certificates import NearestMisclassification, PerturbationBoxes
from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Floats
from auditor.errors import MissingExtraError, suggest_install
from auditor.onnx.decision_margins import ScoreRule, margin_forms, probabilities_of
from auditor.onnx.trees.forest import (
    LEAF,
    CellGrid,
    CellReach,
    TreeEnsemble,
    build_cell_grid,
    find_cell_reach,
    read_tree_ensemble,
)

Untyped: TypeAlias = Any
"""Of dtai-veritas, which ships no types: the module, an ``AddTree``, a ``Solution``."""
FEWEST = 100
"""The fewest states that one question may look at."""
EAGER = ((0.05, 0.1), (0.8, 0.2))
"""How a question is put, one way after the other: dtai-veritas' focal relaxation (small: depth
first), and the share of the states left that it may look at."""
FIRST = 0.01
"""Where a search begins, as a share of the units: what lies near is quickly ruled out."""


def load_veritas() -> Untyped:
    """Return the library dtai-veritas. Raises ``MissingExtraError`` where it is not installed."""
    try:
        return importlib.import_module("veritas")
    except ImportError as missing:
        raise MissingExtraError(
            "exact bounds of trees need dtai-veritas, which is not installed",
            cure=f"{suggest_install('certify')}.",
        ) from missing


@dataclass(slots=True)
class StateBudget:
    """How many states a search may look at, and how many it has."""

    states: int
    spent: int = 0

    @property
    def left(self) -> int:
        """How many states it may still look at."""
        return self.states - self.spent


@dataclass(frozen=True, slots=True)
class EnsemblePoint:
    """A point that a rival wins: its cells by input, its distance, and by how much it is won."""

    cells: dict[int, int]
    distance: float
    lead: float


@dataclass(frozen=True, slots=True)
class NearestPoint:
    """No rival leads by a limit below ``lower``; ``point`` is the nearest found where one does."""

    lower: float
    point: EnsemblePoint | None


@dataclass(slots=True)
class DistanceBracket:
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


class NearestPointSearch:
    """The search for the nearest point around one row at which a rival leads by ``limit``.

    ``rivals`` are ensembles over cells, of which each adds up to how far a wrong decision is
    ahead. Chen et al. (2019, arXiv 1906.03849) ask, as here, at one distance after the other; the
    answer of each is exact (Devos et al. 2021, arXiv 2010.09461). Distances are those of cells,
    so that bisection ends at the smallest one and not merely near it.
    """

    def __init__(
        self, rivals: Sequence[Untyped], around: CellReach, limit: float, purse: StateBudget
    ) -> None:
        self._rivals = rivals
        self._around = around
        self._limit = limit
        self._purse = purse
        self._steps = np.concatenate([[0.0], around.steps])
        self._best: EnsemblePoint | None = None

    def run(self, lower: float = 0.0) -> NearestPoint:
        """Return the nearest point; below ``lower`` nothing is looked for."""
        start = int(np.searchsorted(self._steps, lower)) - 1
        least = np.inf
        for place, rival in enumerate(self._rivals):
            share = StateBudget(self._purse.left // (len(self._rivals) - place))
            bracket = self._against(rival, start, share)
            self._purse.spent += share.spent
            if bracket.proved + 1 < bracket.end:
                least = min(least, float(self._steps[bracket.proved + 1]))
        best = np.inf if self._best is None else self._best.distance
        return NearestPoint(min(least, best), self._best)

    def _against(self, rival: Untyped, proved: int, purse: StateBudget) -> DistanceBracket:
        """Narrow the bracket of one rival, as far as the purse goes."""
        end = len(self._steps) if self._best is None else self._place(self._best)
        bracket = DistanceBracket(proved, end, dark=end, bright=proved)
        if self._best is not None:  # most often nothing is nearer than another rival's point
            step = bracket.end - 1 if bracket.proved + 1 < bracket.end else None
        else:
            step = self._next(bracket, above=False)
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

    def _place(self, point: EnsemblePoint) -> int:
        return int(np.searchsorted(self._steps, point.distance))

    def _next(self, bracket: DistanceBracket, *, above: bool) -> int | None:
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

    def _ask(
        self, rival: Untyped, eps: float, purse: StateBudget
    ) -> tuple[EnsemblePoint | None, bool]:
        """Return a point up to a distance at which a rival leads, or that there is none.

        First almost depth first, which finds points; then the most promising states first.
        """
        library = load_veritas()
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

    def _point(self, solution: Untyped, windows: Sequence[tuple[int, int]]) -> EnsemblePoint | None:
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
        return EnsemblePoint(cells, distance, solution.output) if np.isfinite(distance) else None


CANDIDATES = 2


class EnsembleSearch:
    """A forest over the cells of its inputs; one for each kind of steps that these come in."""

    def __init__(self, forest: TreeEnsemble, rule: ScoreRule, boxes: PerturbationBoxes) -> None:
        self._forest = forest
        self._rule = rule
        self.grid = build_cell_grid(forest, boxes)
        # The forest as trees of dtai-veritas, which split where a cell is below a rank
        grid = self.grid
        library = load_veritas()
        whole = library.AddTree(forest.values.shape[1], library.AddTreeType.REGR)
        places = {source: place for place, source in enumerate(grid.axes)}
        for root in forest.roots:
            tree = whole.add_tree()
            left = [(tree.root(), int(root))]
            while left:
                left.extend(_grow(tree, *left.pop(), forest, grid, places))
        for score, value in enumerate(forest.base):
            whole.set_base_score(score, float(value))
        self._whole = whole
        self._rivals: dict[int, list[Untyped]] = {}
        self._tie = rule.tie + 2 * forest.rounding

    def probabilities(self, rows: Floats) -> Floats:
        """Return ``[n, classes]`` probabilities of rows ``[n, inputs]``, in float64."""
        places = list(self.grid.axes) or [0]  # leaves alone look at nothing, but take a column
        cells = self.grid.cells(rows)[:, places].astype(np.float64)
        sums = np.asarray(self._whole.eval(cells)).reshape(len(rows), -1)
        return probabilities_of(sums, self._forest.finish)

    def nearest(self, boxes: PerturbationBoxes, steps: int) -> NearestMisclassification:
        """Search for each row, looking at most at ``steps`` states; see ``domain.certificates``."""
        rows = len(boxes.labels)
        clean = boxes.clean.astype(np.float64)
        lower, distance = np.zeros(rows), np.full((rows, CANDIDATES), np.inf)
        crafted = np.repeat(clean[:, None], CANDIDATES, axis=1)
        for row, label in enumerate(boxes.labels):
            if not np.isfinite(clean[row]).all():
                continue  # a missing value goes its own way in each tree
            around = find_cell_reach(self.grid, boxes, row)
            lower[row], points = self._closest(int(label), around, StateBudget(steps))
            for place, point in enumerate(points):
                distance[row, place] = point.distance
                flat = crafted[row, place].reshape(-1)
                for source, cell in point.cells.items():
                    flat[source] = around.values[source][cell]
        return NearestMisclassification(lower, crafted, distance)

    def _closest(
        self, label: int, around: CellReach, purse: StateBudget
    ) -> tuple[float, list[EnsemblePoint]]:
        """Return below which distance no decision is wrong, and the nearest points that may be.

        Where scores tie so nearly that rounding decides, the nearest sure point follows.
        """
        rivals = self._against(label)
        maybe = NearestPointSearch(rivals, around, -self._tie, purse).run()
        if maybe.point is None or maybe.point.lead >= self._tie:
            return maybe.lower, [] if maybe.point is None else [maybe.point]
        surely = NearestPointSearch(rivals, around, self._tie, purse).run(maybe.lower)
        return maybe.lower, [maybe.point, *([] if surely.point is None else [surely.point])]

    def _against(self, label: int) -> list[Untyped]:
        """Return for each rival of a class the ensemble that says how far it is ahead."""
        if label not in self._rivals:
            functions, shifts = margin_forms(
                self._forest.finish, self._rule, label, self._whole.num_leaf_values()
            )
            found = []
            for function, shift in zip(functions, shifts, strict=True):
                # An ensemble that adds up to minus a lead
                whole = self._whole
                ahead, behind = np.flatnonzero(function > 0), np.flatnonzero(function < 0)
                if len(ahead) and len(behind):
                    made = whole.contrast_classes(int(behind[0]), int(ahead[0]))
                else:
                    column = int((behind if len(behind) else ahead)[0])
                    single = len(function) == 1
                    made = whole.copy() if single else whole.make_singleclass(column)
                    made = made if len(behind) else made.negate_leaf_values()
                base = [whole.get_base_score(score) for score in range(len(function))]
                made.set_base_score(0, -float(function @ np.array(base)) - float(shift))
                found.append(made)
            self._rivals[label] = found
        return self._rivals[label]


def open_ensemble_search(
    path: Path, interface: ModelInterface, rule: ScoreRule
) -> TreeEnsemble | None:
    """Read the forest that makes the scores of the ONNX file at ``path``, if one does.

    Raises ``TwinError`` and ``MissingExtraError``.
    """
    forest = read_tree_ensemble(path, interface, rule)
    if forest is not None:
        load_veritas()
    return forest


def _grow(  # noqa: PLR0913, PLR0917 -- one node of two forests
    tree: Untyped,
    place: int,
    node: int,
    forest: TreeEnsemble,
    grid: CellGrid,
    places: dict[int, int],
) -> list[tuple[int, int]]:
    if forest.feature[node] == LEAF:
        tree.set_leaf_values(place, forest.values[node])
        return []
    tree.split(place, places[int(grid.source[node])], float(grid.rank[node]))
    children = (tree.left(place), tree.right(place))
    return list(zip(children, (int(forest.left[node]), int(forest.right[node])), strict=True))
