"""Runs one ART attack: every row that it returns is brought into the threat and judged anew."""

from dataclasses import dataclass, field, replace

import numpy as np

from auditor.attacks.arenas import Arena
from auditor.attacks.art.claims import Allowance, Campaign, Crafting, Tally, standing_of, swept
from auditor.attacks.art.lenses import Lens, lens_over
from auditor.attacks.art.meters import LimitError, Meter
from auditor.attacks.art.objections import Objection, limited, misshapen, raised
from auditor.attacks.art.quiet import silenced
from auditor.attacks.art.tools import Job, Sight
from auditor.attacks.art.views import TargetView, TwinView, View
from auditor.attacks.bills import Bill
from auditor.attacks.frame import Frame, Mask, Rows, Standing
from auditor.attacks.goals import Harm
from auditor.domain.tasks import Classification, Floats
from auditor.errors import AuditorError, TwinError


class OddOutputError(Exception):
    """An attack returned something that is not one changed row for each row."""


def campaign(
    tool: Crafting,
    arena: Arena,
    budgets: tuple[float, ...],
    seed: int,
    allowance: Allowance,
) -> Campaign | Objection:
    """Let one attack change every row that stands at each budget, and judge what it returns.

    The same arguments give the same result, where the time suffices. Raises ``AuditorError`` for
    what is not the attack's fault: a model that died, or an audit that was stopped.
    """
    try:
        with silenced() as aloud:
            heard = replace(allowance, tick=aloud(allowance.tick))
            run = _Run(tool, arena, _task(arena), budgets, seed, heard)
            for index in range(len(budgets)):
                run.at(index)
    except TwinError as error:  # of points so far away that the twin has no finite answer
        return raised(tool.name, error)
    except AuditorError:
        raise
    except LimitError as limit:
        return limited(tool.name, limit)
    except OddOutputError as odd:
        return misshapen(tool.name, str(odd))
    except Exception as error:  # noqa: BLE001 -- a library may raise anything
        return raised(tool.name, error)
    return run.result()


@dataclass(slots=True, eq=False)
class _Claims:
    """What an attack returned for some rows: wishes, and whether it calls them wrong."""

    rows: Rows
    points: Floats
    wrong: Mask
    queries: int
    passes: int

    def of(self, rows: Rows) -> "_Claims":
        """Return the part for some of the rows."""
        places = np.searchsorted(self.rows, rows)
        return _Claims(rows, self.points[places], self.wrong[places], 0, 0)


