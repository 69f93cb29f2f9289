"""Minimum-norm attacks: FMN, Sigma-zero, and a sparse exchange of perturbed coordinates.

Sources: Fast Minimum-Norm attack (Pintor et al. 2021, arXiv 2102.12827); Sigma-zero (Cina et al.
2025, arXiv 2402.01879). Sparse-RS (Croce et al. 2022, arXiv 2006.12834) draws coordinates at
random and queries scores; ``SparseExchange`` selects them by the twin's gradient.
"""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.evasion.apgd import select_aim
from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.losses import LossAim, logit_difference, score_lead
from auditor.attacks.evasion.norms import (
    TINY,
    Norm,
    broadcast_rows,
    cache_sized_slices,
    clamp,
    fast_sign,
    flatten_rows,
    free_coordinates,
    mark_largest,
    row_norms,
    where_rows,
)
from auditor.attacks.evasion.perturbation_ball import PerturbationBall, shrink_to_radius
from auditor.domain.tasks import Floats


@dataclass(frozen=True, slots=True, eq=False)
class MinimumNormWalks:
    """The walks that an attack takes in turn, and the nearest success of each row so far.

    ``whole`` is the aim that counts and ``aims`` that of each walk; ``fresh`` says for which rows
    it is the first walk to its classes. ``best`` is the nearest success, or the clean row, and
    ``length`` the norm of its change (infinite: none). ``low`` and ``high`` are how far each
    coordinate may change, in ranges.
    """

    ball: PerturbationBall
    whole: LossAim
    aims: tuple[LossAim, ...]
    fresh: tuple[Mask, ...]
    best: Floats
    length: Floats
    low: Floats
    high: Floats
    walk: int = 0

    @classmethod
    def begin(cls, ground: AttackContext, walks: int, *, untargeted: bool) -> "MinimumNormWalks":
        """Begin with one walk a class, the likeliest class first, and then from the first again.

        ``untargeted``: the first walk goes to any harmful class.
        """
        clean = ground.ball.clean.astype(np.float64)
        low, high = ground.ball.reach()
        places = range(walks - untargeted)
        aims = [ground.aim] if untargeted else []
        fresh = [np.ones(len(clean), dtype=np.bool_)] if untargeted else []
        # With one class only, a walk to it is the same as to any.
        known = np.where(_classes(ground) == 1, int(untargeted), 0)
        return cls(
            ball=ground.ball,
            whole=ground.aim,
            aims=(*aims, *(_towards(ground, place) for place in places)),
            fresh=(*fresh, *(place + known < _classes(ground) for place in places)),
            best=clean,
            length=np.full(len(clean), np.inf),
            low=low,
            high=high,
        )

    @property
    def aim(self) -> LossAim:
        """The aim of the walk that is on."""
        return self.aims[self.walk]

    @property
    def last(self) -> bool:
        """Whether no walk comes after this one."""
        return self.walk + 1 >= len(self.aims)

    def further(self) -> "MinimumNormWalks":
        """Return the quest on its next walk."""
        return replace(self, walk=self.walk + 1)

    def hear(self, answer: QueryResult) -> tuple["MinimumNormWalks", Mask, Floats]:
        """Return the quest after an answer, which points succeed, and the norm of their change."""
        points = answer.points
        length = row_norms(self.ball.change(points), self.ball.norm, self.ball.channels)
        found = answer.reached | (score_lead(answer.logits, self.whole) > 0)
        nearer = found & (length < self.length)
        if not nearer.any():
            return self, found, length
        best = where_rows(nearer, points, self.best)
        return replace(self, best=best, length=np.where(nearer, length, self.length)), found, length

    def start(self, rng: np.random.Generator, share: float) -> Floats:
        """Return where a walk starts: no change, or, on a way known already, a random one.

        The random one is as long as a ``share`` of the way to the best success.
        """
        ball, fresh = self.ball, self.fresh[self.walk]
        if fresh.all():
            return np.zeros(self.best.shape)
        noise = np.where(ball.scale > 0, rng.normal(size=self.best.shape), 0.0)
        if ball.norm is Norm.L0:
            length, radius = np.ones(len(fresh)), np.full(len(fresh), share)
        else:
            length = np.maximum(row_norms(noise, ball.norm), TINY)
            radius = share * np.minimum(self.length, ball.eps)
        change = broadcast_rows(~fresh * radius / length, noise) * noise
        return np.asarray(np.clip(change, self.low, self.high))

    def take(self, keep: Mask) -> "MinimumNormWalks":
        """Return the quest for some rows only."""
        return replace(
            self,
            ball=self.ball.take(keep),
            whole=self.whole.take(keep),
            aims=tuple(aim.take(keep) for aim in self.aims),
            fresh=tuple(rows[keep] for rows in self.fresh),
            best=self.best[keep],
            length=self.length[keep],
            low=self.low[keep],
            high=self.high[keep],
        )


