"""Slices that are put forward by one half of the rows and confirmed on the other."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.performance.embedding_clusters import RowClusters
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.slice_discovery import (
    SliceSearch,
    SliceTest,
    confirm_slices,
    discover_slices,
)
from auditor.metrics.stats.slice_lattices import CodedSample, Conditions
from simulations.claims import Draw, Random, Simulation, seldom

Codes = NDArray[np.uint8]
Columns = Callable[[Random], Codes]
ROWS, COLUMNS, LEVELS = 20_000, 10, 4
"""Of which slices of up to three conditions are 8,440."""
BASE, LEVEL = 0.1, 0.05
SEARCH = SliceSearch(3, 100, 50)
PLANTED: Conditions = ((0, 1), (1, 2))
"""One row in sixteen."""
FOLLOWED = 0.8
ALIKE = (
    ("as it is", 1.0, "the planted slice is confirmed"),
    ("or one alike", 0.5, "one of mostly the same rows is confirmed"),
)
"""The least share of the rows of either slice that both have."""


def slicing() -> tuple[Simulation, ...]:
    """20,000 rows of ten columns of four levels; one row in ten is wrong."""
    kinds = (("independent columns", _apart), ("eight that follow two", _following))
    false, share = "any false confirmation", "mean share of false confirmations"
    lifts = ((1.5, 0.6), (2.0, 0.95))
    return (
        *(seldom("confirm", f"{kind}, no bad slice", false, 1000, _none(of)) for kind, of in kinds),
        *(
            seldom("confirm", f"{kind}, 2 times as bad in 1/16", share, 300, _share(of, 2.0))
            for kind, of in kinds
        ),
        *(
            _often(
                f"{kind}, {lift:g} times as bad in 1/16, {name}", goal, of, 120,
                _finds(columns, lift, alike), known=columns is _following and alike == 1,
            )
            for kind, columns in kinds
            for name, alike, of in ALIKE
            for lift, goal in lifts
        ),
        seldom("confirm", "clusters of 1,200 rows, no bad slice", false, 600, _clusters(0.0)),
        _often(
            "clusters of 1,200 rows, 0.4 wrong in a group of 1/10", 0.8,
            "a cluster mostly of it is confirmed", 200, _clusters(0.4),
        ),
    )  # fmt: skip


def _often(  # noqa: PLR0913 -- one argument a column of the page
    case: str, goal: float, claim: str, repeats: int, draw: Draw, *, known: bool = False
) -> Simulation:
    return Simulation(
        "confirm", case, claim, goal, at_least=True, repeats=repeats, draw=draw, known=known
    )


def _apart(rng: Random) -> Codes:
    return rng.integers(0, LEVELS, (COLUMNS, ROWS)).astype(np.uint8)


def _following(rng: Random) -> Codes:
    """Draw two columns, and eight that repeat one of them in most rows."""
    codes = _apart(rng)
    follows = rng.random((COLUMNS - 2, ROWS)) < FOLLOWED
    led = codes[np.arange(COLUMNS - 2) % 2]
    codes[2:] = np.where(follows, led, codes[2:])
    return codes


def _inside(codes: Codes, conditions: Conditions) -> NDArray[np.bool_]:
    held = [codes[column] == level for column, level in conditions]
    return np.asarray(np.all(held, axis=0))


def _confirmed(rng: Random, codes: Codes, rates: NDArray[np.float64] | float) -> list[SliceTest]:
    wrong = np.asarray(rng.random(codes.shape[1]) < rates)
    sample = CodedSample(codes, (LEVELS,) * len(codes), wrong)
    half = first_half(rng.permutation(codes.shape[1]), None)
    found = discover_slices(sample.part(half), SEARCH)
    return [
        item for item in confirm_slices(sample.part(~half), found, "holm", LEVEL) if item.confirmed
    ]


def _none(columns: Columns) -> Draw:
    return lambda rng: float(bool(_confirmed(rng, columns(rng), BASE)))


def _bad(codes: Codes, lift: float) -> NDArray[np.float64]:
    return np.where(_inside(codes, PLANTED), BASE * lift, BASE)


def _finds(columns: Columns, lift: float, alike: float) -> Draw:
    """Look for a confirmed slice that shares so much of the rows of either with the planted one."""

    def draw(rng: Random) -> float:
        codes = columns(rng)
        planted = _inside(codes, PLANTED)
        found = [_inside(codes, it.conditions) for it in _confirmed(rng, codes, _bad(codes, lift))]
        shares = [(planted & it).sum() / (planted | it).sum() for it in found]
        return float(max(shares, default=0.0) >= alike)

    return draw


def _share(columns: Columns, lift: float) -> Draw:
    """Of confirmed slices, those whose rows are no more often planted than others are false."""

    def draw(rng: Random) -> float:
        codes = columns(rng)
        rates = _bad(codes, lift)
        insides = [_inside(codes, it.conditions) for it in _confirmed(rng, codes, rates)]
        false = [rates[inside].mean() <= rates[~inside].mean() for inside in insides]
        return float(np.mean(false)) if false else 0.0

    return draw


def _clusters(rate: float) -> Draw:
    """Let a tenth of the rows lie apart, and be wrong at a rate of its own unless that is zero."""

    def draw(rng: Random) -> float:
        rows = rng.normal(size=(1200, 8)).astype(np.float32)
        apart = rng.random(1200) < BASE
        rows[apart, :2] += 4
        half = first_half(rng.permutation(1200), None)
        found = RowClusters.of(rows, half, (8, 16), int(rng.integers(2**32)))
        wrong = rng.random(1200) < np.where(apart & (rate > 0), rate, BASE)
        sample = CodedSample(found.codes, found.counts, wrong)
        tried = confirm_slices(
            sample.part(~half),
            discover_slices(sample.part(half), SliceSearch(1, 20, 20)),
            "holm",
            LEVEL,
        )
        insides = [_inside(found.codes, it.conditions) for it in tried if it.confirmed]
        if rate == 0:
            return float(bool(insides))
        return float(any(apart[inside].mean() > 1 / 2 for inside in insides))

    return draw
