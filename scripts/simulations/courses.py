"""What is said of data over time: differences, drift, label shift, and accuracy without labels."""

import numpy as np

from auditor.domain.readings import ConfidenceInterval
from auditor.metrics.stats.column_sketches import sketch_column, sketch_on_grid
from auditor.metrics.stats.drift import (
    GROUPS,
    ColumnShift,
    LabelledReference,
    UnlabelledSample,
    category_shift,
    estimated_accuracy,
    label_share_changes,
    number_shift,
)
from auditor.metrics.stats.p_values import benjamini_hochberg
from auditor.metrics.stats.sequential import SuccessCount, restarted_evidence
from auditor.metrics.stats.share_differences import share_difference
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers, seldom

LOOKS = 52
ALARM = float(np.log(1 / (1 - LEVEL)))
COLUMNS, MOVED, SAMPLE = 20, 5, 1000
SHIFTED = 0.2
APART = 0.07965567455405798
"""How far two normal laws of unit spread lie apart that are 0.2 apart: 2 Phi(0.1) - 1."""


def courses() -> tuple[Simulation, ...]:
    """Return every experiment about data over time."""
    alarm, share = "false alarm at any of 52 looks", "mean share of false findings"
    return (
        *(
            covering("share_difference", case, 0.95, 10_000, _shares(*given))
            for case, given in (
                ("20 and 100 rows, rates 0.1 and 0.1", (20, 0.1, 100, 0.1)),
                ("1,000 and 300 rows, rates 0.9 and 0.95", (1000, 0.9, 300, 0.95)),
            )
        ),
        covering("number_shift", "1,000 rows each, 0.2 sd apart", 0.95, 2000, _distance),
        seldom("number_shift", "5 of 20 columns moved, by bh", share, 500, _false),
        covering("category_shift", "500 rows each, 5 levels, same", 0.95, 4000, _variation),
        covering(
            "label_share_changes", "3 classes, 2,000 and 1,000 rows, all", 0.93, 2000, _labels
        ),
        covering("estimated_accuracy", "3,000 and 2,000 rows, too bold", 0.93, 500, _unlabelled),
        seldom("restarted_evidence", "limit 0.1, 500 rows a week", alarm, 1000, _alarm),
        *(
            Simulation(
                "restarted_evidence",
                f"limit 0.1, rate 0.15 from week {start}",
                f"finds 5 points more within {weeks} weeks of 500",
                0.95,
                at_least=True,
                repeats=500,
                draw=_late(start, weeks),
            )
            for start, weeks in ((0, 4), (10, 6), (26, 6))
        ),
    )


def _shares(rows: int, rate: float, others: int, other: float) -> Draw:
    def draw(rng: Random) -> float:
        one, two = (int(rng.binomial(n, p)) for n, p in ((rows, rate), (others, other)))
        return covers(share_difference((one, rows), (two, others), LEVEL), rate - other)

    return draw


def _compared(rng: Random, moved: float) -> ColumnShift:
    kept = sketch_column(rng.normal(size=SAMPLE))
    if kept is None:
        message = "a sample has numbers"
        raise ValueError(message)
    return number_shift(kept, sketch_on_grid(rng.normal(moved, 1, size=SAMPLE), kept.grid), LEVEL)


def _distance(rng: Random) -> float:
    return covers(_compared(rng, SHIFTED).distance, APART)


def _false(rng: Random) -> float:
    found = [_compared(rng, SHIFTED * (at < MOVED)).p_value for at in range(COLUMNS)]
    named = benjamini_hochberg(found) <= 1 - LEVEL
    return float(named[MOVED:].sum() / max(1, named.sum()))


def _variation(rng: Random) -> float:
    before, now = rng.multinomial(500, np.full(5, 0.2), 2)
    return covers(category_shift(before, now, LEVEL).distance, 0.0)


def _labels(rng: Random) -> float:
    looks = np.array([[0.8, 0.15, 0.1], [0.1, 0.7, 0.2], [0.1, 0.15, 0.7]])
    before, now = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    labelled = rng.multinomial(2000, before)
    confusion = np.stack([rng.multinomial(n, looks[:, at]) for at, n in enumerate(labelled)], 1)
    found = label_share_changes(confusion, rng.multinomial(1000, looks @ now), LEVEL)
    pairs: list[tuple[ConfidenceInterval, float]] = list(
        zip(found or (), now - before, strict=False)
    )
    return min((covers(item, truth) for item, truth in pairs), default=0.0)


def _unlabelled(rng: Random) -> float:
    stated, now = rng.random(3000), rng.beta(2, 2, 2000)
    known = LabelledReference(
        stated, rng.random(3000) < stated**1.3, np.ones(3000), rng.permutation(3000) % GROUPS
    )
    said = now >= 0.5  # noqa: PLR2004 -- the threshold
    right = (rng.random(2000) < now**1.3) == said
    found = estimated_accuracy(known, UnlabelledSample(now, said), LEVEL)
    return covers(found, float(right.mean()))


def _weeks(rng: Random, rates: list[float]) -> list[SuccessCount]:
    return [SuccessCount(500, int(rng.binomial(500, rate))) for rate in rates]


def _alarm(rng: Random) -> float:
    return float(restarted_evidence(_weeks(rng, [0.1] * LOOKS), 0.1).max() >= ALARM)


def _late(start: int, weeks: int) -> Draw:
    def draw(rng: Random) -> float:
        found = restarted_evidence(_weeks(rng, [0.1] * start + [0.15] * weeks), 0.1)
        return float(found[start:].max() >= ALARM)

    return draw
