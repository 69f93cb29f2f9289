"""Privacy attacks on samples of one law: how often a permutation test finds members nearer."""

import numpy as np

from auditor.attacks.privacy.attribute_inference import AttributeOutcome
from auditor.attacks.privacy.model_inversion_evaluation import (
    InversionSample,
    InversionSplit,
    ProximityPool,
    ReconstructionProximity,
)
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers, seldom

ROUNDS = 99


def inversions() -> tuple[Simulation, ...]:
    """Members and others of one law, and reconstructions that know neither."""
    return (
        *(
            seldom(
                "member_proximity",
                f"{classes} classes of {rows} members, {starts} reconstructions each, {side}",
                "called nearer",
                2000,
                _called(classes, rows, starts, far=place == 1),
            )
            for classes, rows, starts in ((2, 10, 20), (10, 30, 3))
            for place, side in enumerate(("members", "others"))
        ),
        *(
            covering("attribute_leak", f"{rows} members and others, {case}", 0.94, 4000, draw)
            for rows in (50, 500)
            for case, draw in (
                ("no leak, the imputer right in 0.7", _leak(rows, 0.0)),
                ("a leak of 0.1", _leak(rows, 0.1)),
            )
        ),
        *(
            seldom(
                "attribute_leak",
                f"{rows} members and others, equally exposed",
                "called a leak",
                4000,
                _shown(rows),
            )
            for rows in (50, 500)
        ),
    )


def _sample(rng: Random, classes: int, rows: int) -> InversionSample:
    labels = np.repeat(np.arange(classes), rows)
    points = rng.normal(size=(len(labels), 4)) + 2 * labels[:, None]
    return InversionSample(points, labels, np.array([str(at) for at in range(len(labels))]))


def _called(classes: int, rows: int, starts: int, *, far: bool) -> Draw:
    def draw(rng: Random) -> float:
        known, others, members = (_sample(rng, classes, rows) for _ in range(3))
        pool = ProximityPool.of(
            InversionSplit(known, known, others, members, clustered=False), np.arange(classes)
        )
        made = _sample(rng, classes, starts)
        near, away = pool.nearest(made.inputs, made.labels)
        found = ReconstructionProximity.of(near, away, pool.members, pool.classes)
        chances = found.test(ROUNDS, int(rng.integers(1 << 32)))
        return float((chances.farther if far else chances.nearer) <= 1 - LEVEL)

    return draw


def _leak(rows: int, size: float) -> Draw:
    """Let an imputer be right in 0.7, and an attack name the same but for one row in five, and of
    members ``size`` more often the right one.
    """

    def draw(rng: Random) -> float:
        members = np.arange(2 * rows) < rows
        baseline = rng.random(2 * rows) < 0.7  # noqa: PLR2004 -- as said
        drawn = rng.random(2 * rows)
        other = rng.random(2 * rows) < 0.7  # noqa: PLR2004
        attack = np.where(drawn < 0.2, other, baseline)  # noqa: PLR2004
        more = size / 0.3 * members
        attack |= rng.random(2 * rows) < more
        return covers(AttributeOutcome(attack, baseline, members, None).leak(LEVEL, 1), size)

    return draw


def _shown(rows: int) -> Draw:
    """Let the attack be right about a third of the rows that the imputer misses, on either side."""

    def draw(rng: Random) -> float:
        members = np.arange(2 * rows) < rows
        baseline = rng.random(2 * rows) < 0.7  # noqa: PLR2004
        attack = baseline | (rng.random(2 * rows) < 1 / 3)
        one_sided = 1 - 2 * (1 - LEVEL)
        return float(AttributeOutcome(attack, baseline, members, None).leak(one_sided, 1).low > 0)

    return draw
