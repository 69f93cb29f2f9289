"""Repairs tabular rows so that they satisfy feature constraints and relations.

Repair first snaps values to limits, whole numbers, codes and one-hot groups, then projects onto
relations of any form. Linear relations are solved exactly as a mixed-integer program by HiGHS.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from auditor.attacks.tabular.constraints.linear_forms import (
    differentiate,
    expand_kinks,
    find_nonlinear_columns,
    to_linear_form,
)
from auditor.attacks.tabular.constraints.reachable_box import (
    SLACK,
    Mask,
    ReachableBox,
    find_permitted_rows,
    integer_columns,
)
from auditor.attacks.tabular.constraints.row_constraints import MOVED_BY_STEPS, RowConstraints
from auditor.attacks.tabular.constraints.violations import (
    MARGIN,
    formula_violation,
    satisfies_constraints,
)
from auditor.domain.feature_relations import (
    ROUNDING,
    AllOf,
    AnyOf,
    ComparisonOrder,
    Formula,
    FormulaComparison,
    FormulaOperation,
    FormulaOperator,
    evaluate_expression,
    evaluate_formula,
)
from auditor.domain.tasks import Array, FeatureKind, Floats

Weights = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class SolverLimits:
    """What one program may take. ``nodes`` gives the same answer everywhere, ``seconds`` does not:
    it only saves an audit from a program that hangs.
    """

    nodes: int = 2_000
    seconds: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class RowProblem:
    """One row to repair: its limits, where it should stay near, and which values are ``whole``."""

    lower: Floats
    upper: Floats
    wanted: Floats
    whole: Floats


def solve_nearest_row(
    constraints: RowConstraints, formulas: Sequence[Formula], row: RowProblem, limits: SolverLimits
) -> Floats | None:
    """Return the row nearest to ``wanted`` that keeps ``formulas``, or ``None``.

    Near is the sum over columns of cost times share of the range; another code counts as the whole
    range. Alternatives become binary switches with the smallest sound big-M. ``None`` where there
    is no such row, none was found within the limits, or a formula is not linear.
    """
    program = _MixedIntegerProgram.over(constraints, row)
    if not all(program.add(formula) for formula in formulas):
        return None
    solved = program.solve(limits)
    if solved is None:
        return None
    found = row.lower.copy()
    for name, weights in program.columns.items():
        place = program.places[name]
        value = sum(weight * solved[variable] for variable, weight in weights.items())
        found[place] = np.rint(value) if row.whole[place] else value
    return found


@dataclass(slots=True)
class _MixedIntegerProgram:
    """A program while it is written down."""

    places: Mapping[str, int]
    fixed: Mapping[str, float]
    columns: dict[str, Weights] = field(default_factory=dict)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    price: list[float] = field(default_factory=list)
    rows: list[tuple[Weights, float, float]] = field(default_factory=list)

    @classmethod
    def over(cls, constraints: RowConstraints, row: RowProblem) -> "_MixedIntegerProgram":
        names = [feature.name for feature in constraints.features]
        free = row.upper > row.lower
        fixed = {name: float(row.lower[i]) for i, name in enumerate(names) if not free[i]}
        program = cls({name: index for index, name in enumerate(names)}, fixed)
        grouped = {column for group in constraints.groups for column in group}
        for index in np.flatnonzero(free):
            program._column(constraints, row, int(index), shared=int(index) in grouped)
        return program

    def _variable(self, low: float, high: float, price: float = 0.0, *, whole: bool = True) -> int:
        self.low.append(low)
        self.high.append(high)
        self.price.append(price)
        self.whole.append(whole)
        return len(self.low) - 1

    def _column(
        self, constraints: RowConstraints, row: RowProblem, index: int, *, shared: bool
    ) -> None:
        feature, wanted = constraints.features[index], float(row.wanted[index])
        low, high = float(row.lower[index]), float(row.upper[index])
        if feature.kind is FeatureKind.BINARY:
            # In a group one column falls where another rises: each carries half of the cost.
            price = feature.cost * (abs(1 - wanted) - abs(wanted)) * (0.5 if shared else 1.0)
            self.columns[feature.name] = {self._variable(low, high, price): 1.0}
        elif feature.kind is FeatureKind.CATEGORICAL:
            own = min(feature.categories, key=lambda code: abs(code - wanted))
            codes = {
                self._variable(0, 1, 0.0 if code == own else feature.cost): code
                for code in feature.categories
            }
            self.rows.append((dict.fromkeys(codes, 1.0), 1.0, 1.0))
            self.columns[feature.name] = codes
        else:
            value = self._variable(low, high, whole=bool(row.whole[index]))
            width = float(constraints.width[index])
            away = self._variable(0, np.inf, feature.cost, whole=False)
            self.rows.append(({value: 1 / width, away: -1.0}, -np.inf, wanted / width))
            self.rows.append(({value: 1 / width, away: 1.0}, wanted / width, np.inf))
            self.columns[feature.name] = {value: 1.0}

    def add(self, formula: Formula, switch: int | None = None) -> bool:
        """Demand a formula where ``switch`` is 1; false where it can never or not be demanded."""
        match formula:
            case AllOf(parts):
                return all(self.add(part, switch) for part in parts)
            case AnyOf(parts):
                options = {self._variable(0, 1): part for part in parts}
                possible = [one for one, part in options.items() if self.add(part, one)]
                for one in options.keys() - set(possible):
                    self.high[one] = 0.0
                wanted = dict.fromkeys(possible, 1.0)
                demand = wanted if switch is None else {**wanted, switch: -1.0}
                self.rows.append((demand, 1.0 if switch is None else 0.0, np.inf))
                return bool(possible)
            case FormulaComparison():
                return self._compare(formula, switch)

    def _compare(self, comparison: FormulaComparison, switch: int | None) -> bool:
        gap = to_linear_form(
            FormulaOperation(FormulaOperator.MINUS, (comparison.left, comparison.right)), self.fixed
        )
        if gap is None:
            return False
        if not gap.weights:
            anything = {name: np.zeros(()) for name in self.places}
            known = {name: np.asarray(value) for name, value in self.fixed.items()}
            return bool(evaluate_formula(comparison, {**anything, **known}))
        weights: dict[int, float] = {}
        for name, weight in gap.weights.items():
            for variable, share in self.columns[name].items():
                weights[variable] = weights.get(variable, 0.0) + weight * share
        constant = gap.constant
        ends = [(weight * self.low[v], weight * self.high[v]) for v, weight in weights.items()]
        least = constant + sum(min(pair) for pair in ends)
        most = constant + sum(max(pair) for pair in ends)
        size = abs(constant) + sum(max(map(abs, pair)) for pair in ends)
        limit = comparison.tolerance
        if comparison.order is ComparisonOrder.BELOW:
            limit -= MARGIN * ROUNDING * size
        self._below(weights, limit - constant, most - limit, switch)
        if comparison.order is ComparisonOrder.EQUAL:
            mirrored = {variable: -weight for variable, weight in weights.items()}
            self._below(mirrored, limit + constant, -least - limit, switch)
        return True

    def _below(self, weights: Weights, limit: float, excess: float, switch: int | None) -> None:
        """Demand ``weights * x <= limit``; without the demand it exceeds that by ``excess``."""
        if excess <= 0:
            return
        scale = 1 / max(map(abs, weights.values()))
        row = {variable: weight * scale for variable, weight in weights.items()}
        if switch is not None:
            row[switch] = excess * scale
            limit += excess
        self.rows.append((row, -np.inf, limit * scale))

    def solve(self, limits: SolverLimits) -> Floats | None:
        """Return the best values of the variables."""
        entries = [(r, v, w) for r, (row, _, _) in enumerate(self.rows) for v, w in row.items()]
        rows, variables, weights = zip(*entries, strict=True) if entries else ((), (), ())
        shape = (len(self.rows), len(self.low))
        matrix = coo_array((weights, (rows, variables)), shape=shape).tocsr()
        low = np.array([row[1] for row in self.rows])
        high = np.array([row[2] for row in self.rows])
        result = milp(
            np.array(self.price),
            integrality=np.array(self.whole, dtype=np.int64),
            bounds=Bounds(np.array(self.low), np.array(self.high)),
            constraints=LinearConstraint(matrix, low, high),
            options={
                "node_limit": limits.nodes,
                "time_limit": limits.seconds,
                "mip_rel_gap": 0,
                # HiGHS's presolve can print a line of its own among what the command prints.
                "presolve": False,
            },
        )
        return None if result.x is None else np.asarray(result.x, dtype=np.float64)


def snap_rows(constraints: RowConstraints, region: ReachableBox, points: Array) -> Array:
    """Return the nearest rows within reach that hold what their columns may, in the clean type.

    Codes go to the nearest one and groups to their largest column. What a relation defines is
    computed anew in rows that break it. Other relations may stay broken. Settling twice changes
    nothing.
    """
    found = points.astype(np.float64)
    found = np.where(np.isnan(found), region.exact, found)
    found = _chosen(constraints, region, found)
    coded = found.copy()
    for index, feature in enumerate(constraints.features):
        if feature.kind is FeatureKind.CATEGORICAL:
            codes = np.array(feature.categories)
            nearest = codes[np.abs(coded[:, index, None] - codes).argmin(axis=1)]
            free = region.movable[:, index]
            coded[:, index] = np.where(free, nearest, region.exact[:, index])
    found = coded
    found = _bounded(constraints, region, found)
    for definition in constraints.definitions:
        columns = constraints.columns(found)
        broken = ~evaluate_formula(definition.formula, columns)
        if broken.any():
            value = np.broadcast_to(
                evaluate_expression(definition.expression, columns).value, len(found)
            )
            column = definition.column
            usable = np.logical_and(broken & region.movable[:, column], np.isfinite(value))
            found[:, column] = np.where(usable, value, found[:, column])
            found = _bounded(constraints, region, found)
    typed = found.astype(region.clean.dtype)
    wide = typed.astype(np.float64)
    # A narrower type may round across a limit: step back towards the clean value.
    slack = SLACK * (region.upper - region.lower)
    across = (wide > region.upper + slack) | (wide < region.lower - slack)
    if across.any() and np.issubdtype(typed.dtype, np.floating):
        typed = np.where(across, np.nextafter(typed, region.clean), typed)
    return typed


def _chosen(constraints: RowConstraints, region: ReachableBox, points: Floats) -> Floats:
    found = points.copy()
    for group in constraints.groups:
        columns = list(group)
        chosen = np.zeros((len(found), len(columns)))
        chosen[np.arange(len(found)), found[:, columns].argmax(axis=1)] = 1.0
        free = np.asarray(region.movable[:, columns].all(axis=1))
        found[:, columns] = np.where(free[:, None], chosen, region.exact[:, columns])
    return found


def _bounded(constraints: RowConstraints, region: ReachableBox, points: Floats) -> Floats:
    whole = integer_columns(constraints, region.clean)
    found = np.where(whole, np.rint(points), points)
    # A clean value that is not whole, or that lies outside, is its own lower or upper limit.
    return np.asarray(np.clip(found, region.lower, region.upper))


SWEEPS = 30
OVERSHOOT = 1 + 1e-9


def project_onto_relations(
    constraints: RowConstraints, region: ReachableBox, points: Array
) -> Array:
    """Return settled rows after alternating projections onto the relations that they break.

    Each step is Newton's for one relation, of least squares in shares of the ranges and weighted
    by cost, through the definitions; the sweeps are cyclic projections (Boyle and Dykstra 1986,
    without the correction). Rows that still break something are returned as they came to be.
    """
    found = snap_rows(constraints, region, points)
    active = np.arange(len(found))
    for _ in range(SWEEPS):
        active = active[~satisfies_constraints(constraints, found[active])]
        if not active.size:
            break
        part = region.take(active)
        exact = found[active].astype(np.float64)
        for formula in constraints.conjuncts:
            exact = _step(constraints, part, exact, formula)
        settled = snap_rows(constraints, part, exact)
        stuck = (settled == found[active]).all(axis=1)
        found[active] = settled
        active = active[~stuck]
    return found


def _step(
    constraints: RowConstraints, region: ReachableBox, points: Floats, formula: Formula
) -> Floats:
    broken = ~evaluate_formula(formula, constraints.columns(points))
    if not broken.any():
        return points
    steps = np.array([feature.kind in MOVED_BY_STEPS for feature in constraints.features])
    weight = np.square(constraints.width) / constraints.cost
    weight = np.asarray(np.where(region.movable & steps, weight, 0.0))
    short = formula_violation(constraints, formula, points, weight)
    # The slope by what defines the defined columns, which follow by themselves
    total = short.gradient.copy()
    places = {feature.name: index for index, feature in enumerate(constraints.features)}
    columns = constraints.columns(points)
    for definition in reversed(constraints.definitions):
        if definition.conditional or definition.formula is formula:
            continue
        column = definition.column
        handed = np.where(region.movable[:, column], total[:, column], 0.0)
        for name, by in differentiate(definition.expression, columns).slopes.items():
            share = handed * by
            total[:, places[name]] += np.where(np.isfinite(share), share, 0.0)
        total[:, column] -= handed
    slope = total
    # A value at its limit cannot go further that way.
    stuck = ((slope > 0) & (points <= region.lower)) | ((slope < 0) & (points >= region.upper))
    push = np.where(stuck, 0.0, weight * slope)
    strength = (push * slope).sum(axis=1)
    usable = broken & (strength > 0)
    size = np.where(usable, OVERSHOOT * short.amount / np.where(usable, strength, 1.0), 0.0)
    step = -size[:, None] * push
    target = points + step
    whole = integer_columns(constraints, region.clean)
    outward = np.where(step > 0, np.ceil(target - SLACK), np.floor(target + SLACK))
    target = np.where(whole & (step != 0), outward, target)
    return np.asarray(np.clip(target, region.lower, region.upper))


HALVINGS = 10
LIMITS = SolverLimits()


class RepairEffort(StrEnum):
    """How hard repair tries: projections only, then a program, or the program at once.

    ``NEAREST`` gives the nearest row where all relations are linear in what the row may change.
    """

    FAST = "fast"
    FULL = "full"
    NEAREST = "nearest"


@dataclass(frozen=True, slots=True, eq=False)
class RepairResult:
    """Rows after repair, and which of them are feasible; a row that defied repair is clean again.

    A clean row is feasible unless the data themselves break a relation.
    """

    points: Array
    feasible: Mask


def find_feasible_rows(constraints: RowConstraints, region: ReachableBox, points: Array) -> Mask:
    """Return which rows are within reach and keep every relation and one-hot group."""
    found: Mask = find_permitted_rows(constraints, region, points) & satisfies_constraints(
        constraints, points
    )
    return found


def repair_rows(
    constraints: RowConstraints,
    region: ReachableBox,
    points: Array,
    *,
    effort: RepairEffort = RepairEffort.FULL,
    limits: SolverLimits = LIMITS,
) -> RepairResult:
    """Return feasible rows near ``points`` (``[n, features]``), in the type of the clean rows.

    Settled rows that still break a relation are projected, then solved for, then drawn towards
    the clean row, and at last are the clean row. Repairing twice changes nothing.
    """
    found = snap_rows(constraints, region, points)
    stages = {
        RepairEffort.FAST: (project_onto_relations, _drawn),
        RepairEffort.FULL: (project_onto_relations, _SolverRun(limits), _drawn),
        RepairEffort.NEAREST: (_SolverRun(limits), project_onto_relations, _drawn),
    }
    for stage in stages[effort]:
        bad = np.flatnonzero(~find_feasible_rows(constraints, region, found))
        if not bad.size:
            break
        part = region.take(bad)
        tried = stage(constraints, part, points[bad])
        good = find_feasible_rows(constraints, part, tried)
        found[bad[good]] = tried[good]
    good = find_feasible_rows(constraints, region, found)
    found = np.where(good[:, None], found, region.clean)
    return RepairResult(found, good | satisfies_constraints(constraints, region.clean))


def _drawn(constraints: RowConstraints, region: ReachableBox, points: Array) -> Array:
    """Halve the way to the clean row until a row is feasible."""
    found = snap_rows(constraints, region, points)
    share = 1.0
    for _ in range(HALVINGS):
        bad = np.flatnonzero(~find_feasible_rows(constraints, region, found))
        if not bad.size:
            break
        share /= 2
        part = region.take(bad)
        exact = part.exact
        nearer = exact + share * (
            np.clip(points[bad].astype(np.float64), part.lower, part.upper) - exact
        )
        found[bad] = snap_rows(constraints, part, nearer)
    return found


@dataclass(frozen=True, slots=True)
class _SolverRun:
    limits: SolverLimits

    def __call__(self, constraints: RowConstraints, region: ReachableBox, points: Array) -> Array:
        formulas = [expand_kinks(formula) for formula in constraints.conjuncts]
        found = snap_rows(constraints, region, points)
        for row in range(len(points)):
            part = region.take(np.array([row]))
            for problem in _problems(constraints, formulas, part, points[row], found[row]):
                solved = solve_nearest_row(constraints, formulas, problem, self.limits)
                if solved is None:
                    continue
                settled = project_onto_relations(constraints, part, solved[None])
                if find_feasible_rows(constraints, part, settled).all():
                    found[row] = settled[0]
                    break
        return found


def _problems(
    constraints: RowConstraints,
    formulas: list[Formula],
    region: ReachableBox,
    point: Array,
    settled: Array,
) -> Iterator[RowProblem]:
    """Yield the row's problem, and where it is not linear the same with some columns fixed."""
    lower, upper = region.lower[0], region.upper[0]
    wanted = np.where(np.isnan(point.astype(np.float64)), region.exact[0], point)
    whole = integer_columns(constraints, region.clean).astype(np.float64)
    names = [feature.name for feature in constraints.features]
    fixed = {name: float(lower[i]) for i, name in enumerate(names) if lower[i] == upper[i]}
    bent = frozenset[str]().union(*(find_nonlinear_columns(formula, fixed) for formula in formulas))
    if not bent:
        yield RowProblem(lower, upper, wanted, whole)
        return
    pinned = np.array([name in bent for name in names])
    for values in (settled.astype(np.float64), region.exact[0]):
        ends: tuple[Floats, Floats] = (
            np.where(pinned, values, lower),
            np.where(pinned, values, upper),
        )
        yield RowProblem(*ends, wanted, whole)
