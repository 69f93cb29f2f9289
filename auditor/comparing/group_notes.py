"""What a reader of a comparison of groups must know beside its figure."""

from collections.abc import Mapping

import numpy as np

from auditor.comparing.group_tables import AMONG, BASE, Table
from auditor.domain.canonical import Json
from auditor.domain.datasets import UNKNOWN
from auditor.domain.intervals import Interval
from auditor.stats.counts import MOST_ROWS, round_up
from auditor.stats.differential_fairness import differential_fairness
from auditor.stats.gaps import Comparison, widest_gap
from auditor.stats.group_rates import GroupRates
from auditor.stats.proportions import wilson
from auditor.stats.shrinkage import shrunken_rates

SMALL = 30
"""Rows below which a group's rate is called small."""
DRAWN_BELOW = 200
"""Rows of the smallest group from which on the others have little to add to it."""
LEAST_DRAWN = 3
"""Groups from which on the intervals of rates drawn together hold by simulation."""
FOUR_FIFTHS = 0.8
"""29 CFR 1607.4 D: a selection rate below four fifths of the highest is evidence of impact."""
IMPOSSIBLE = (
    "Base rates differ beyond their joint interval: unless decisions are perfect, equal predictive "
    "values and equal false positive and false negative rates cannot all hold (Chouldechova 2017, "
    "Big Data 5; Kleinberg, Mullainathan and Raghavan 2017, ITCS). One must choose."
)


def of_counts(table: Table, rate: str) -> dict[str, Json]:
    """Say how often and out of how many in each group, and which are small, empty or left out."""
    counts = {
        name: (int(k), int(n))
        for name, (k, n) in zip(table.groups, table.counts[rate], strict=True)
    }
    known = table.known(rate)
    found: dict[str, Json] = {
        "counts": {name: _fraction(counts[name]) for name in table.names},
        "small_groups": [name for name in table.names if 0 < counts[name][1] < SMALL],
        "without_rate": [name for at, name in zip(table.compared, table.names, strict=True)
                         if not known[at]],
    }  # fmt: skip
    left_out: dict[str, Json] = {
        name: _fraction(counts[name]) for name in table.groups if name not in table.names
    }
    return {**found, "left_out": left_out} if left_out else found


def undecided_by(table: Table, rate: str, groups: GroupRates, found: Comparison) -> dict[str, Json]:
    """Name the groups too small for the gap found, and how many rows of theirs would decide.

    A group is one whose rate is counted among fewer than ``SMALL`` rows, or known less well than
    the gap is wide. Half widths shrink with the root of the rows that the rate is counted among;
    for a true positive rate those are rows whose label is favourable, not all rows.
    """
    gap = found.interval.value
    listed: dict[str, Json] = {}
    for place, at in enumerate(groups.index):
        rows = int(table.counted(rate)[at, 1])
        half = float(groups.high[place] - groups.low[place]) / 2
        if rows >= SMALL and half <= gap:
            continue
        needed = rows * (half / gap) ** 2 if gap > 0 else np.inf
        enough: Json = max(SMALL, round_up(needed)) if needed <= MOST_ROWS else None
        listed[table.names[at]] = {"n": rows, "of": AMONG[rate], "would_decide": enough}
    return {"undecided_by": listed} if listed else {}


def base_rates(table: Table, confidence: float, family: int) -> dict[str, Json]:
    """Return the largest difference of base rates, and what follows where it is sure."""
    try:
        found = widest_gap(table.together(BASE, confidence, family)).interval
    except ValueError:
        return {}
    shares = {
        name: float(k / n)
        for name, (k, n) in zip(table.names, table.counted(BASE), strict=True)
        if n
    }
    differ: dict[str, Json] = {
        "rates": shares, "gap": found.value, "low": found.low, "high": found.high
    }  # fmt: skip
    return {"base_rates": {**differ, **({"note": IMPOSSIBLE} if found.low > 0 else {})}}


def differential(table: Table) -> dict[str, Json]:
    """Return the smoothed differential fairness of selections, a point figure over all groups."""
    counts = table.counted("selection_rate")
    return {"differential_fairness": differential_fairness(counts[:, 0], counts[:, 1])}


def four_fifths(table: Table) -> dict[str, Json]:
    """Return each group's selection rate over the highest, and which are below four fifths."""
    counts = table.counted("selection_rate")
    shares = {name: k / n for name, (k, n) in zip(table.names, counts.tolist(), strict=True) if n}
    best = max(shares.values())
    ratios = {name: share / best for name, share in shares.items()}
    below: list[Json] = [name for name, ratio in ratios.items() if ratio < FOUR_FIFTHS]
    return {"ratios": {**ratios}, "below_four_fifths": below}


def of_rate(
    table: Table, at: int, rate: str, found: Interval, drawn: Mapping[int, Interval]
) -> dict[str, Json]:
    """Say of one group's rate how it was counted, and what all groups together say of it."""
    hits, rows = (int(number) for number in table.counts[rate][at])
    shown: dict[str, Json] = {"k": hits, "n": rows, "holds": "for this group alone"}
    if not table.clustered:
        score = wilson(hits, rows, found.confidence)
        shown["wilson"] = [score.low, score.high]
    if at in drawn:
        one = drawn[at]
        shown["shrunk"] = {
            "value": one.value, "low": one.low, "high": one.high, "method": one.method
        }  # fmt: skip
    if rows < SMALL:
        shown["small"] = True
    if table.groups[at] == UNKNOWN:
        shown["unknown"] = "rows whose group is missing; no group of people"
    return shown


def drawn_together(table: Table, rate: str, confidence: float) -> Mapping[int, Interval]:
    """Return the compared groups' rates drawn towards what they have in common.

    None where fewer than ``LEAST_DRAWN`` have one, none is small, or rows come in clusters, of
    which the law that they are drawn from knows nothing.
    """
    counts = table.counted(rate)
    few = np.count_nonzero(counts[:, 1]) < LEAST_DRAWN
    if table.clustered or few or counts[:, 1].min() >= DRAWN_BELOW:
        return {}
    found = shrunken_rates(counts[:, 0], counts[:, 1], confidence)
    return dict(zip(table.compared, found, strict=True))


def _fraction(counts: tuple[int, int]) -> dict[str, Json]:
    return {"k": counts[0], "n": counts[1]}
