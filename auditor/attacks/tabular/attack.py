"""Query-based attack on tabular rows under feature constraints, and the judge of its candidates.

``TabularThreat`` is the only rule for the rows that an attacker may make; attacks and submitted
counterexamples share it. The search sees the target's scores alone. Only ``TabularJudge`` counts
successes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.judge import BestSoFar, judge_answers, query_target
from auditor.attacks.evasion.square import square_share
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.attacks.tabular.constraints.reachable_box import (
    Mask,
    ReachableBox,
    find_moved_units,
    find_reachable_box,
    integer_columns,
    price_moves,
    units_to_columns,
)
from auditor.attacks.tabular.constraints.repair import RepairEffort, find_feasible_rows, repair_rows
from auditor.attacks.tabular.constraints.row_constraints import (
    MOVED_BY_STEPS,
    RowConstraints,
    prepare_constraints,
)
from auditor.domain.models import Twin
from auditor.domain.tasks import Array, FeatureKind, Floats, InputSpace

Odds = tuple[float, float, float, float]
YES_OR_NO = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class UnitMove:
    """One unit to its lower limit, to its upper one, or (``limit`` is ``None``) to a code.

    ``column`` is the quantity, the column with the code, or the member of a group that becomes 1.
    """

    unit: int
    column: int
    limit: bool | None = None
    code: float = 1.0


def list_single_moves(constraints: RowConstraints, region: ReachableBox) -> list[UnitMove]:
    """Return every move of one unit that is worth a query for some row."""
    found: list[UnitMove] = []
    for index, unit in enumerate(constraints.units):
        first, columns = unit.columns[0], list(unit.columns)
        if not region.movable[:, columns].any():
            continue
        if not unit.choice:
            found += [UnitMove(index, first, limit) for limit in (False, True)]
        elif len(columns) > 1:
            found += [UnitMove(index, column) for column in columns]
        else:
            codes = constraints.features[first].categories or YES_OR_NO
            found += [UnitMove(index, first, code=float(code)) for code in codes]
    return found


def apply_move(
    move: UnitMove, constraints: RowConstraints, region: ReachableBox, points: Floats
) -> Floats:
    """Return ``[n, features]`` points with one unit moved, in rows where it can move."""
    found = points.copy()
    if move.limit is not None:
        ends = region.upper if move.limit else region.lower
        found[:, move.column] = ends[:, move.column]
        return found
    columns = list(constraints.units[move.unit].columns)
    values = np.where(np.array(columns) == move.column, move.code, 0.0)
    free = np.asarray(region.movable[:, columns].all(axis=1))
    found[:, columns] = np.where(free[:, None], values, found[:, columns])
    return found


def combine_best_moves(
    moves: list[UnitMove], constraints: RowConstraints, region: ReachableBox, gains: Floats
) -> Floats:
    """Return clean rows after the best move of each unit that gains by one.

    ``gains`` is ``[n, moves]``: by how much each move alone brought the row nearer to harm.
    """
    units = np.array([move.unit for move in moves], dtype=np.int64)
    best = np.full((len(gains), len(constraints.units)), -np.inf)
    for unit in np.unique(units):
        best[:, unit] = gains[:, units == unit].max(axis=1)
    helped: Mask = np.asarray(best > 0)
    points, done = region.exact, np.zeros_like(helped)
    for index, move in enumerate(moves):
        due = helped[:, move.unit] & (gains[:, index] == best[:, move.unit])
        due &= ~done[:, move.unit]
        done[due, move.unit] = True
        points[due] = apply_move(move, constraints, region.take(due), points[due])
    return points


def scatter_units(  # noqa: PLR0913, PLR0917 -- where, from where, how far and by what chance
    constraints: RowConstraints,
    region: ReachableBox,
    points: Floats,
    part: float,
    odds: Odds,
    rng: np.random.Generator,
) -> Floats:
    """Return points with a share of each row's movable units, at least one, at new values.

    ``odds`` are those of a quantity to go to its lower limit, its upper one, anywhere between, or
    back to its clean value; what has codes takes another one.
    """
    free = [region.movable[:, unit.columns].any(axis=1) for unit in constraints.units]
    movable = np.stack(free, axis=1)
    draw = np.where(movable, rng.random(movable.shape), np.inf)
    rank = np.argsort(np.argsort(draw, axis=1), axis=1)
    count = np.maximum(1, np.rint(part * movable.sum(axis=1)))
    chosen: Mask = movable & (rank < count[:, None])
    kinds = rng.choice(len(odds), size=points.shape, p=odds)
    between = rng.uniform(region.lower, region.upper)
    values = np.choose(kinds, [region.lower, region.upper, between, region.exact])
    for index, unit in enumerate(constraints.units):
        columns = list(unit.columns)
        now = points[:, columns]
        new = _other_codes(constraints, columns, now, rng) if unit.choice else values[:, columns]
        values[:, columns] = np.where(chosen[:, index, None], new, now)
    return np.asarray(values)


def _other_codes(
    constraints: RowConstraints, columns: list[int], now: Floats, rng: np.random.Generator
) -> Floats:
    if len(columns) > 1:
        # Repair lets the largest column of a group win: any but the one that it is now.
        return np.asarray(rng.random(now.shape) * (now < 1.0))
    codes = np.array(constraints.features[columns[0]].categories or YES_OR_NO)
    place = np.abs(now - codes).argmin(axis=1)
    step = rng.integers(1, max(2, len(codes)), len(now))
    return np.asarray(codes[(place + step) % len(codes)][:, None])


Choices = NDArray[np.bool_]
DRAWN = 128
"""Combinations that are drawn for each row; drawing and checking them asks nobody."""
MOST_NOISE = 1.0
"""How much chance there is in the last combination drawn, beside what the best move brings; there
is none in the first."""
WORST = -10.0
ROWS_AT_ONCE = 64


def propose_combinations(  # noqa: PLR0913, PLR0917 -- what is known of the rows, and how many to make
    moves: list[UnitMove],
    constraints: RowConstraints,
    region: ReachableBox,
    gains: Floats,
    count: int,
    rng: np.random.Generator,
) -> Floats:
    """Return ``[count, n, features]`` possible rows whose moves promise most, the best first.

    ``gains`` is ``[n, moves]``: by how much each move alone brought the row nearer to harm (minus
    infinity: not known). A combination promises their sum, which is exact for a linear model. No
    repair is needed: combinations that break a relation are passed over. Where fewer are left the
    clean row fills up.
    """
    found = np.repeat(region.exact[None], count, axis=0)
    for start in range(0, len(gains), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(gains)))
        chosen = _drawn(moves, constraints, gains[rows], rng)
        # The rows `[n, DRAWN, features]` that combinations make, and which could exist
        made_region = region.take(rows)
        wide = made_region.take(np.repeat(np.arange(len(chosen)), DRAWN))
        points, flat = wide.exact, chosen.reshape(-1, len(moves))
        for index, move in enumerate(moves):
            due = flat[:, index]
            points[due] = apply_move(move, constraints, wide.take(due), points[due])
        typed: Array = points.astype(made_region.clean.dtype)
        possible = find_feasible_rows(constraints, wide, typed) & (typed != wide.clean).any(axis=1)
        points, possible = points.reshape(len(chosen), DRAWN, -1), possible.reshape(-1, DRAWN)
        known = np.where(np.isfinite(gains[rows]), gains[rows], 0.0)
        promise = np.einsum("ndm,nm->nd", chosen, known)
        promise = np.where(possible, promise, -np.inf)
        # The places of each row's highest promises, equal ones once
        order = np.argsort(-promise, axis=1, kind="stable")
        ranked = np.take_along_axis(promise, order, axis=1)
        again = np.zeros_like(ranked, dtype=np.bool_)
        again[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
        first = np.argsort(again, axis=1, kind="stable")[:, :count]
        for place, best in enumerate(np.take_along_axis(order, first, axis=1).T):
            good = possible[np.arange(len(rows)), best]
            found[place, rows[good]] = points[np.arange(len(rows)), best][good]
    return found


def _drawn(
    moves: list[UnitMove], constraints: RowConstraints, gains: Floats, rng: np.random.Generator
) -> Choices:
    """Return combinations ``[n, DRAWN, moves]``, at most one move of each unit; first the best."""
    most = gains.max(axis=1, initial=0.0)
    scale = np.where(most > 0, most, 1.0)
    chance = np.linspace(0.0, MOST_NOISE, DRAWN)[:, None]
    chosen = np.zeros((len(gains), DRAWN, len(moves)), dtype=np.bool_)
    units = np.array([move.unit for move in moves])
    for unit in range(len(constraints.units)):
        own = np.flatnonzero(units == unit)
        if not own.size:
            continue
        stay = np.zeros((len(gains), 1))
        merit = np.hstack([stay, np.maximum(gains[:, own], WORST * scale[:, None])])
        noise = chance * rng.gumbel(size=(len(gains), DRAWN, 1 + len(own)))
        pick = (merit[:, None, :] / scale[:, None, None] + noise).argmax(axis=2)
        for place, move in enumerate(own):
            chosen[:, :, move] = pick == place + 1
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class TabularThreat:
    """Types, ranges, directions, one-hot groups and relations hold, immutable columns stay, and no
    more than ``most_features`` units move (0: no limit).
    """

    constraints: RowConstraints
    most_features: int = 0

    @property
    def steps(self) -> Mask:
        """Which columns are quantities, whose change counts against the budget."""
        kinds = [feature.kind for feature in self.constraints.features]
        return np.array([kind in MOVED_BY_STEPS for kind in kinds])

    def distance(self, clean: Array, points: Array) -> Floats:
        """Return the least budget that allows each change: the largest one of a quantity.

        0 where codes alone have changed, which no budget limits.
        """
        change = np.abs(points.astype(np.float64) - clean.astype(np.float64))
        width = self.constraints.width
        share = change / np.where(width > 0, width, 1.0)
        return np.asarray(np.where(self.steps, share, 0.0).max(axis=1, initial=0.0))

    def units(self, clean: Array, points: Array) -> NDArray[np.int64]:
        """Return how many units of each row were moved."""
        count: NDArray[np.int64] = find_moved_units(self.constraints, clean, points).sum(axis=1)
        return count

    def permits(self, region: ReachableBox, points: Array) -> Mask:
        """Return which points are within reach, keep every rule, and move few enough units."""
        most = self.most_features or len(self.constraints.units)
        few = self.units(region.clean, points) <= most
        allowed: Mask = few & find_feasible_rows(self.constraints, region, points)
        return allowed


def build_tabular_threat(
    space: InputSpace, most_features: int = 0, *, whole: bool = False
) -> TabularThreat:
    """Return the rules of a space that has features.

    Where the model or the data take whole numbers only (``whole``), every quantity moves in steps
    of 1. Raises ``ValueError`` for a space without features.
    """
    return TabularThreat(
        prepare_constraints(_in_whole_steps(space) if whole else space), most_features
    )


def _in_whole_steps(space: InputSpace) -> InputSpace:
    kinds = {FeatureKind.NUMERIC: FeatureKind.INTEGER}
    features = [
        replace(feature, kind=kinds.get(feature.kind, feature.kind)) for feature in space.features
    ]
    return replace(space, features=tuple(features))


RowMask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TabularSetup:
    """The rows of ``arena`` and what an attacker may make of them.

    Under a budget ``eps`` every numeric and integer column moves by at most that share of its
    range, whatever else moves takes any code, and no more than ``most_features`` units move
    (0: no limit). Immutable columns stay, directions and relations hold.
    """

    arena: AttackSetup
    constraints: RowConstraints
    most_features: int = 0

    @property
    def rules(self) -> TabularThreat:
        """What a row may become."""
        return TabularThreat(self.constraints, self.most_features)

    @property
    def steps(self) -> RowMask:
        """Which columns are quantities, whose change counts against the budget."""
        return self.rules.steps

    def region(self, eps: float) -> ReachableBox:
        """Return how far each row may move under a budget."""
        return find_reachable_box(self.constraints, self.arena.rows, eps)

    def distance(self, clean: Array, points: Array) -> Floats:
        """Return the least budget that allows each change (``TabularThreat.distance``)."""
        return self.rules.distance(clean, points)

    def units(self, clean: Array, points: Array) -> NDArray[np.int64]:
        """Return how many units of each row were moved."""
        return self.rules.units(clean, points)


def build_tabular_setup(arena: AttackSetup, most_features: int = 0) -> TabularSetup:
    """Return the table of an arena whose space has features.

    Where the model or the data take whole numbers only, every quantity moves in steps of 1.
    """
    rules = build_tabular_threat(arena.space, most_features, whole=arena.whole)
    own = replace(arena, space=rules.constraints.space)
    return TabularSetup(own, rules.constraints, most_features)


@dataclass(slots=True, eq=False, kw_only=True)
class TabularJudge:
    """Candidates come in; those that the threat allows are scored on the target, and counted.

    ``region`` says how far each row may go. ``claimed`` marks rows that a twin called broken,
    ``queries`` counts rows scored, ``refused`` candidates that were not: they broke a relation,
    left the region or moved too many units, or repair had nothing to offer but the clean row.
    """

    table: TabularSetup
    region: ReachableBox
    standing: BestSoFar
    eps: float
    claimed: RowMask = field(init=False)
    queries: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        """Nobody has claimed anything yet."""
        self.claimed = np.zeros(len(self.region.clean), dtype=np.bool_)

    @property
    def live(self) -> Rows:
        """Rows that can move and be harmed, and that nothing within this budget has broken yet."""
        arena, unbroken = self.table.arena, ~is_within_budget(self.standing.breaking, self.eps)
        harm = arena.goal.aim(arena.labels).toward.any(axis=1)
        return np.flatnonzero(unbroken & harm & self.region.movable.any(axis=1)).astype(np.int64)

    def unbroken(self, rows: Rows) -> RowMask:
        """Return which of some rows stand."""
        stands: RowMask = ~is_within_budget(self.standing.breaking[rows], self.eps)
        return stands

    def candidates(
        self,
        rows: Rows,
        points: Floats,
        *,
        effort: RepairEffort = RepairEffort.FAST,
        wanted: Floats | None = None,
        held: RowMask | None = None,
    ) -> Array:
        """Return feasible rows near ``points``, one for each of ``rows``, or the clean row.

        Repair leaves quantities alone that are ``held`` (``[n, features]``) if it can.
        Where too many units moved, those that are ``wanted`` most (``[n, units]``, else the
        dearest moves) stay, and the others go back.
        """
        constraints, repaired_region = self.table.constraints, self.region.take(rows)
        wishes = (points != repaired_region.clean).any(axis=1)
        repaired_part = (
            repaired_region if held is None else self._holding(repaired_region, points, held)
        )
        found = repair_rows(constraints, repaired_part, points, effort=effort).points
        given_up = wishes & (found == repaired_region.clean).all(axis=1)
        if held is not None and given_up.any():
            repaired_part, repaired_wish = repaired_region.take(given_up), points[given_up]
            found[given_up] = repair_rows(
                constraints, repaired_part, repaired_wish, effort=effort
            ).points
            given_up = wishes & (found == repaired_region.clean).all(axis=1)
        self.refused += int(given_up.sum())
        table, region = self.table, self.region.take(rows)
        over = np.flatnonzero(table.units(region.clean, found) > table.most_features)
        if not table.most_features or not over.size:
            return found
        part, chosen = region.take(over), found[over]
        changed = find_moved_units(table.constraints, part.clean, chosen)
        value = (
            price_moves(table.constraints, part.clean, chosen) if wanted is None else wanted[over]
        )
        order = np.argsort(np.where(changed, -value, np.inf), axis=1, kind="stable")
        kept = np.zeros_like(changed)
        np.put_along_axis(kept, order[:, : table.most_features], values=True, axis=1)
        columns = units_to_columns(table.constraints, kept & changed)
        wish = np.where(columns, points[over], part.exact)
        found[over] = repair_rows(
            table.constraints, part.pinned(~columns), wish, effort=effort
        ).points
        return found

    def _holding(self, region: ReachableBox, points: Floats, held: RowMask) -> ReachableBox:
        """Return the region in which the quantities that are held cannot but be what they are."""
        whole = integer_columns(self.table.constraints, region.clean)
        value = np.clip(np.where(whole, np.rint(points), points), region.lower, region.upper)
        held = held & self.table.steps
        lower, upper = (np.where(held, value, end) for end in (region.lower, region.upper))
        return ReachableBox(region.clean, lower, upper)

    def submit(self, rows: Rows, candidates: Array) -> tuple[RowMask, Floats]:
        """Score candidates on the target, at most one for each row.

        Returns which reach the goal, and each one's margin: minus infinity where refused.
        """
        moves = (candidates != self.region.clean[rows]).any(axis=1)
        allowed = moves & self.table.rules.permits(self.region.take(rows), candidates)
        self.refused += int((moves & ~allowed).sum())
        reached, margin = np.zeros(len(rows), dtype=np.bool_), np.full(len(rows), -np.inf)
        if allowed.any():
            judged = rows[allowed], candidates[allowed]
            reached[allowed], margin[allowed] = self._hear(*judged)
        return reached, margin

    def clean_margin(self, rows: Rows) -> Floats:
        """Return how far the clean rows are beyond the line, asking the target about each."""
        arena = self.table.arena
        scores, _ = self.ask(self.region.clean[rows])
        return arena.goal.margin(scores, arena.labels[rows])

    def claims(self, rows: Rows, probabilities: Floats) -> RowMask:
        """Return for which rows the twin reaches the goal, and remember them."""
        arena = self.table.arena
        reached = arena.goal.reached(probabilities, arena.labels[rows])
        self.claimed[rows[reached]] = True
        return reached

    def _hear(self, rows: Rows, candidates: Array) -> tuple[RowMask, Floats]:
        arena = self.table.arena
        scores, probabilities = self.ask(candidates)
        distance = self.table.distance(self.region.clean[rows], candidates)
        labels = arena.labels[rows]
        heard = judge_answers(scores, probabilities, arena.goal, labels, candidates, distance)
        self.standing.remember(rows, heard)
        return heard.reached, heard.margin

    def ask(self, candidates: Array) -> tuple[Floats, Floats]:
        """Return the target's scores and probabilities, averaged where it answers at random."""
        arena = self.table.arena
        self.queries += arena.repeats * len(candidates)
        return query_target(arena.model, candidates, arena.repeats)


