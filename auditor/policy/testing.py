"""Readings that a case is given: later ones replace earlier ones, and some are removed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from auditor.documents import Document, Place
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric
from auditor.domain.readings import Gap, Measurement, Reading, Reason
from auditor.errors import PolicyError
from auditor.packs.cases.shapes import ReadingShape


@dataclass(frozen=True, slots=True)
class Given:
    """A reading as the file says it, and where it stands."""

    shape: ReadingShape
    place: Place


def gathered(
    given: Sequence[Given],
    checks: Mapping[str, type[Check]],
    target: str,
    document: Document,
) -> tuple[Reading, ...]:
    """Return the readings that remain; ``target`` is where those are that name none.

    A measurement replaces the one of the same metric, target, parameters and slice; a gap replaces
    all that its check (or its metric) measured there. Raises ``PolicyError`` for what no check
    emits.
    """
    kept: list[Reading] = []
    for item in given:
        reading = _reading(item.shape, checks, target, document.where(item.place))
        kept = [*(other for other in kept if not _replaces(reading, other)), reading]
    return tuple(kept)


def without(
    readings: Sequence[Reading], remove: Sequence[str], document: Document, place: Place
) -> tuple[Reading, ...]:
    """Return readings without those of some checks, or of some of their metrics.

    Raises ``PolicyError`` for one of which there is no reading.
    """
    kept = tuple(readings)
    for at, name in enumerate(remove):
        left = tuple(reading for reading in kept if not _named(reading, name))
        if len(left) == len(kept):
            raise PolicyError(
                f"{document.where((*place, at))}: there is no reading of {name!r} to remove",
                cure="Name a check, or a check and its metric, of which the case has readings.",
            )
        kept = left
    return kept


def _reading(
    shape: ReadingShape, checks: Mapping[str, type[Check]], target: str, where: str
) -> Reading:
    target = shape.target or target
    if shape.gap is not None:
        _declared(shape.gap, shape.metric, checks, where)
        return Gap(
            reason=shape.reason or Reason.UNSUPPORTED,
            detail=shape.detail,
            cure=shape.cure,
            target=target,
            check=shape.gap,
            metric=shape.metric or "",
            params=shape.params,
        )
    check, _, name = (shape.measure or "").partition("/")
    metric = _declared(check, name, checks, where)
    if metric is not None and shape.unit not in {None, metric.unit}:
        raise PolicyError(
            f"{where}: {shape.measure} is measured in {metric.unit.value}, not {shape.unit}",
            cure="Leave the unit out, or write the metric's own.",
        )
    return _measurement(shape, check, name, metric, target)


def _measurement(
    shape: ReadingShape, check: str, name: str, metric: Metric | None, target: str
) -> Measurement:
    exact = shape.low is None and shape.high is None
    declared = Measurement(metric=name, value=None, method="", n=0)
    return Measurement(
        metric=name,
        value=shape.value,
        low=shape.low,
        high=shape.high,
        confidence=None if exact else shape.confidence,
        bound=shape.bound or (declared if metric is None else metric).bound,
        method=shape.method,
        n=shape.n,
        unit=declared.unit if metric is None else metric.unit,
        params=shape.params,
        slice=shape.slice,
        doubted=shape.doubted,
        astray=shape.astray,
        details=cast("Mapping[str, Json]", shape.details),
        target=target,
        check=check,
        version=1,
    )


def _declared(
    check_id: str, metric: str | None, checks: Mapping[str, type[Check]], where: str
) -> Metric | None:
    check = checks.get(check_id)
    if check is None:
        raise PolicyError(
            f"{where}: there is no check {check_id!r}", cure="`auditor checks list` names all."
        )
    if metric is None:
        return None
    if metric not in check.emits:
        raise PolicyError(
            f"{where}: {check_id} emits no {metric!r}", cure=f"It emits {', '.join(check.emits)}."
        )
    return check.emits[metric]


def _replaces(later: Reading, earlier: Reading) -> bool:
    """Whether an earlier reading goes when a later one comes."""
    if (later.target, later.check) != (earlier.target, earlier.check):
        return False
    if isinstance(later, Gap):
        return not later.metric or _same_metric(later, earlier)
    if isinstance(earlier, Gap):
        return not earlier.metric or _same_metric(earlier, later)
    return (later.metric, later.params, later.slice) == (
        earlier.metric,
        earlier.params,
        earlier.slice,
    )


def _same_metric(gap: Gap, other: Reading) -> bool:
    """Whether a gap of one metric speaks of the place at which another reading lies."""
    return gap.metric == other.metric and all(
        other.params.get(key) == value for key, value in gap.params.items()
    )


def _named(reading: Reading, name: str) -> bool:
    return name in {reading.check, f"{reading.check}/{reading.metric}"}
