"""The nearest row that keeps linear relations, as a mixed-integer program that HiGHS solves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from auditor.attacks.constraints.linear import linear
from auditor.attacks.constraints.shortfalls import MARGIN
from auditor.attacks.constraints.structure import Constraints
from auditor.domain.formulas import Operation, Operator
from auditor.domain.relations import ROUNDING, AllOf, AnyOf, Comparison, Formula, Order, kept
from auditor.domain.tasks import FeatureKind, Floats

Weights = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Limits:
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


def nearest(
    constraints: Constraints, formulas: Sequence[Formula], row: RowProblem, limits: Limits
) -> Floats | None:
    """Return the row nearest to ``wanted`` that keeps ``formulas``, or ``None``.

    Near is the sum over columns of cost times share of the range; another code counts as the whole
    range. Alternatives become binary switches with the smallest sound big-M. ``None`` where there
    is no such row, none was found within the limits, or a formula is not linear.
    """
    program = _Program.over(constraints, row)
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
class _Program:
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
    def over(cls, constraints: Constraints, row: RowProblem) -> "_Program":
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
        self, constraints: Constraints, row: RowProblem, index: int, *, shared: bool
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
            case Comparison():
                return self._compare(formula, switch)

    def _compare(self, comparison: Comparison, switch: int | None) -> bool:
        gap = linear(Operation(Operator.MINUS, (comparison.left, comparison.right)), self.fixed)
        if gap is None:
            return False
        if not gap.weights:
            anything = {name: np.zeros(()) for name in self.places}
            known = {name: np.asarray(value) for name, value in self.fixed.items()}
            return bool(kept(comparison, {**anything, **known}))
        weights: dict[int, float] = {}
        for name, weight in gap.weights.items():
            for variable, share in self.columns[name].items():
                weights[variable] = weights.get(variable, 0.0) + weight * share
        self._demand(weights, gap.constant, comparison, switch)
        return True

    def _demand(
        self, weights: Weights, constant: float, comparison: Comparison, switch: int | None
    ) -> None:
        ends = [(weight * self.low[v], weight * self.high[v]) for v, weight in weights.items()]
        least = constant + sum(min(pair) for pair in ends)
        most = constant + sum(max(pair) for pair in ends)
        size = abs(constant) + sum(max(map(abs, pair)) for pair in ends)
        limit = comparison.tolerance
        if comparison.order is Order.BELOW:
            limit -= MARGIN * ROUNDING * size
        self._below(weights, limit - constant, most - limit, switch)
        if comparison.order is Order.EQUAL:
            mirrored = {variable: -weight for variable, weight in weights.items()}
            self._below(mirrored, limit + constant, -least - limit, switch)

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

    def solve(self, limits: Limits) -> Floats | None:
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
