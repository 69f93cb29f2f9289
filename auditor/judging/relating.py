"""Judge a figure against a baseline's: by all that both of them leave possible, held together."""

from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.domain.policies import Anchor, Anchored, Limits, Rule
from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.judging import words
from auditor.judging.asking import Asked
from auditor.judging.opinions import ASTRAY, NO_NUMBER, NOT_DOUBTED, Opinion, favourable
from auditor.judging.precedents import NO_BASELINE, SAME_SUITE, Lacking
from auditor.judging.standing import (
    Span,
    Standing,
    breaks_by_doubt,
    edges,
    margin,
    span_of,
    stand,
)

NO_PRECEDENT = "There is no baseline to hold it against."
KEPT = "All that both figures leave possible keeps the rule."
BROKEN = "All that both figures leave possible breaks the rule."
OPEN = "The two figures leave both possible, so they decide nothing."
BOUNDS = (
    "Both figures are only bounds, and what two searches did not find shows no difference unless "
    "they looked alike."
)
PAIRED = " Both are of the same rows, which `auditor compare` holds against each other in pairs."
OTHER_ROWS = (
    " They are of different rows, and compare as far as both samples stand for the same whole."
)
CLOSER = "a baseline with a closer figure, or a figure further from it: more rows here cannot"


def by_baseline(rule: Rule, anchored: Anchored, measurement: Measurement, asked: Asked) -> Opinion:
    """Hold a figure against limits that lie somewhere, as the baseline's figure leaves it open.

    It keeps the rule where it keeps the strictest limits that are possible, and breaks it where it
    breaks the laxest.
    """
    span = span_of(measurement)
    if span is None:
        return Opinion(Outcome.UNKNOWN, NO_NUMBER)
    if asked.precedents is None:
        return Opinion(Outcome.UNKNOWN, NO_PRECEDENT, need=NO_BASELINE)
    before = asked.precedents.before(measurement)
    if isinstance(before, Lacking):
        return Opinion(Outcome.UNKNOWN, before.why, need=before.need)
    strict, lax = possible_limits(anchored, asked.context.claims, before.span)
    opinion = _opinion(rule, measurement, span, (strict, lax), same_suite=before.same_suite)
    told = words.before(before.measurement, measurement, str(asked.precedents.baseline))
    rows = {True: PAIRED, False: OTHER_ROWS, None: ""}[before.same_rows]
    return Opinion(
        opinion.outcome,
        f"{told} {opinion.why}{rows}",
        margin(span, strict),
        opinion.need,
        opinion.limits,
    )


def possible_limits(
    anchored: Anchored, claims: Mapping[str, Json], before: Span
) -> tuple[Limits, Limits]:
    """Return the strictest and the laxest limits that a baseline's figure leaves possible."""
    low, high = before.possible

    def end(limit: float | Anchor | None, baseline: float) -> float | None:
        if not isinstance(limit, Anchor):
            return limit
        return baseline + limit.margin if limit.claim is None else limit.number(claims)

    return (
        Limits(end(anchored.least, high), end(anchored.most, low)),
        Limits(end(anchored.least, low), end(anchored.most, high)),
    )


def _opinion(
    rule: Rule,
    measurement: Measurement,
    span: Span,
    limits: tuple[Limits, Limits],
    *,
    same_suite: bool,
) -> Opinion:
    strict, lax = limits
    if stand(span, lax) is Standing.BREAKS:
        if breaks_by_doubt(measurement, span, lax):
            return Opinion(Outcome.UNKNOWN, ASTRAY, need=NOT_DOUBTED)
        return Opinion(Outcome.FAILED, BROKEN)
    match stand(span, strict):
        case Standing.KEEPS:
            kept = favourable(rule, measurement, 0.0, proven=True)
            return Opinion(Outcome.PASSED, KEPT) if kept.outcome is Outcome.PASSED else kept
        case Standing.WITHSTANDS if same_suite:
            return favourable(rule, measurement, 0.0, proven=False)
        case Standing.WITHSTANDS:
            return Opinion(Outcome.UNKNOWN, BOUNDS, need=SAME_SUITE)
        case Standing.BREAKS | Standing.OPEN:
            return _open(span, strict, lax)


def _open(span: Span, strict: Limits, lax: Limits) -> Opinion:
    """Say whether more rows could decide: not between the limits that are possible."""
    if _within(span, strict):
        return Opinion(Outcome.UNKNOWN, OPEN, limits=strict)
    if _within(span, lax):
        return Opinion(Outcome.UNKNOWN, OPEN, need=CLOSER)
    return Opinion(Outcome.UNKNOWN, OPEN, limits=lax)


def _within(span: Span, limits: Limits) -> bool:
    floor, ceiling = edges(limits)
    return floor <= span.value <= ceiling