def _classes(ground: AttackContext) -> Floats:
    return np.asarray(np.maximum(ground.aim.toward.sum(axis=1), 1))


def _towards(ground: AttackContext, place: int) -> LossAim:
    """Return each row's aim at its class of a rank, beginning again after its last one."""
    classes = _classes(ground)
    ranks = place % classes + 1
    toward = ground.aim.toward
    for rank in np.unique(ranks):
        toward = np.where((ranks == rank)[:, None], select_aim(ground, int(rank)).toward, toward)
    return LossAim(toward, ground.aim.away)


FIRST_SHRINK, LAST_SHRINK = 0.1, 1e-4
"""By which share of itself the radius moves, at first and at last (section 3.1)."""
LAST_STEP = 0.01
"""The last step as a share of the first one; both fall by a cosine."""
STRIDE = {Norm.L1: 0.5}
"""The first step as a share of the radius where that is not 1."""
SPARSER = 1.5
"""An ``l1`` step moves as many coordinates as the change has, divided by this."""
START = 0.5
"""How far from the clean row a further walk to the same class starts, as a share of the best."""
DUAL = {Norm.LINF: Norm.L1, Norm.L2: Norm.L2, Norm.L1: Norm.LINF, Norm.L0: Norm.L2}
"""How a slope is measured: for ``l0``, of which it says nothing, by its Euclidean length."""


