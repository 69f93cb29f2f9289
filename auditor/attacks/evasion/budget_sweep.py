"""Runs an attack suite at growing perturbation budgets, in parts that can be saved and resumed.

A success at one budget counts at every larger budget.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import numpy as np

from auditor.attacks.evasion.attack_loop import AttackLoop
from auditor.attacks.evasion.attack_protocol import EvasionAttack
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.judge import AttackJudge, BestSoFar, Mask, Rows
from auditor.attacks.evasion.norms import broadcast_rows
from auditor.attacks.evasion.query_costs import BISECTION, QueryCost, SweepResult, sum_costs
from auditor.attacks.evasion.suite_parser import CLIMBED, AttackSuite, build_climb
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.audit_checkpoint import AuditCheckpoint, NoCheckpoint
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.evidence import Evidence
from auditor.domain.row_limits import ALL_ROWS, RowLimit
from auditor.domain.tasks import LARGE_ROW, Array, Floats


def write_part(standing: BestSoFar, log: Sequence[QueryCost]) -> Evidence:
    """Return what is known of a part's rows and what it cost."""
    return {
        "crafted": standing.crafted,
        "probabilities": standing.probabilities,
        "margin": standing.margin,
        "broken": standing.broken,
        "breaking": standing.breaking,
        "log": [asdict(bill) for bill in log],
    }


def read_part(known: Evidence) -> tuple[BestSoFar, list[QueryCost]]:
    """Return what ``write_part`` kept."""
    standing = BestSoFar(
        crafted=cast("Array", np.asarray(known["crafted"])),
        probabilities=cast("Floats", known["probabilities"]),
        margin=cast("Floats", known["margin"]),
        broken=cast("Mask", known["broken"]),
        breaking=cast("Floats", known["breaking"]),
    )
    bills = cast("Sequence[Mapping[str, Any]]", known["log"])
    return standing, [QueryCost(**bill) for bill in bills]


LARGE_VALUES_AT_ONCE = 2**20
"""Of large rows, no more go together than hold so many values, and ``FEWEST_AT_ONCE`` at least: of
so many a twin keeps what it made of them for the gradient, of more it computes it once again."""
FEWEST_AT_ONCE = 8
VALUES_AT_ONCE = 2**16
"""As many rows go together as hold so many values, within ``ROWS_AT_ONCE``."""
ROWS_AT_ONCE = 512, 2048
FORGETFUL = NoCheckpoint()
QUICK = 5
"""Steps of the climb that goes first where rows race."""


