"""Computes readings from a check's evidence: the pure part of measuring."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

from auditor.attacks.gradient_masking.caveats import qualify_masked_readings
from auditor.domain.checks import Check, requires_scores
from auditor.domain.disclosure import strip_row_details
from auditor.domain.gaps import is_inconclusive
from auditor.domain.json import Json
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.readings import (
    NEEDS,
    BiasDirection,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
)
from auditor.domain.records import AuditRecord
from auditor.errors import BrokenCheckError

CONFIDENCE = 0.95
"""The level at which a record's readings are written."""
ONE_OUTPUT = "a model file with one of the two outputs alone, the one that the application reads"


def instantiate_check(check: type[Check], params: Mapping[str, Json]) -> Check:
    """Make a check with parameters as JSON has them. Raises ``BrokenCheckError``."""
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in params.items()
    }
    try:
        return check(**values)
    except TypeError as error:
        raise BrokenCheckError(
            f"{check.id} cannot be made with {dict(params)}: {error}",
            cure="Use the version of auditor whose checks have these parameters.",
        ) from None


def get_check_parameters(check: Check) -> dict[str, Json]:
    """Return a check's parameters as JSON."""
    fields = asdict(cast("Any", check))
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()
    }


def compute_readings(results: Sequence[Result], confidence: float) -> tuple[Reading, ...]:
    """Compute all readings at a confidence, in an order that does not depend on it.

    Figures that rest on masked gradients are doubted, where all results of an audit are at hand.
    """
    found: list[Reading] = []
    for result in results:
        found.extend([result] if isinstance(result, Gap) else _figures(result, confidence))
    return qualify_masked_readings(
        found, {item.check.id: item.check for item in results if isinstance(item, ObservedCheck)}
    )


def order_results(record: AuditRecord, seen: Sequence[ObservedCheck]) -> tuple[Result, ...]:
    """Put observations and gaps back into the order in which a record lists their readings."""
    by_place = {(item.observation.target, item.observation.check): item for item in seen}
    ordered: list[Result] = []
    done: set[tuple[str, str]] = set()
    for reading in record.readings:
        place = (reading.target, reading.check)
        if place not in by_place:
            if isinstance(reading, Gap):
                ordered.append(reading)
        elif place not in done:
            ordered.append(by_place[place])
            done.add(place)
    return tuple(ordered)


def _figures(seen: ObservedCheck, confidence: float) -> list[Reading]:
    origin = seen.observation
    placed: list[Reading] = []
    for reading in seen.figures(confidence):
        if isinstance(reading, Gap):
            placed.append(replace(reading, target=origin.target, check=origin.check))
            continue
        _examine(seen.check, reading)
        if origin.labels_only and requires_scores(seen.check, reading.metric):
            unsaid = Gap(
                reason=GapReason.NEEDS_SCORES,
                detail=f"The model gives labels and no scores, of which {reading.metric} speaks.",
                cure="Let the model give its scores.",
                target=origin.target,
                check=origin.check,
                metric=reading.metric,
                params=reading.params,
            )
            placed.append(unsaid)
            continue
        more_doubt = is_inconclusive(reading) or not origin.deterministic
        placed.append(
            replace(
                reading,
                target=origin.target,
                check=origin.check,
                version=origin.version,
                repeat=reading.repeat if origin.deterministic else Repeatability.INTERVAL,
                doubted=reading.doubted or more_doubt,
                # The check answers for its own doubts alone
                worst_case=None if more_doubt else reading.worst_case,
                evidence=tuple(sorted(set(origin.evidence.values()))),
                details=strip_row_details(reading.details) if origin.committed else reading.details,
            )
        )
        if origin.copies is not None and not _counts_rows(seen.check, reading.metric):
            placed[-1] = _doubt_because(placed[-1], origin.copies.doubt)
        if origin.labels is not None:
            placed[-1] = _doubt_because(placed[-1], origin.labels.doubt, ONE_OUTPUT)
    if not placed:
        raise BrokenCheckError(
            f"{origin.check} looked and said nothing", cure="Return a Gap that says why."
        )
    return placed


def _counts_rows(check: Check, metric: str) -> bool:
    """Whether a figure is a count of the rows at hand, as of the copies among them."""
    return check.id.startswith("data.") and check.emits[metric].exact


def _doubt_because(reading: Reading, why: str, needs: str = "") -> Reading:
    """Doubt a figure for what it was measured on, beside what else it is doubted for."""
    if isinstance(reading, Gap):
        return reading
    told = reading.details.get("doubt")
    details: dict[str, Json] = {**reading.details}
    details["doubt"] = f"{told}; {why}" if isinstance(told, str) else why
    if needs:
        details[NEEDS] = needs
    return replace(reading, doubted=True, worst_case=None, details=details)


def _examine(check: Check, reading: Measurement) -> None:
    metric = check.emits.get(reading.metric)
    if metric is None:
        mistake = f"it emits {', '.join(check.emits)}"
    else:
        numbers = [
            item
            for item in (reading.value, reading.low, reading.high)
            if isinstance(item, float | int) and not isinstance(item, bool)
        ]
        if not all(math.isfinite(item) for item in numbers):
            mistake = "a number is not finite"
        elif (reading.low is None) != (reading.high is None):
            mistake = "one end of its interval is missing"
        elif reading.astray is not None and not reading.doubted:
            mistake = "it says where it may be astray, and is not doubted"
        elif reading.worst_case is not None and not _bounds_truth(reading, reading.worst_case):
            mistake = "its worst case is none of a figure whose doubt has one side"
        elif not metric.exact and reading.low is None:
            mistake = "it has no interval"
        elif reading.low is not None and reading.high is not None and not _holds(reading):
            mistake = f"its interval [{reading.low}, {reading.high}] does not hold {reading.value}"
        elif reading.bound is not metric.bound or reading.unit is not metric.unit:
            mistake = "its bound or unit is not the one that the check declares"
        else:
            mistake = ""
    if mistake:
        raise BrokenCheckError(
            f"{check.id} gave a malformed {reading.metric!r}: {mistake}", cure="Mend the check."
        )


def _holds(reading: Measurement) -> bool:
    low, high, value = reading.low, reading.high, reading.value
    if low is None or high is None or not isinstance(value, float | int):
        return False
    return low <= value <= high


def _bounds_truth(reading: Measurement, worst: float) -> bool:
    """Whether a worst case is of a doubt with one side, and no better than the interval."""
    if not math.isfinite(worst) or reading.low is None or reading.high is None:
        return False
    match reading.astray:
        case BiasDirection.TOO_HIGH:
            return worst >= reading.high
        case BiasDirection.TOO_LOW:
            return worst <= reading.low
        case BiasDirection.EITHER | None:
            return False