@dataclass(frozen=True, slots=True, eq=False)
class FastMinimumNormState:
    """Where each row's walk stands: ``change`` in ranges, ``radius`` the ball it is kept in.

    ``own`` is the norm of the nearest success of this walk (infinite: none).
    """

    quest: MinimumNormWalks
    rng: np.random.Generator
    change: Floats
    radius: Floats
    own: Floats
    iteration: int
    steps: int

    @property
    def best(self) -> Floats:
        """The nearest success of each row, or the clean row."""
        return self.quest.best

    def ask(self) -> Query:
        """Ask about the point that each walk has reached; more places than allowed may move."""
        ball = self.quest.ball
        return query_each_row(ball.at(self.change), held=ball.norm is not Norm.L0)

    def tell(self, answer: QueryResult) -> "FastMinimumNormState":
        """Move the radius towards the line between success and failure; step along the slope."""
        quest, found, length = self.quest.hear(answer)
        value, cotangent = logit_difference(answer.logits, quest.aim)
        slope = quest.ball.in_ranges(answer.pull(cotangent))
        own = np.where(found, np.minimum(length, self.own), self.own)
        state = replace(self, quest=quest, own=own)
        dual = np.maximum(row_norms(slope, DUAL[quest.ball.norm]), TINY)
        radius = state._next_radius(found, value, dual, length)  # noqa: SLF001 -- its own next state
        state = replace(
            state,
            radius=radius,
            change=state._step(slope, dual, radius),  # noqa: SLF001 -- its own next state
            iteration=self.iteration + 1,
        )
        if state.iteration < self.steps or quest.last:
            return state
        return state._begin(quest.further())  # noqa: SLF001 -- its own next state

    def take(self, keep: Mask) -> "FastMinimumNormState":
        """Return the walk of some rows only."""
        return replace(
            self,
            quest=self.quest.take(keep),
            change=self.change[keep],
            radius=self.radius[keep],
            own=self.own[keep],
        )

    def _begin(self, quest: MinimumNormWalks) -> "FastMinimumNormState":
        """Begin the next walk in a ball as large as the best success is far."""
        return replace(
            self,
            quest=quest,
            change=quest.start(self.rng, START),
            radius=np.minimum(quest.length, quest.ball.eps),
            own=np.full(len(self.own), np.inf),
            iteration=0,
        )

    def _next_radius(self, found: Mask, value: Floats, dual: Floats, length: Floats) -> Floats:
        """Shrink the ball of a success, widen that of a failure.

        Before the first success the line is estimated by the slope, as where it is a plane, and
        ``dual`` is the steepest way there. What lies beyond the best success is of no use.
        """
        rate = LAST_SHRINK + (FIRST_SHRINK - LAST_SHRINK) * self._cosine()
        widest = np.minimum(self.quest.length, self.quest.ball.eps)
        if self.quest.ball.norm is Norm.L0:
            less = np.minimum(self.radius - 1, np.floor(self.radius * (1 - rate)))
            less = np.maximum(np.minimum(less, self.own), 1)
            more = np.maximum(self.radius + 1, np.floor(self.radius * (1 + rate)))
            return np.where(found, less, more if self.quest.walk == 0 else np.minimum(more, widest))
        less = np.minimum(self.radius * (1 - rate), self.own)
        with np.errstate(over="ignore"):  # where nothing slopes, the line may be anywhere
            plane = length + np.abs(value) / dual
        more = np.where(np.isfinite(self.own), self.radius * (1 + rate), plane)
        return np.where(
            found, less, np.minimum(more, self.quest.ball.eps if self.quest.walk == 0 else widest)
        )

    def _step(self, slope: Floats, dual: Floats, radius: Floats) -> Floats:
        """Return the next change: a step along the slope, as long as a share of the radius."""
        ball, low, high = self.quest.ball, self.quest.low, self.quest.high
        share = STRIDE.get(ball.norm, 1.0) * (LAST_STEP + (1 - LAST_STEP) * self._cosine())
        if ball.norm is Norm.L1:
            # The step of `l1` norm 1 along the steepest coordinates that are free to move. The
            # Euclidean step moves all of them, and the ball takes most of that back. As many move
            # as the change has, divided by `SPARSER` (Croce & Hein 2021, arXiv 2103.01208, section
            # 4), and no more than the root of all.
            way = np.empty_like(slope)
            for part in cache_sized_slices(slope):
                way[part] = _sparse_part(slope[part], self.change[part], low[part], high[part])
        elif ball.norm is Norm.LINF:
            way = np.sign(slope)
        else:
            way = slope / broadcast_rows(dual, slope)
        reach = np.ones(len(radius)) if ball.norm is Norm.L0 else radius
        way *= broadcast_rows(share * reach, slope)
        way += self.change
        return shrink_to_radius(way, radius, low, high, ball.norm, ball.channels)

    def _cosine(self) -> float:
        return float((1 + np.cos(np.pi * self.iteration / max(self.steps, 1))) / 2)


