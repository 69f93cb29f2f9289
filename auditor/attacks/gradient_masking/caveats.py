"""Caveats on figures found by gradients, where gradient masking makes them unreliable."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from auditor.domain.checks import Check, Need, uses_need
from auditor.domain.json import Json
from auditor.domain.readings import (
    NEEDS,
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
)

MASKING = "evasion.masking"
BELIEVABLE = "believable"
FAMILY = "evasion."
UNEXAMINED = "there was no time to examine whether the gradients that it rests on are masked"

MORE = f"more time (`--max-minutes`), so that {MASKING} runs"


def qualify_masked_readings(
    readings: Sequence[Reading], checks: Mapping[str, Check]
) -> tuple[Reading, ...]:
    """Return readings of which those that rest on masked gradients are doubted, target by target.

    ``checks`` holds, by id, the checks that the readings come from. White box is what climbs a twin
    where there is one, or says in its details that it saw the twin. Only bounds that a stronger
    attack would worsen rest on how strong the attack was: a proof and a clean accuracy do not.
    Where an attack without gradients worsens the same figure at the same coordinates, its figure
    takes the place: both bounds hold, so the worse of them does.
    """
    masked = {
        reading.target: reading
        for reading in readings
        if isinstance(reading, Measurement)
        and (reading.check, reading.metric, reading.value) == (MASKING, BELIEVABLE, False)
    }
    hurried = {
        item.target
        for item in readings
        if isinstance(item, Gap)
        and (item.check, item.reason) == (MASKING, GapReason.OVER_BUDGET)
        and not item.metric
    }
    if not masked and not hurried:
        return tuple(readings)
    return tuple(
        _qualified(reading, masked, hurried, readings, checks)
        if isinstance(reading, Measurement)
        and _attacks(reading, checks)
        and _by_gradients(reading, checks[reading.check])
        else reading
        for reading in readings
    )


def _qualified(
    reading: Measurement,
    masked: Mapping[str, Measurement],
    hurried: Collection[str],
    readings: Sequence[Reading],
    checks: Mapping[str, Check],
) -> Measurement:
    """Return a figure of gradients, doubted where they are masked, or no time was left to see that.

    An attack that was cut short, and whose gradients nobody examined, proves too little.
    """
    if reading.target in masked:
        instead = _without_gradients(reading, readings, checks)
        return _doubted(reading, masked[reading.target], instead)
    if reading.target in hurried and "rows_asked" in reading.details:
        told: dict[str, Json] = {"doubted_because": [UNEXAMINED], "doubt": UNEXAMINED, NEEDS: MORE}
        details = {**reading.details, **told}
        return replace(reading, doubted=True, worst_case=None, details=details)
    return reading


def _by_gradients(reading: Measurement, check: Check) -> bool:
    """Whether a figure may rest on gradients; a library's attack says of itself what it saw."""
    sees = reading.details.get("sees")
    return sees == "twin" if sees is not None else uses_need(check, Need.TWIN)


def _attacks(reading: Measurement, checks: Mapping[str, Check]) -> bool:
    """Whether a figure is a bound that a stronger attack would worsen."""
    if reading.check not in checks or not reading.check.startswith(FAMILY):
        return False
    metric = checks[reading.check].emits.get(reading.metric)
    better = None if metric is None else metric.higher_is_better
    open_side = {BoundKind.AT_MOST: True, BoundKind.AT_LEAST: False}.get(reading.bound)
    return open_side is not None and better is open_side


def _without_gradients(
    reading: Measurement, readings: Sequence[Reading], checks: Mapping[str, Check]
) -> Measurement | None:
    """Return the worst figure of attacks without gradients that is worse than ``reading``."""
    same = [
        item
        for item in readings
        if isinstance(item, Measurement)
        and _place(item) == _place(reading)
        and _attacks(item, checks)
        and not _by_gradients(item, checks[item.check])
    ]
    own = _claims(reading)
    worse = [item for item in same if _below(_claims(item), own)]
    return min(worse, key=lambda item: (*_claims(item), item.check), default=None)


def _claims(item: Measurement) -> tuple[float, float]:
    """Return a bound's figure and the end of its interval that rules fail by; less is worse."""
    value = float(cast("float", item.value))
    if item.bound is BoundKind.AT_MOST:
        return value, value if item.high is None else item.high
    return -value, -value if item.low is None else -item.low


def _below(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether a bound says all that another says, and more: a small sample says less."""
    return one[0] < other[0] and one[1] <= other[1]


def _place(item: Measurement) -> tuple[str, str, BoundKind, dict[str, object], dict[str, str]]:
    return item.target, item.metric, item.bound, dict(item.params), dict(item.slice)


def _doubted(
    reading: Measurement, masking: Measurement, instead: Measurement | None
) -> Measurement:
    failed = cast("Sequence[Mapping[str, Any]]", masking.details["failed"])
    because = [str(sign["found"]) for sign in failed]
    doubt = f"the gradients that it rests on are masked ({'; '.join(because)})"
    evidence = tuple(sorted({*reading.evidence, *masking.evidence}))
    told: dict[str, Json] = {"doubted_because": because, "doubt": doubt}
    details = {**reading.details, **told}
    doubted = replace(reading, doubted=True, worst_case=None, details=details, evidence=evidence)
    if instead is None:
        return doubted
    # The stronger figure with its own details in the place of a doubted one
    repeats = {doubted.repeat, instead.repeat}
    return replace(
        instead,
        check=doubted.check,
        version=doubted.version,
        doubted=True,
        worst_case=None,
        repeat=Repeatability.INTERVAL if Repeatability.INTERVAL in repeats else Repeatability.EXACT,
        details={
            **instead.details,
            "doubted_because": told["doubted_because"],
            "doubt": f"{told['doubt']}; the figure of {instead.check} stands in its place",
            "believe_instead": {"check": instead.check, **dict(instead.params), **_figure(instead)},
            "found_by_gradients": _figure(doubted),
        },
        evidence=tuple(sorted({*doubted.evidence, *instead.evidence})),
    )


def _figure(item: Measurement) -> dict[str, Json]:
    return {"value": item.value, "low": item.low, "high": item.high, "n": item.n}