Tick = Callable[[], None]
FRESH, LEAST_FRESH, MOST_FRESH = 0.15, 3, 20
"""The share of the queries that go to points anywhere in reach, and how many these are."""
FIRST = 0.2
"""The share of the queries that is spent before units are moved alone: most rows need no more."""
PROBED = 0.5
"""The largest share of the queries that goes to units moved alone."""
ASIDE = 2
"""Queries beside those: the clean row, and all moves that helped at once."""
GUESSES = 5
"""How many combinations of moves are tried for what each of them brought alone."""
LEAP, LEAP_EVERY = 3, 3
"""How many units every third late move takes: relations can bar the way there in small steps."""
HELD = 0.5
"""How often repair must make room for what was just moved, and not undo a part of it."""
ANYWHERE = (0.1, 0.1, 0.8, 0.0)
TO_LIMITS = (0.4, 0.4, 0.1, 0.1)
"""How likely a quantity goes to its lower limit, its upper one, anywhere between, or back."""


@dataclass(frozen=True, slots=True)
class TabularSearch:
    """Looks anywhere in reach, then walks on from the best point of each row.

    It moves a random share of the units, fewer and fewer (the schedule of Square Attack,
    Andriushchenko et al. 2020), and stays where the margin does not fall. On the way it moves each
    unit alone, if the queries allow, and then all those together that helped.
    """

    queries: int

    needs_twin = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its queries."""
        return f"search, {self.queries} queries"

    @property
    def rounds(self) -> int:
        """One a query."""
        return self.queries

    def run(self, judge: TabularJudge, _: Twin | None, rng: np.random.Generator, tick: Tick) -> int:
        """Attack the rows that stand; returns how many gradients were taken: none."""
        hunt = _TabularSearchState(judge, judge.live, rng, tick)
        moves = list_single_moves(judge.table.constraints, judge.region.take(hunt.rows))
        fresh = max(LEAST_FRESH, min(MOST_FRESH, round(FRESH * self.queries)))
        fresh = min(fresh, self.queries)
        for _query in range(fresh):
            hunt.wander(1.0, ANYWHERE)
        leap = min(1.0, LEAP / len(judge.table.constraints.units))
        spent, probes = fresh, len(moves) + ASIDE + GUESSES
        if moves and probes <= PROBED * self.queries:
            for spent in range(fresh, max(fresh, round(FIRST * self.queries))):
                hunt.wander(square_share(spent, self.queries), TO_LIMITS)
            hunt.probe(moves)
            spent = max(fresh, round(FIRST * self.queries)) + probes
        for query in range(spent, self.queries):
            leaps = query % LEAP_EVERY == 0
            hunt.wander(leap if leaps else square_share(query, self.queries), TO_LIMITS)
        return 0


@dataclass(slots=True, eq=False)
class _TabularSearchState:
    """Rows that stand, and the best point of each so far."""

    judge: TabularJudge
    rows: Rows
    rng: np.random.Generator
    tick: Tick
    best: Floats = field(init=False)
    margin: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the best that is known of each row."""
        self.best = self.judge.standing.crafted[self.rows].astype(np.float64)
        self.margin = np.full(len(self.rows), -np.inf)

    def wander(self, part: float, odds: Odds) -> None:
        """Move a share of the units at random."""
        region, constraints = self.judge.region.take(self.rows), self.judge.table.constraints
        points = scatter_units(constraints, region, self.best, part, odds, self.rng)
        holds = bool(constraints.relations) and self.rng.random() < HELD
        self._try(points, held=(points != self.best) if holds else None)

    def probe(self, moves: list[UnitMove]) -> None:
        """Move each unit of the clean rows alone, then those together that helped."""
        judge, constraints = self.judge, self.judge.table.constraints
        if not len(self.rows):
            return
        region, base = judge.region, np.zeros(len(judge.region.clean))
        base[self.rows] = judge.clean_margin(self.rows)
        gains = np.full((len(base), len(moves)), -np.inf)
        for index, move in enumerate(moves):
            rows, part = self.rows, region.take(self.rows)
            gains[rows, index] = self._try(apply_move(move, constraints, part, part.exact))
        if not len(self.rows):
            return
        gains -= base[:, None]
        part = region.take(self.rows)
        self._try(
            combine_best_moves(moves, constraints, part, gains[self.rows]), effort=RepairEffort.FULL
        )
        rows, part = self.rows, region.take(self.rows)
        guessed = propose_combinations(moves, constraints, part, gains[rows], GUESSES, self.rng)
        for points in guessed:
            self._try(points[np.isin(rows, self.rows)])

    def _try(
        self, points: Floats, effort: RepairEffort = RepairEffort.FAST, held: RowMask | None = None
    ) -> Floats:
        """Ask about one point a row, keep the better, drop what broke; returns the margins."""
        if not len(self.rows):
            return np.zeros(0)
        self.tick()
        judge = self.judge
        wanted = self.rng.random((len(self.rows), len(judge.table.constraints.units)))
        candidates = judge.candidates(self.rows, points, effort=effort, wanted=wanted, held=held)
        _, margin = judge.submit(self.rows, candidates)
        better = margin >= self.margin
        self.best = np.where(better[:, None], candidates, self.best)
        self.margin = np.where(better, margin, self.margin)
        keep = judge.unbroken(self.rows)
        self.rows, self.best, self.margin = self.rows[keep], self.best[keep], self.margin[keep]
        return margin
