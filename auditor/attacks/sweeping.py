"""One attack at growing budgets: what broke at one counts, and starts the search, at the next."""

from dataclasses import dataclass, field

import numpy as np

from auditor.attacks.crafting import Attack
from auditor.attacks.frame import Frame, Mask, Rows, Standing
from auditor.attacks.losses import Labels
from auditor.attacks.threats import Threat, linf_threat
from auditor.domain.subjects import Model, Progress
from auditor.domain.tasks import Array, Classification, Floats, InputSpace

NUMBERS_AT_ONCE = 2**24
MOST_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Arena:
    """What is attacked: rows with labels and the probabilities that the target gave them clean.

    ``whole`` says that the model takes whole numbers only.
    """

    model: Model
    task: Classification
    space: InputSpace
    rows: Array
    labels: Labels
    probabilities: Floats
    whole: bool = False

    def threat(self, eps: float) -> Threat:
        """Return the L-infinity threat of one budget."""
        return linf_threat(self.space, eps, self.rows.shape[1:], whole=self.whole)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sweep:
    """What an attack found, as the target scored it.

    ``probabilities`` is ``[budgets, n, classes]`` of each row's strongest candidate at each budget;
    ``crafted`` holds the candidate that first broke a row, or the strongest one, ``distance`` its
    largest change as a share of the range, ``breaking`` the budget at which the row first broke
    (infinite: at none; 0: wrong without any attack). The counts, ``movable`` of the
    coordinates that may move, have one entry a budget.
    """

    budgets: tuple[float, ...]
    probabilities: Floats
    crafted: Array
    distance: Floats
    breaking: Floats
    movable: tuple[int, ...]
    phantoms: tuple[int, ...]
    queries: tuple[int, ...]
    passes: tuple[int, ...]
    refused: int


def sweep(
    attack: Attack, arena: Arena, budgets: tuple[float, ...], seed: int, progress: Progress
) -> Sweep:
    """Attack all rows at each budget, the smallest first, some rows at a time.

    The same arguments give the same result. Raises ``CancelledError`` through ``progress``.
    """
    parts = _parts(arena)
    total = len(parts) * len(budgets) * attack.ticks
    ticker = _Ticker(progress, total)
    wrong = arena.task.decide(arena.probabilities) != arena.labels
    found = []
    for index, rows in enumerate(parts):
        rng = np.random.default_rng([seed, index])
        found.append(_sweep_part(attack, arena, budgets, rows, wrong[rows], rng, ticker))
    return _join(found, arena, budgets)


@dataclass(slots=True)
class _Ticker:
    """Counts iterations over all parts and budgets, and tells the audit.

    A run that needs fewer than its share is rounded up when it ends.
    """

    progress: Progress
    total: int
    done: int = 0
    note: str = ""

    def __call__(self) -> None:
        self.reach(self.done + 1)

    def reach(self, done: int) -> None:
        """Say that ``done`` iterations are behind us."""
        self.done = min(done, self.total)
        self.progress(self.done, self.total, self.note)


@dataclass(slots=True, eq=False)
class _Part:
    """What came of some of the rows."""

    standing: Standing
    probabilities: list[Floats] = field(default_factory=list)
    phantoms: list[int] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    refused: int = 0

    def note(self, frame: Frame, passes: int) -> None:
        """Write down what one budget brought and cost."""
        self.passes.append(passes)
        self.queries.append(frame.queries)
        self.phantoms.append(int((frame.claimed & ~self.standing.broken).sum()))
        self.probabilities.append(self.standing.probabilities.copy())
        self.refused += frame.refused


def _sweep_part(  # noqa: PLR0913, PLR0917 -- a part of one sweep, known to nobody else
    attack: Attack,
    arena: Arena,
    budgets: tuple[float, ...],
    rows: Rows,
    wrong: Mask,
    rng: np.random.Generator,
    ticker: _Ticker,
) -> _Part:
    clean, labels = arena.rows[rows], arena.labels[rows]
    part = _Part(Standing.clean(clean, arena.probabilities[rows], wrong, labels))
    before = 0.0
    for eps in budgets:
        ticker.note = f"eps {eps:g}"
        end = ticker.done + attack.ticks
        frame = Frame(
            model=arena.model,
            task=arena.task,
            threat=arena.threat(eps),
            clean=clean,
            labels=labels,
            standing=part.standing,
        )
        stretch = eps / before if before else 0.0
        moves = frame.threat.movable.any()
        part.note(frame, attack.run(frame, stretch, rng, ticker) if moves else 0)
        ticker.reach(end)
        before = eps
    return part


def _parts(arena: Arena) -> list[Rows]:
    size = max(1, int(np.prod(arena.rows.shape[1:])))
    at_once = min(max(NUMBERS_AT_ONCE // size, 1), MOST_ROWS_AT_ONCE)
    count = len(arena.rows)
    return [
        np.arange(first, min(first + at_once, count), dtype=np.int64)
        for first in range(0, count, at_once)
    ]


def _join(parts: list[_Part], arena: Arena, budgets: tuple[float, ...]) -> Sweep:
    crafted = np.concatenate([part.standing.crafted for part in parts])
    threats = [arena.threat(eps) for eps in budgets]
    return Sweep(
        budgets=budgets,
        probabilities=np.concatenate([np.stack(part.probabilities) for part in parts], axis=1),
        crafted=crafted,
        distance=threats[-1].distance(arena.rows, crafted),
        breaking=np.concatenate([part.standing.breaking for part in parts]),
        movable=tuple(int(threat.movable.sum()) for threat in threats),
        phantoms=_totals([part.phantoms for part in parts]),
        queries=_totals([part.queries for part in parts]),
        passes=_totals([part.passes for part in parts]),
        refused=sum(part.refused for part in parts),
    )


def _totals(counts: list[list[int]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*counts, strict=True))
