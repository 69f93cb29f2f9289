"""A campaign of patch attacks: everything within one square of a picture may change."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.image_windows import as_planes, heaviest_square, picture_size
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.query_costs import QueryCost, SweepResult
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Array

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SquareConstraint:
    """All changed pixels of a picture lie within one square of ``side`` pixels."""

    side: int

    def holds(self, clean: Array, crafted: Array) -> Mask:
        """Return for each of ``[n, ...]`` pictures whether one square holds its changes."""
        kept: Mask = square_sides(clean, crafted) <= self.side
        return kept

    def repair(self, clean: Array, crafted: Array) -> Array:
        """Return pictures with the changes of one square: that which holds most of them."""
        wrong = ~self.holds(clean, crafted)
        if not wrong.any():
            return crafted
        height, width = picture_size(clean.shape[1:])
        side = min(self.side, height, width)
        found = crafted.copy()
        moved = _moved(clean[wrong], crafted[wrong]).reshape(-1, height, width)
        top, left = heaviest_square(moved.astype(np.float64), side)
        down, over = np.arange(height), np.arange(width)
        inside = (down >= top[:, None]) & (down < top[:, None] + side)
        across = (over >= left[:, None]) & (over < left[:, None] + side)
        pixels = inside[:, :, None] & across[:, None, :]
        axes = find_image_axes(clean[wrong].shape[1:])
        kept = pixels if axes is None or axes[2] is None else np.expand_dims(pixels, 1 + axes[2])
        found[wrong] = np.where(kept, crafted[wrong], clean[wrong])
        return found


def square_sides(clean: Array, crafted: Array) -> Places:
    """Return the side of the smallest square that holds each picture's changes; 0: none."""
    height, width = picture_size(clean.shape[1:])
    moved = _moved(clean, crafted).reshape(len(clean), height, width)
    found = []
    for axis in (2, 1):
        lines = np.asarray(moved.any(axis=axis))
        count = lines.shape[1]
        first, last = lines.argmax(axis=1), count - lines[:, ::-1].argmax(axis=1)
        found.append(np.where(lines.any(axis=1), last - first, 0))
    return np.maximum(*found)


def attack_with_patches(
    suite: AttackSuite,
    arena: AttackSetup,
    widths: tuple[int, ...],
    seed: int,
    progress: ProgressReporter,
) -> SweepResult:
    """Attack with patches of growing ``widths`` in pixels; what one breaks counts at larger ones.

    Budgets and distances are squares of sides: the pixels of the smallest square that holds a
    change. The same arguments give the same result.
    """
    wrong = arena.goal.reached(arena.probabilities, arena.labels)
    space = replace(arena, norm=Norm.L0)
    budgets = tuple(float(side**2) for side in widths)
    found = SweepResult(
        budgets=budgets,
        probabilities=arena.probabilities.copy(),
        crafted=arena.rows.copy(),
        distance=np.zeros(len(wrong)),
        breaking=np.where(wrong, 0.0, np.inf),
        movable=tuple(int(space.threat(eps).movable.sum()) for eps in budgets),
        log=(),
    )
    for index, side in enumerate(widths):
        live = np.flatnonzero(np.isinf(found.breaking))
        if not len(live):
            break

        def report(done: int, total: int, note: str = "", index: int = index) -> None:
            progress(index * total + done, len(widths) * total, note)

        part = replace(
            arena,
            rows=arena.rows[live],
            labels=arena.labels[live],
            probabilities=arena.probabilities[live],
            norm=Norm.L0,
            constraints=SquareConstraint(side),
        )
        own = int(np.random.SeedSequence([seed, side]).generate_state(1)[0])
        found = _join(found, arena, live, run_sweep(suite, part, (float(side**2),), own, report))
    return found


def _join(found: SweepResult, arena: AttackSetup, live: Places, part: SweepResult) -> SweepResult:
    """Return what is known after one more width, whose patches ``live`` rows were shown."""
    probabilities, crafted = found.probabilities.copy(), found.crafted.copy()
    distance, breaking = found.distance.copy(), found.breaking.copy()
    probabilities[live], crafted[live] = part.probabilities, part.crafted
    distance[live] = square_sides(arena.rows[live], part.crafted).astype(np.float64) ** 2
    breaking[live] = np.where(np.isfinite(part.breaking), distance[live], np.inf)
    log: tuple[QueryCost, ...] = (*found.log, *part.log)
    return replace(
        found,
        probabilities=probabilities,
        crafted=crafted,
        distance=distance,
        breaking=breaking,
        log=log,
    )


def _moved(clean: Array, crafted: Array) -> Mask:
    """Return which pixels changed in any channel: ``[n, pixels]``."""
    exact, found = clean.astype(np.float64), crafted.astype(np.float64)
    differs = (found != exact) & ~(np.isnan(found) & np.isnan(exact))
    planes = as_planes(differs.astype(np.float64))
    return np.asarray(planes.any(axis=1))