@dataclass(slots=True, eq=False)
class _Run:
    tool: Crafting
    arena: Arena
    task: Classification
    budgets: tuple[float, ...]
    seed: int
    allowance: Allowance
    standing: Standing = field(init=False)
    meter: Meter = field(init=False)
    claims: _Claims | None = None
    log: list[Bill] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.standing = standing_of(self.arena)
        self.meter = Meter(tick=self.allowance.tick, most=0, seconds=self.allowance.seconds)

    def at(self, index: int) -> None:
        """Attack at one budget."""
        frame = self._frame(self.budgets[index])
        rows = frame.live if frame.threat.movable.any() else frame.live[:0]
        claims = self._claims(index, rows)
        outside = claims.wrong & ~_permitted(frame, rows, claims.points)
        reached = np.zeros(len(rows), dtype=np.bool_)
        if len(rows):
            frame.claimed[rows[claims.wrong]] = True
            _, reached, _ = frame.submit(rows, claims.points)
        self.tallies.append(
            Tally(
                eps=frame.threat.eps,
                attacked=len(rows),
                claimed=int(claims.wrong.sum()),
                outside=int(outside.sum()),
                confirmed=int((claims.wrong & reached).sum()),
            )
        )
        self._note(frame, len(rows), claims)

    def result(self) -> Campaign:
        """Return what was found."""
        found = swept(self.arena, self.budgets, self.standing, tuple(self.log))
        return Campaign(found, tuple(self.tallies))

    def _note(self, frame: Frame, live: int, claims: _Claims) -> None:
        left = frame.live
        self.log.append(
            Bill(
                attack=self.tool.name,
                eps=frame.threat.eps,
                live=live,
                broken=live - len(left) if live else 0,
                phantoms=int(frame.claimed[left].sum()),
                queries=frame.queries + claims.queries,
                passes=claims.passes,
                refused=frame.refused,
            )
        )

    def _claims(self, index: int, rows: Rows) -> _Claims:
        """Return claims for some rows; an attack without a budget is asked once, at the widest."""
        if self.tool.bounded:
            return self._crafted(self.budgets[index], index, rows)
        if self.claims is None and len(rows):
            self.claims = self._crafted(self.budgets[-1], 0, rows)
            return self.claims
        if self.claims is None:
            return _nothing(self.arena)
        return self.claims.of(rows)

    def _crafted(self, eps: float, index: int, rows: Rows) -> _Claims:
        if not len(rows):
            return _nothing(self.arena)
        threat, clean = self.arena.threat(eps), self.arena.rows
        self.meter.grant(len(rows), self.allowance.most_queries)
        alone = (
            self.tool.single
            or not threat.movable.all()
            or bool(np.isnan(clean.astype(np.float64)).any())
        )
        parts = [rows[place : place + 1] for place in range(len(rows))] if alone else [rows]
        points, wrong = [], []
        for place, part in enumerate(parts):
            view = self._view(lens_over(clean[part], threat))
            made = self._made(view, part, eps, (self.seed, index, place))
            points.append(view.lens.returned(made))
            said = view.probabilities(view.lens.real(made))
            wrong.append(self.arena.goal.reached(said, self.arena.labels[part]))
        return _Claims(
            rows,
            np.concatenate(points),
            np.concatenate(wrong),
            self.meter.queries,
            self.meter.passes,
        )

    def _made(self, view: View, rows: Rows, eps: float, seed: tuple[int, ...]) -> Floats:
        labels, said = self.arena.labels[rows], self.arena.probabilities[rows]
        made = self.tool.craft(Job(view, labels, said, self.arena.norm, eps, seed))
        before = view.lens.shown
        if not isinstance(made, np.ndarray) or made.dtype.kind != "f":
            raise OddOutputError(f"a {type(made).__name__}")
        if made.shape != before.shape:
            raise OddOutputError(f"an array of shape {made.shape}")
        return np.where(np.isfinite(made), made, before).astype(np.float64)

    def _view(self, lens: Lens) -> View:
        arena = self.arena
        if self.tool.sight is Sight.TWIN:
            if arena.twin is None:
                message = f"{self.tool.name} needs a twin"
                raise TypeError(message)
            return TwinView(arena.twin, self.task, lens, self.meter)
        return TargetView(arena.model, self.task, lens, self.meter)

    def _frame(self, eps: float) -> Frame:
        arena = self.arena
        return Frame(
            model=arena.model,
            goal=arena.goal,
            threat=arena.threat(eps),
            clean=arena.rows,
            labels=arena.labels,
            clean_probabilities=arena.probabilities,
            standing=self.standing,
            repeats=arena.repeats,
        )


def _task(arena: Arena) -> Classification:
    if not isinstance(arena.goal, Harm):
        message = "ART's attacks are for classifiers"
        raise TypeError(message)
    return arena.goal.task


def _permitted(frame: Frame, rows: Rows, points: Floats) -> Mask:
    """Return which wishes keep norm and box as they are, before they go onto the input's steps."""
    free = replace(frame.threat, quantum=np.zeros_like(frame.threat.quantum), constraints=None)
    return free.permits(frame.clean[rows], points)


def _nothing(arena: Arena) -> _Claims:
    none = np.zeros(0, dtype=np.int64)
    return _Claims(none, arena.rows[:0].astype(np.float64), none.astype(np.bool_), 0, 0)
