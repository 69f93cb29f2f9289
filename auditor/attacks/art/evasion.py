"""Runs evasion attacks of the Adversarial Robustness Toolbox (ART) and re-checks their results.

Each row that an attack returns is projected into the threat model and scored again on the target.
Each run is silent and seeded; a failure becomes a recorded reason.
"""

import inspect
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from auditor.attacks.art.adapter import (
    AttackLimitError,
    InputScaler,
    ModelView,
    Numbers,
    QueryMeter,
    TargetView,
    TwinView,
    Untyped,
    attack_scaler,
    fixed_global_seed,
    silenced_output,
)
from auditor.attacks.art.configured_attack import CraftingJob, ModelAccess
from auditor.attacks.art.evasion_evidence import (
    ArtAttackResult,
    AttackLimits,
    ClaimTally,
    CraftingTool,
    build_sweep_result,
    initial_best,
)
from auditor.attacks.art.failure_reasons import (
    FailureReason,
    attack_exception,
    invalid_output,
    limit_exceeded,
)
from auditor.attacks.art.settings import AttackSettings
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.goals import HarmfulDecisionGoal
from auditor.attacks.evasion.judge import AttackJudge, BestSoFar, Mask, Rows
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.query_costs import QueryCost
from auditor.domain.models import Model, Twin
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.errors import AuditorError, TwinError


class RowMismatchError(Exception):
    """An attack returned something that is not one changed row for each row."""


def run_art_attack(
    tool: CraftingTool,
    arena: AttackSetup,
    budgets: tuple[float, ...],
    seed: int,
    allowance: AttackLimits,
) -> ArtAttackResult | FailureReason:
    """Let one attack change every row that stands at each budget, and judge what it returns.

    The same arguments give the same result, where the time suffices. Raises ``AuditorError`` for
    what is not the attack's fault: a model that died, or an audit that was stopped.
    """
    try:
        with silenced_output() as aloud:
            heard = replace(allowance, tick=aloud(allowance.tick))
            run = _ArtEvasionRun(tool, arena, _task(arena), budgets, seed, heard)
            for index in range(len(budgets)):
                run.at(index)
    except TwinError as error:  # of points so far away that the twin has no finite answer
        return attack_exception(tool.name, error)
    except AuditorError:
        raise
    except AttackLimitError as limit:
        return limit_exceeded(tool.name, limit)
    except RowMismatchError as odd:
        return invalid_output(tool.name, str(odd))
    except Exception as error:  # noqa: BLE001 -- a library may raise anything
        return attack_exception(tool.name, error)
    return run.result()


@dataclass(slots=True, eq=False)
class _ArtClaims:
    """What an attack returned for some rows: wishes, and whether it calls them wrong."""

    rows: Rows
    points: Floats
    wrong: Mask
    queries: int
    passes: int

    def of(self, rows: Rows) -> "_ArtClaims":
        """Return the part for some of the rows."""
        places = np.searchsorted(self.rows, rows)
        return _ArtClaims(rows, self.points[places], self.wrong[places], 0, 0)