def _sparse_part(slope: Floats, change: Floats, low: Floats, high: Floats) -> Floats:
    steep = flatten_rows(np.abs(slope) * free_coordinates(slope, change, low, high))
    rows, most = steep.shape[0], np.sqrt(steep.shape[1])
    moved = np.bincount(np.flatnonzero(change != 0) // max(1, steep.shape[1]), minlength=rows)
    count = np.where(moved > 0, np.clip(moved / SPARSER, 1.0, most), most)
    chosen = mark_largest(steep, count)
    chosen &= steep > 0
    places = np.flatnonzero(chosen)
    worth = steep.reshape(-1).take(places)
    own = places // max(1, steep.shape[1])
    total = np.bincount(own, worth, rows)
    way = np.zeros_like(slope)
    signed = np.copysign(worth / total[own], slope.reshape(-1).take(places))
    way.reshape(-1)[places] = signed
    return way


@dataclass(frozen=True, slots=True)
class FastMinimumNorm:
    """Walks along the decision line of the twin towards the clean row, in any norm.

    The first walk goes to any harmful class; each further one to the next likeliest class alone,
    no farther than the best success so far, and from random points where there is no class left.
    """

    steps: int
    walks: int = 1

    source = AttackFeedback.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack, its walks and its steps."""
        walks = f"{self.walks} x " if self.walks > 1 else ""
        return f"fmn, {walks}{self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step."""
        return self.walks * self.steps

    @property
    def queries(self) -> int:
        """The target is asked where the twin calls a point broken and nearer than any before."""
        return self.rounds + 1

    @property
    def passes(self) -> int:
        """One a step."""
        return self.rounds

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> FastMinimumNormState:
        """Begin at the clean rows; only a walk to classes walked to before draws at random."""
        quest = MinimumNormWalks.begin(ground, self.walks, untargeted=True)
        ball, rows = quest.ball, len(quest.length)
        return FastMinimumNormState(
            quest=quest,
            rng=rng,
            change=np.zeros(ball.clean.shape),
            radius=np.full(rows, 1.0 if ball.norm is Norm.L0 else ball.eps),
            own=np.full(rows, np.inf),
            iteration=0,
            steps=self.steps,
        )


SOFTNESS = 1e-3
"""``sigma``: squared changes far above it count as one place, far below as none (equation 3)."""
FIRST_THRESHOLD, THRESHOLD_STEP = 0.3, 0.01
"""Changes below the threshold are dropped; it moves by this share of the step (algorithm 1)."""
SIGMA_ZERO_FIRST_STEP, SIGMA_ZERO_LAST_STEP = 4.0, 0.1
"""The paper begins with 1; a longer step reaches the ends of a range at once, where few places
bring most, and needs a third of the steps for as few places."""
DECAYS = (0.9, 0.999)
STILL = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class SigmaZeroState:
    """Where each row's descent stands; ``change``, ``threshold`` and two moments in ranges."""

    quest: MinimumNormWalks
    rng: np.random.Generator
    change: Floats
    first: Floats
    second: Floats
    threshold: Floats
    iteration: int
    steps: int

    @property
    def best(self) -> Floats:
        """The success with the fewest places of each row, or the clean row."""
        return self.quest.best

    def ask(self) -> Query:
        """Ask about the point that each descent has reached; a random start is too dense."""
        return query_each_row(self.quest.ball.at(self.change), held=self.iteration > 0)

    def tell(self, answer: QueryResult) -> "SigmaZeroState":
        """Descend along the slope of the loss and of the soft count; drop what is small."""
        quest, found, _ = self.quest.hear(answer)
        value, cotangent = logit_difference(answer.logits, quest.aim)
        slope = quest.ball.in_ranges(answer.pull((value < 0)[:, None] * cotangent))
        state = replace(self, quest=quest)._descend(found, slope)  # noqa: SLF001 -- its own next state
        if state.iteration < self.steps or quest.last:
            return state
        quest = quest.further()
        return _begin(quest, self.rng, self.steps)

    def take(self, keep: Mask) -> "SigmaZeroState":
        """Return the descent of some rows only."""
        return replace(
            self,
            quest=self.quest.take(keep),
            change=self.change[keep],
            first=self.first[keep],
            second=self.second[keep],
            threshold=self.threshold[keep],
        )

    def _descend(self, found: Mask, slope: Floats) -> "SigmaZeroState":
        ball, count = self.quest.ball, self.iteration + 1
        descent = _soft_slope(self.change, ball.channels) - slope
        descent /= broadcast_rows(np.maximum(row_norms(descent, Norm.LINF), TINY), descent)
        keep, keep_square = DECAYS
        first = keep * self.first + (1 - keep) * descent
        second = keep_square * self.second + (1 - keep_square) * descent * descent
        spread = np.sqrt(second / (1 - keep_square**count)) + STILL
        moved = self.change - self._step(self.iteration) / (1 - keep**count) * first / spread
        turn = THRESHOLD_STEP * self._step(count)
        threshold = np.clip(self.threshold + np.where(found, turn, -turn), 0.0, 1.0)
        # The change without places of which no coordinate reaches the threshold
        change = clamp(moved, self.quest.low, self.quest.high)
        largest = np.abs(change)
        if ball.channels is not None:
            largest = largest.max(axis=1 + ball.channels, keepdims=True)
        kept = change * (largest >= broadcast_rows(threshold, change))
        return replace(
            self,
            change=_steepest(kept, first, ball),
            first=first,
            second=second,
            threshold=threshold,
            iteration=count,
        )

    def _step(self, iteration: int) -> float:
        """Return the length of a step, which falls by a cosine from the second one on."""
        cosine = (1 + np.cos(np.pi * max(iteration - 1, 0) / self.steps)) / 2
        return float(SIGMA_ZERO_LAST_STEP + (SIGMA_ZERO_FIRST_STEP - SIGMA_ZERO_LAST_STEP) * cosine)


def _begin(quest: MinimumNormWalks, rng: np.random.Generator, steps: int) -> SigmaZeroState:
    """Begin a descent of a quest: at the clean rows, or at random where the way is known."""
    nothing = np.zeros(quest.best.shape)
    return SigmaZeroState(
        quest=quest,
        rng=rng,
        change=quest.start(rng, FIRST_THRESHOLD),
        first=nothing,
        second=nothing,
        threshold=np.full(len(nothing), FIRST_THRESHOLD),
        iteration=0,
        steps=steps,
    )


def _soft_slope(change: Floats, channels: int | None) -> Floats:
    """Return the slope of the mean of ``s / (s + sigma)`` over places, ``s`` their squared size."""
    square = change * change
    places = change[0].size
    if channels is not None:
        places //= change.shape[1 + channels]
        square = square.sum(axis=1 + channels, keepdims=True)
    return np.asarray(2 * SOFTNESS / places * change / (square + SOFTNESS) ** 2)


def _steepest(change: Floats, descent: Floats, ball: PerturbationBall) -> Floats:
    """Return the change in as many places as the ball allows: those that lower the loss most.

    The paper knows no such limit; early changes are dense and of equal size, so that the nearest
    change of few places would be an arbitrary one.
    """
    channels = ball.channels
    if (row_norms(change, Norm.L0, channels) <= ball.eps).all():
        return change
    gain = np.maximum(-change * descent, 0.0)
    if channels is not None:
        gain = gain.sum(axis=1 + channels, keepdims=True)
    kept = mark_largest(flatten_rows(gain), np.full(len(gain), np.floor(ball.eps)))
    return change * kept.reshape(gain.shape)


@dataclass(frozen=True, slots=True)
class SigmaZero:
    """Descends a soft count of changed places on the twin until the fewest are left.

    The first descent goes to any harmful class, each further one to the next likeliest class.
    """

    steps: int
    walks: int = 1

    source = AttackFeedback.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack, its descents and its steps."""
        walks = f"{self.walks} x " if self.walks > 1 else ""
        return f"sigma-zero, {walks}{self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step."""
        return self.walks * self.steps

    @property
    def queries(self) -> int:
        """The target is asked where the twin calls a point broken and nearer than any before."""
        return self.rounds + 1

    @property
    def passes(self) -> int:
        """One a step."""
        return self.rounds

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> SigmaZeroState:
        """Begin at the clean rows; only a descent to classes known already draws at random."""
        return _begin(MinimumNormWalks.begin(ground, self.walks, untargeted=True), rng, self.steps)


NOISE = 0.3
"""Standard deviation of the logarithm by which a place's worth is changed after a refusal."""
DROPPED = 0.1
"""The share of places that a success loses at first; it falls to one place at last."""


@dataclass(frozen=True, slots=True, eq=False)
class SparseExchangeState:
    """Where each row's search stands: ``base`` is the change in ranges that it goes on from.

    ``value`` is how far the base is ahead (minus infinity: the next answer is taken, whatever it
    says), ``slope`` the twin's there in ranges, ``tried`` the change that is asked about.
    """

    quest: MinimumNormWalks
    rng: np.random.Generator
    base: Floats
    value: Floats
    slope: Floats
    tried: Floats
    iteration: int
    steps: int

    @property
    def best(self) -> Floats:
        """The success with the fewest places of each row, or the clean row."""
        return self.quest.best

    def ask(self) -> Query:
        """Ask about the last proposal."""
        return query_each_row(self.quest.ball.at(self.tried))

    def tell(self, answer: QueryResult) -> "SparseExchangeState":
        """Go on from a proposal that is ahead of the base, or that succeeds in as few places."""
        quest, found, length = self.quest.hear(answer)
        value, cotangent = logit_difference(answer.logits, quest.whole)
        slope = quest.ball.in_ranges(answer.pull(cotangent))
        arrived = found & (length <= self.quest.length)
        taken = arrived | (value > self.value)
        heard = replace(
            self,
            quest=quest,
            base=where_rows(taken, self.tried, self.base),
            # From a success on, what has fewer places is taken even where it falls behind.
            value=np.where(arrived, -np.inf, np.where(taken, value, self.value)),
            slope=where_rows(taken, slope, self.slope),
            iteration=self.iteration + 1,
        )
        return replace(heard, tried=heard._proposal(~taken))  # noqa: SLF001 -- its own next state

    def take(self, keep: Mask) -> "SparseExchangeState":
        """Return the search of some rows only."""
        return replace(
            self,
            quest=self.quest.take(keep),
            base=self.base[keep],
            value=self.value[keep],
            slope=self.slope[keep],
            tried=self.tried[keep],
        )

    def _proposal(self, refused: Mask) -> Floats:
        """Return the places worth most, each at the end of its range that the slope points to.

        A place that is changed already counts twice: what it brings, and what going back costs.
        Where the last proposal was refused the worth is shaken, so that another one comes.
        """
        base, slope = self.base, self.slope
        way = fast_sign(slope)
        end = way * np.maximum(way * self.quest.high, way * self.quest.low) + base * (way == 0)
        worth = np.maximum(slope * end, slope * base) + np.abs(slope * base)
        # Of places worth nothing, those changed already stay first.
        worth += TINY * (base != 0)
        channels = self.quest.ball.channels
        if channels is not None:
            worth = worth.sum(axis=1 + channels, keepdims=True)
        worth *= np.exp(NOISE * broadcast_rows(refused, worth) * self.rng.normal(size=worth.shape))
        # How many places each row may change next: fewer than its best success has
        share = DROPPED * (1 - self.iteration / self.steps)
        length = self.quest.length
        known = np.where(np.isfinite(length), length, 0.0)
        fewer = np.maximum(known - np.maximum(np.floor(share * known), 1), 1)
        kept = mark_largest(
            flatten_rows(worth),
            np.where(known > 0, np.minimum(fewer, self.quest.ball.eps), self.quest.ball.eps),
        ).reshape(worth.shape)
        return np.asarray(end * kept)


@dataclass(frozen=True, slots=True)
class SparseExchange:
    """Searches on the twin, from the best that earlier attacks found, for fewer places (``l0``)."""

    steps: int

    source = AttackFeedback.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack and its steps."""
        return f"exchange, {self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step."""
        return self.steps

    @property
    def queries(self) -> int:
        """The target is asked where the twin calls a point broken and nearer than any before."""
        return self.rounds + 1

    @property
    def passes(self) -> int:
        """One a step."""
        return self.rounds

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> SparseExchangeState:
        """Begin at the nearest success of earlier attacks, or at their strongest failure."""
        quest = MinimumNormWalks.begin(ground, 1, untargeted=True)
        nothing = np.zeros(quest.best.shape)
        change = nothing if ground.start is None else quest.ball.change(ground.start)
        if ground.start is not None and ground.broken is not None:
            # The twin may not see a success of the target.
            length = np.where(
                ground.broken, row_norms(change, Norm.L0, quest.ball.channels), quest.length
            )
            best = np.where(broadcast_rows(ground.broken, nothing), ground.start, quest.best)
            quest = replace(quest, best=best, length=length)
        return SparseExchangeState(
            quest=quest,
            rng=rng,
            base=change,
            value=np.full(len(nothing), -np.inf),
            slope=nothing,
            tried=change,
            iteration=0,
            steps=self.steps,
        )
