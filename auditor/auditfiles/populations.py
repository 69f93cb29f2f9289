"""The ``population`` section: whom a model is for, as shares of the levels of columns."""

import math
from collections.abc import Iterator, Mapping

from auditor.auditfiles.tasks import Mistake

LEAST_LEVELS = 2
CURE = "Write {column: {level: count or share}}, as in sex: {Female: 0.51, Male: 0.49}."


def population_mistakes(section: Mapping[str, object]) -> Iterator[Mistake]:
    """Name what is no share of a level."""
    for column, levels in section.items():
        place = ("population", column)
        if not isinstance(levels, Mapping):
            yield place, "is no mapping of levels to their shares", CURE
            continue
        if len(levels) < LEAST_LEVELS:
            yield place, "has fewer than two levels, so that nothing could be out of line", CURE
        wrong = [level for level, share in levels.items() if not _is_share(share)]
        for level in wrong:
            yield (*place, level), f"is {levels[level]!r}, which is no count and no share", CURE
        if not wrong and not sum(levels.values()):
            yield place, "has no level with anybody in it", CURE


def population_of(section: Mapping[str, Mapping[object, float]]) -> dict[str, dict[str, float]]:
    """Return the shares of a section without mistakes: those of one column add up to 1."""
    return {str(column): _shares(levels) for column, levels in section.items()}


def _shares(levels: Mapping[object, float]) -> dict[str, float]:
    everybody = math.fsum(levels.values())
    return {str(level): share / everybody for level, share in levels.items()}


def _is_share(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value >= 0
