"""A tree ensemble of an ONNX file, ready to be asked for the nearest wrong point of a row."""

from pathlib import Path

import numpy as np

from auditor.domain.certificates import Boxes, Nearest
from auditor.domain.targets import Interface
from auditor.domain.tasks import Floats
from auditor.twins.ensembles.cells import Grid, Reach, lay_grid, reach
from auditor.twins.ensembles.forests import LEAF, Forest, read_forest
from auditor.twins.ensembles.searching import Hunt, Point, Purse, Untyped, veritas
from auditor.twins.leads import Rule, leads, probabilities_of

CANDIDATES = 2


class SearchedForest:
    """A forest over the cells of its inputs; one for each kind of steps that these come in."""

    def __init__(self, forest: Forest, rule: Rule, boxes: Boxes) -> None:
        self._forest = forest
        self._rule = rule
        self.grid = lay_grid(forest, boxes)
        self._whole = _over_cells(forest, self.grid)
        self._rivals: dict[int, list[Untyped]] = {}
        self._tie = rule.tie + 2 * forest.rounding

    def probabilities(self, rows: Floats) -> Floats:
        """Return ``[n, classes]`` probabilities of rows ``[n, inputs]``, in float64."""
        places = list(self.grid.axes) or [0]  # leaves alone look at nothing, but take a column
        cells = self.grid.cells(rows)[:, places].astype(np.float64)
        sums = np.asarray(self._whole.eval(cells)).reshape(len(rows), -1)
        return probabilities_of(sums, self._forest.finish)

    def nearest(self, boxes: Boxes, steps: int) -> Nearest:
        """Search for each row, looking at most at ``steps`` states; see ``domain.certificates``."""
        rows = len(boxes.labels)
        clean = boxes.clean.astype(np.float64)
        lower, distance = np.zeros(rows), np.full((rows, CANDIDATES), np.inf)
        crafted = np.repeat(clean[:, None], CANDIDATES, axis=1)
        for row, label in enumerate(boxes.labels):
            if not np.isfinite(clean[row]).all():
                continue  # a missing value goes its own way in each tree
            around = reach(self.grid, boxes, row)
            lower[row], points = self._closest(int(label), around, Purse(steps))
            for place, point in enumerate(points):
                distance[row, place] = point.distance
                _move(crafted[row, place], point, around)
        return Nearest(lower, crafted, distance)

    def _closest(self, label: int, around: Reach, purse: Purse) -> tuple[float, list[Point]]:
        """Return below which distance no decision is wrong, and the nearest points that may be.

        Where scores tie so nearly that rounding decides, the nearest sure point follows.
        """
        rivals = self._against(label)
        maybe = Hunt(rivals, around, -self._tie, purse).run()
        if maybe.point is None or maybe.point.lead >= self._tie:
            return maybe.lower, [] if maybe.point is None else [maybe.point]
        surely = Hunt(rivals, around, self._tie, purse).run(maybe.lower)
        return maybe.lower, [maybe.point, *([] if surely.point is None else [surely.point])]

    def _against(self, label: int) -> list[Untyped]:
        """Return for each rival of a class the ensemble that says how far it is ahead."""
        if label not in self._rivals:
            functions, shifts = leads(
                self._forest.finish, self._rule, label, self._whole.num_leaf_values()
            )
            self._rivals[label] = [
                _behind(self._whole, function, float(shift))
                for function, shift in zip(functions, shifts, strict=True)
            ]
        return self._rivals[label]


def open_forest(path: Path, interface: Interface, rule: Rule) -> Forest | None:
    """Read the forest that makes the scores of the ONNX file at ``path``, if one does.

    Raises ``TwinError`` and ``MissingExtraError``.
    """
    forest = read_forest(path, interface, rule)
    if forest is not None:
        veritas()
    return forest


def _over_cells(forest: Forest, grid: Grid) -> Untyped:
    """Return the forest as trees of dtai-veritas, which split where a cell is below a rank."""
    library = veritas()
    whole = library.AddTree(forest.values.shape[1], library.AddTreeType.REGR)
    places = {source: place for place, source in enumerate(grid.axes)}
    for root in forest.roots:
        tree = whole.add_tree()
        left = [(tree.root(), int(root))]
        while left:
            left.extend(_grow(tree, *left.pop(), forest, grid, places))
    for score, value in enumerate(forest.base):
        whole.set_base_score(score, float(value))
    return whole


def _grow(  # noqa: PLR0913, PLR0917 -- one node of two forests
    tree: Untyped, place: int, node: int, forest: Forest, grid: Grid, places: dict[int, int]
) -> list[tuple[int, int]]:
    if forest.feature[node] == LEAF:
        tree.set_leaf_values(place, forest.values[node])
        return []
    tree.split(place, places[int(grid.source[node])], float(grid.rank[node]))
    children = (tree.left(place), tree.right(place))
    return list(zip(children, (int(forest.left[node]), int(forest.right[node])), strict=True))


def _behind(whole: Untyped, function: Floats, shift: float) -> Untyped:
    """Return an ensemble that adds up to minus a lead."""
    ahead, behind = np.flatnonzero(function > 0), np.flatnonzero(function < 0)
    if len(ahead) and len(behind):
        made = whole.contrast_classes(int(behind[0]), int(ahead[0]))
    else:
        column = int((behind if len(behind) else ahead)[0])
        single = len(function) == 1
        made = whole.copy() if single else whole.make_singleclass(column)
        made = made if len(behind) else made.negate_leaf_values()
    base = [whole.get_base_score(score) for score in range(len(function))]
    made.set_base_score(0, -float(function @ np.array(base)) - shift)
    return made


def _move(row: Floats, point: Point, around: Reach) -> None:
    flat = row.reshape(-1)
    for source, cell in point.cells.items():
        flat[source] = around.values[source][cell]