@dataclass(slots=True, eq=False)
class _ArtEvasionRun:
    tool: CraftingTool
    arena: AttackSetup
    task: ClassificationTask
    budgets: tuple[float, ...]
    seed: int
    allowance: AttackLimits
    standing: BestSoFar = field(init=False)
    meter: QueryMeter = field(init=False)
    claims: _ArtClaims | None = None
    log: list[QueryCost] = field(default_factory=list)
    tallies: list[ClaimTally] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.standing = initial_best(self.arena)
        self.meter = QueryMeter(tick=self.allowance.tick, most=0, seconds=self.allowance.seconds)

    def at(self, index: int) -> None:
        """Attack at one budget."""
        arena = self.arena
        frame = AttackJudge(
            model=arena.model,
            goal=arena.goal,
            threat=arena.threat(self.budgets[index]),
            clean=arena.rows,
            labels=arena.labels,
            clean_probabilities=arena.probabilities,
            standing=self.standing,
            repeats=arena.repeats,
        )
        rows = frame.live if frame.threat.movable.any() else frame.live[:0]
        # Claims for some rows; an attack without a budget is asked once, at the widest
        if self.tool.bounded:
            claims = self._crafted(self.budgets[index], index, rows)
        elif self.claims is None and len(rows):
            self.claims = self._crafted(self.budgets[-1], 0, rows)
            claims = self.claims
        elif self.claims is None:
            claims = _nothing(self.arena)
        else:
            claims = self.claims.of(rows)
        # Which wishes keep norm and box as they are, before they go onto the input's steps
        free = replace(frame.threat, quantum=np.zeros_like(frame.threat.quantum), constraints=None)
        outside = claims.wrong & ~free.permits(frame.clean[rows], claims.points)
        reached = np.zeros(len(rows), dtype=np.bool_)
        if len(rows):
            frame.claimed[rows[claims.wrong]] = True
            _, reached, _ = frame.submit(rows, claims.points)
        self.tallies.append(
            ClaimTally(
                eps=frame.threat.eps,
                attacked=len(rows),
                claimed=int(claims.wrong.sum()),
                outside=int(outside.sum()),
                confirmed=int((claims.wrong & reached).sum()),
            )
        )
        self._note(frame, len(rows), claims)

    def result(self) -> ArtAttackResult:
        """Return what was found."""
        found = build_sweep_result(self.arena, self.budgets, self.standing, tuple(self.log))
        return ArtAttackResult(found, tuple(self.tallies))

    def _note(self, frame: AttackJudge, live: int, claims: _ArtClaims) -> None:
        left = frame.live
        self.log.append(
            QueryCost(
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

    def _crafted(self, eps: float, index: int, rows: Rows) -> _ArtClaims:
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
            lens = attack_scaler(clean[part], threat)
            view: ModelView
            arena = self.arena
            if self.tool.sight is ModelAccess.TWIN:
                if arena.twin is None:
                    message = f"{self.tool.name} needs a twin"
                    raise TypeError(message)
                view = TwinView(arena.twin, self.task, lens, self.meter)
            else:
                view = TargetView(arena.model, self.task, lens, self.meter)
            made = self._made(view, part, eps, (self.seed, index, place))
            points.append(view.lens.returned(made))
            said = view.probabilities(view.lens.real(made))
            wrong.append(self.arena.goal.reached(said, self.arena.labels[part]))
        return _ArtClaims(
            rows,
            np.concatenate(points),
            np.concatenate(wrong),
            self.meter.queries,
            self.meter.passes,
        )

    def _made(self, view: ModelView, rows: Rows, eps: float, seed: tuple[int, ...]) -> Floats:
        labels, said = self.arena.labels[rows], self.arena.probabilities[rows]
        made = self.tool.craft(CraftingJob(view, labels, said, self.arena.norm, eps, seed))
        before = view.lens.shown
        if not isinstance(made, np.ndarray) or made.dtype.kind != "f":
            raise RowMismatchError(f"a {type(made).__name__}")
        if made.shape != before.shape:
            raise RowMismatchError(f"an array of shape {made.shape}")
        return np.where(np.isfinite(made), made, before).astype(np.float64)


def _task(arena: AttackSetup) -> ClassificationTask:
    if not isinstance(arena.goal, HarmfulDecisionGoal):
        message = "ART's attacks are for classifiers"
        raise TypeError(message)
    return arena.goal.task


def _nothing(arena: AttackSetup) -> _ArtClaims:
    none = np.zeros(0, dtype=np.int64)
    return _ArtClaims(none, arena.rows[:0].astype(np.float64), none.astype(np.bool_), 0, 0)


Found = TypeVar("Found")


class UnexpectedOutputError(Exception):
    """An attack returned something else than it says that it returns."""


@dataclass(frozen=True, slots=True, eq=False)
class ArtAttackContext:
    """What an attack works with: the target, its twin if there is one, a lens over rows, and what
    it may spend on each of ``rows`` rows and altogether.
    """

    model: Model
    twin: Twin | None
    task: ClassificationTask
    lens: InputScaler
    rows: int
    allowance: AttackLimits
    seed: int

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.task.classes)

    def view(self) -> TargetView:
        """Return the target as an attack sees it, with a meter of its own."""
        return TargetView(self.model, self.task, self.lens, self.meter())

    def climber(self) -> TwinView | None:
        """Return the twin as an attack sees it, ``None`` where there is none."""
        if self.twin is None:
            return None
        return TwinView(self.twin, self.task, self.lens, self.meter())

    def meter(self) -> QueryMeter:
        """Return a meter that has counted nothing yet."""
        spare = self.allowance
        meter = QueryMeter(tick=spare.tick, most=0, seconds=spare.seconds)
        meter.grant(self.rows, spare.most_queries)
        return meter

    def one_hot(self, labels: Labels) -> Numbers:
        """Return labels ``[n]`` as ART takes them: ``[n, classes]``."""
        return np.eye(self.classes, dtype=np.float32)[labels]


def run_art_call(name: str, seed: int, run: Callable[[], Found]) -> Found | FailureReason:
    """Run something of ART's in silence, from a seed of its own; return why where it fails.

    The same seed gives the same result, where the time suffices. Raises ``AuditorError`` for what
    is not the library's fault: a model that died, or an audit that was stopped.
    """
    whole = np.random.SeedSequence([zlib.crc32(name.encode()), seed])
    try:
        with silenced_output(), fixed_global_seed(int(whole.generate_state(1)[0])):
            return run()
    except TwinError as error:
        return attack_exception(name, error)
    except AuditorError:
        raise
    except AttackLimitError as limit:
        return limit_exceeded(name, limit)
    except UnexpectedOutputError as odd:
        return invalid_output(name, str(odd))
    except Exception as error:  # noqa: BLE001 -- a library may raise anything
        return attack_exception(name, error)


def split_settings(
    kind: Untyped, settings: AttackSettings
) -> tuple[AttackSettings, AttackSettings]:
    """Return what of the settings a class is made with, and what its methods are called with."""
    takes = inspect.signature(kind.__init__).parameters
    made = {key: value for key, value in settings.items() if key in takes}
    return made, {key: value for key, value in settings.items() if key not in takes}