def run_sweep(  # noqa: PLR0913 -- an attack, where it goes, and who is told
    suite: AttackSuite,
    arena: AttackSetup,
    budgets: tuple[float, ...],
    seed: int,
    progress: ProgressReporter,
    *,
    refine: int = 0,
    memory: AuditCheckpoint = FORGETFUL,
    limit: RowLimit = ALL_ROWS,
    read: Callable[[SweepResult], Evidence] | None = None,
) -> SweepResult:
    """Attack all rows at each budget, the smallest first, some rows at a time.

    Where ``limit`` ends it between two parts, the result is that of the first rows. ``read`` makes
    evidence of them, by which ``limit`` may say that enough is known. Where rows race, a short
    climb at the smallest budget goes first; rows that it breaks are broken at all budgets.

    ``refine`` bisections then bring each successful candidate nearer to its clean row. Parts that
    ``memory`` holds are not attacked again: it must know which model this is. The same arguments
    give the same result. Raises ``CancelledError`` through ``progress``.
    """
    count, most = len(arena.rows), _most_at_once(arena)
    work = f"{_digest_work(arena)} {suite.names} {budgets} {seed} {refine}{' raced' * limit.races}"
    work += f" {limit.asked}"
    ticks = suite.ticks(len(budgets))
    # Parts are of one size but where time limits them, and their number is unknown
    total = (count if limit.timed else -(-count // most)) * ticks
    ticker = _SweepProgress(progress, total, limit.spent)
    found: list[_SweepPart] = []
    done, decided = 0, False
    while done < count and not decided:
        taken = limit.take(done, min(most, count - done))
        if not taken:
            break
        rows = np.arange(done, done + taken, dtype=np.int64)
        ticker.weight = taken if limit.timed else 1
        part = _SweepPart(arena.take(rows), np.random.default_rng([seed, len(found)]), ticker)
        name = f"{work} part {len(found)} from row {done} of {taken} rows"
        known = memory.recall(name)
        if known is None:
            part.attack(suite, budgets, races=limit.races, asked=limit.asked)
            part.refine(budgets[-1], refine)
            memory.remember(name, write_part(part.standing, part.log))
        else:
            part.standing, part.log = read_part(known)
        found.append(part)
        done += taken
        ticker.reach((done if limit.timed else len(found)) * ticks)
        if read is not None and done < count:
            decided = limit.is_decided(done, lambda: read(_gather(found, arena, budgets)))
    ticker.reach(ticker.total)
    return replace(_gather(found, arena, budgets), decided=decided)


def _digest_work(arena: AttackSetup) -> str:
    """Return a digest of what is attacked, the model left aside."""
    aim = arena.goal.aim(arena.labels)
    hasher = hashlib.sha256(f"{arena.norm} {arena.repeats} {arena.most_queries}".encode())
    line = arena.goal.margin(arena.probabilities, arena.labels)
    for digest_part in (arena.rows, arena.labels, arena.probabilities, aim.toward, aim.away, line):
        hasher.update(np.ascontiguousarray(digest_part).tobytes())
    return hasher.hexdigest()


def _gather(
    found: Sequence["_SweepPart"], arena: AttackSetup, budgets: tuple[float, ...]
) -> SweepResult:
    standings = [part.standing for part in found]
    crafted = np.concatenate([standing.crafted for standing in standings])
    return SweepResult(
        budgets=budgets,
        probabilities=np.concatenate([standing.probabilities for standing in standings]),
        crafted=crafted,
        distance=arena.threat(budgets[-1]).distance(arena.rows[: len(crafted)], crafted),
        breaking=np.concatenate([standing.breaking for standing in standings]),
        movable=tuple(int(arena.threat(eps).movable.sum()) for eps in budgets),
        log=sum_costs([part.log for part in found]),
        parts=tuple(len(standing.breaking) for standing in standings),
    )


@dataclass(slots=True)
class _SweepProgress:
    """Counts questions over all parts and budgets, and tells the audit.

    A question weighs as much as its part has rows, where parts are unlike. An attack that needs
    fewer than its share is rounded up when it ends. Where time is limited, its share counts that is
    ``spent``.
    """

    progress: ProgressReporter
    total: int
    spent: Callable[[], float]
    weight: int = 1
    done: int = 0
    note: str = ""

    def __call__(self) -> None:
        self.reach(max(self.done + self.weight, int(self.spent() * self.total)))

    def reach(self, done: int) -> None:
        """Say that ``done`` questions are behind us."""
        self.done = max(self.done, min(done, self.total))
        self.progress(self.done, self.total, self.note)


@dataclass(slots=True, eq=False)
class _SweepPart:
    """Some of the rows, and what came of them so far."""

    arena: AttackSetup
    rng: np.random.Generator
    ticker: _SweepProgress
    standing: BestSoFar = field(init=False)
    log: list[QueryCost] = field(default_factory=list)

    def __post_init__(self) -> None:
        arena = self.arena
        self.standing = BestSoFar.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)

    def attack(
        self,
        suite: AttackSuite,
        budgets: tuple[float, ...],
        *,
        races: bool,
        asked: tuple[float, ...] = (),
    ) -> None:
        """Run minimal attacks in the widest ball, then bounded ones at each budget.

        Where rows race, a short climb comes before, and minimal attacks leave out what it broke,
        and what they break within the smallest budget themselves. Where some budgets alone are
        ``asked`` about, minimal attacks, if there are any, have to do for the others.
        """
        left = None
        if races and suite.minimal and self.arena.norm in CLIMBED:
            frame = self.arena.frame(budgets[0], self.standing)
            self._pursue(build_climb(QUICK, self.arena.norm), frame, 0.0)
            left = frame.live
        for attack in suite.minimal:
            frame = self.arena.frame(budgets[-1], self.standing)
            self._pursue(attack, frame, 0.0, among=left, enough=0.0 if left is None else budgets[0])
        before = 0.0
        for eps in budgets:
            if asked and suite.minimal and eps not in asked:
                continue
            frame = self.arena.frame(eps, self.standing)
            for index, attack in enumerate(suite.bounded):
                warm = index == 0 and before > 0
                self._pursue(attack, frame, eps / before if warm else 0.0)
            before = eps

    def refine(self, eps: float, rounds: int) -> None:
        """Bisect between each clean row and its successful candidate."""
        if not rounds:
            return
        frame = self.arena.frame(eps, self.standing)
        rows = np.flatnonzero(
            is_within_budget(self.standing.breaking, eps) & (self.standing.breaking > 0)
        )
        clean = frame.clean[rows].astype(np.float64)
        near, far = np.zeros(len(rows)), np.ones(len(rows))
        change = np.nan_to_num(self.standing.crafted[rows].astype(np.float64) - clean)
        for _round in range(rounds if len(rows) else 0):
            middle = (near + far) / 2
            _, reached, _ = frame.submit(rows, clean + broadcast_rows(middle, clean) * change)
            near, far = np.where(reached, near, middle), np.where(reached, middle, far)
        self._note(BISECTION, frame, live=len(rows), queries=0, refused=0, passes=0)

    def _pursue(
        self,
        attack: EvasionAttack,
        frame: AttackJudge,
        stretch: float,
        among: Rows | None = None,
        enough: float = 0.0,
    ) -> None:
        self.ticker.note = f"eps {frame.threat.eps:g}, {attack.name}"
        end = self.ticker.done + attack.rounds * self.ticker.weight
        live, queries, refused = len(frame.live), frame.queries, frame.refused
        pursuit = AttackLoop(attack, frame, self.arena.twin, self.ticker, among, enough)
        if frame.threat.movable.any():
            pursuit.run(self.rng, stretch=stretch)
        self.ticker.reach(end)
        self._note(
            attack.name, frame, live=live, queries=queries, refused=refused, passes=pursuit.passes
        )

    def _note(  # noqa: PLR0913 -- the columns of a bill
        self, name: str, frame: AttackJudge, *, live: int, queries: int, refused: int, passes: int
    ) -> None:
        """Write down what one attack brought and cost since the counts that are given."""
        left = frame.live
        self.log.append(
            QueryCost(
                attack=name,
                eps=frame.threat.eps,
                live=live,
                broken=0 if name == BISECTION else live - len(left),
                phantoms=int(frame.claimed[left].sum()),
                queries=frame.queries - queries,
                passes=passes,
                refused=frame.refused - refused,
            )
        )


def _most_at_once(arena: AttackSetup) -> int:
    size = max(1, math.prod(arena.rows.shape[1:]))
    if size > LARGE_ROW:
        return max(LARGE_VALUES_AT_ONCE // size, FEWEST_AT_ONCE)
    return min(max(VALUES_AT_ONCE // size, ROWS_AT_ONCE[0]), ROWS_AT_ONCE[1])
