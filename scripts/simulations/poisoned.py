"""Scans of training rows that hold no poison, and the statistics that they rest on."""

import numpy as np

from auditor.attacks.poisoning.training_scan import (
    NeighbourLookup,
    ScanRows,
    label_scores,
    representation_scores,
)
from auditor.metrics.stats.p_values import benjamini_hochberg, excess_p_value, tail_p_values
from auditor.metrics.stats.proportions import mean_over_repeats
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers, seldom

VERDICT = 0.005


def poisoned() -> tuple[Simulation, ...]:
    """Return every experiment of this file."""
    return (*alike(), *scans(), *repeated())


def alike() -> tuple[Simulation, ...]:
    """Draw scores of two samples from one law, and look for what is strange in the first."""
    laws = ("normal", "exponential")
    return (
        seldom(
            "excess_p_value", "700 rows against 200 alike", "at most 0.05", 4000, _excess(700, 200)
        ),
        *(
            seldom(
                "tail_p_values",
                f"2,000 rows of {law} scores against 400 alike",
                "any named at 0.05",
                2000,
                _named(law),
            )
            for law in laws
        ),
    )


def scans() -> tuple[Simulation, ...]:
    """Scan clean rows of four classes, some of which overlap."""
    return tuple(
        Simulation(
            of="Scan",
            case=f"{trained:,} clean training rows and {trusted} trusted ones, {overlap}",
            claim="shown at 0.005",
            goal=VERDICT,
            at_least=False,
            repeats=400,
            draw=_scan(trained, trusted, apart),
        )
        for trained, trusted in ((800, 200), (2000, 400))
        for overlap, apart in (("classes apart", 3.0), ("classes that overlap", 1.0))
    )


def repeated() -> tuple[Simulation, ...]:
    """Draw hits of rows that differ, in repeats that differ."""
    return tuple(
        covering(
            "mean_over_repeats",
            f"{repeats} repeats of {rows} rows, their means scattered by {scatter:g}",
            0.94,
            4000,
            _repeats(repeats, rows, scatter),
        )
        for repeats, rows, scatter in ((3, 300, 0.0), (3, 300, 0.1), (5, 100, 0.2))
    )


def _excess(rows: int, known: int) -> Draw:
    def draw(rng: Random) -> float:
        return float(excess_p_value(rng.normal(size=rows), rng.normal(size=known)) <= 1 - LEVEL)

    return draw


def _named(law: str) -> Draw:
    def draw(rng: Random) -> float:
        scores, reference = (getattr(rng, law)(size=size) for size in (2000, 400))
        return float(benjamini_hochberg(tail_p_values(scores, reference)).min() <= 1 - LEVEL)

    return draw


def _scan(trained: int, trusted: int, apart: float) -> Draw:
    def draw(rng: Random) -> float:
        labels = rng.integers(0, 4, trained + trusted)
        centres = apart * np.eye(4, 8)
        points = (centres[labels] + rng.normal(size=(len(labels), 8))).astype(np.float32)
        rows = ScanRows(labels, np.arange(len(labels)) < trained, 4)
        found, _ = label_scores(points, rows, NeighbourLookup(5, 3, 1024), 0)
        told = np.ones(len(labels), dtype=np.bool_)
        found |= representation_scores(points, rows, told, 0)
        return float(min(item.p_value() for item in found.values()) <= VERDICT / len(found))

    return draw


def _repeats(repeats: int, rows: int, scatter: float) -> Draw:
    def draw(rng: Random) -> float:
        means = 0.5 + scatter * rng.uniform(-np.sqrt(3), np.sqrt(3), (repeats, 1))
        chances = np.clip(means + rng.uniform(-0.1, 0.1, (1, rows)), 0, 1)
        hits = (rng.random((repeats, rows)) < chances).astype(np.float64)
        return covers(mean_over_repeats(hits, LEVEL), 0.5)

    return draw
