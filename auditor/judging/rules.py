"""One rule on one target: its readings, and what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.canonical import Json
from auditor.domain.policies import Limits, Policy, Rule
from auditor.domain.readings import Bound, Gap, Measurement, Unit
from auditor.domain.verdicts import Outcome
from auditor.errors import ConditionError
from auditor.expressions import ABOUT_MODEL, ABOUT_READINGS, compile_condition
from auditor.judging import words
from auditor.judging.context import JudgingContext
from auditor.judging.docket import Docket
from auditor.judging.needs import PROOF, would_decide
from auditor.judging.standing import Standing, breaks_by_doubt, margin, span_of, stand

Bindings = Mapping[str, Json]
BADNESS = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WITHSTOOD, Outcome.PASSED)

KEPT = "All that the figure leaves possible keeps the rule."
BROKEN = "All that the figure leaves possible breaks the rule."
OPEN = "The figure leaves both possible, so it decides nothing."
WITHSTOOD = "Nothing that was tried broke it. That proves nothing, and the policy accepts it."
NOT_ACCEPTED = "Nothing that was tried broke it; it withstood, but the policy does not accept that."
DOUBTED = "The figure is doubted, and a doubted figure never passes."
ASTRAY = (
    "It breaks the limit on the side on which its doubt says that it may lie, so it shows nothing."
)
NOT_DOUBTED = "a figure that is not doubted"
NO_NUMBER = "The figure is no number, so no limit applies to it."


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a rule on a target; the deciding reading stands first in ``readings``."""

    outcome: Outcome
    message: str
    readings: tuple[int, ...] = ()
    would_decide: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one reading alone would make of a rule, and why; less ``slack`` is worse."""

    outcome: Outcome
    why: str
    slack: float = 0.0
    need: str = ""


def excused(policy: Policy, rule: Rule, target: str, context: JudgingContext) -> Judgement | None:
    """Say why a rule is not asked of this target, or nothing when it is."""
    bindings = context.bindings(policy.params, target)
    for text, what in ((policy.applies_to, "policy"), (rule.when, "rule")):
        if text is None:
            continue
        try:
            applies = compile_condition(text, ABOUT_MODEL).evaluate(bindings)
        except ConditionError as mistake:
            message = f"Whether the {what} applies is unknown: {mistake.problem}."
            return Judgement(Outcome.UNKNOWN, message, (), {"needs": mistake.cure})
        if not applies:
            message = f"The {what} does not apply here: `{text}` is false."
            return Judgement(Outcome.NOT_APPLICABLE, message)
    asked_of = rule.where.get("target", target)
    # A rule for a target that this audit does not have stays asked: silence must not excuse it.
    if asked_of != target and asked_of in context.targets:
        return Judgement(Outcome.NOT_APPLICABLE, f"The rule is asked of {asked_of} alone.")
    return None


def judge_rule(rule: Rule, target: str, docket: Docket, bindings: Bindings) -> Judgement:
    """Judge a rule by its readings on a target; of several, the worst decides."""
    matching, missing = docket.matching(rule, target), docket.missing(rule, target)
    if not matching:
        return _without_reading(rule, missing or docket.whole_gaps(rule, target))
    judgement = _by_measurements(rule, matching, bindings)
    return _held_back(judgement, missing) if missing else judgement


def _by_measurements(
    rule: Rule, matching: Sequence[tuple[int, Measurement]], bindings: Bindings
) -> Judgement:
    measured = [measurement for _, measurement in matching]
    opinions = [_opinion(rule, item, measured, bindings) for item in measured]
    worst = min(range(len(opinions)), key=lambda at: _rank(opinions[at]))
    deciding, opinion = measured[worst], opinions[worst]
    need = _need(rule, deciding, opinion)
    indices = [index for index, _ in matching]
    return Judgement(
        opinion.outcome,
        f"{words.asked(rule, deciding.unit)} {words.found(rule, deciding, len(matching))} "
        f"{opinion.why}{words.rows(need)}",
        (indices[worst], *indices[:worst], *indices[worst + 1 :]),
        need,
    )


def _rank(opinion: Opinion) -> tuple[int, float]:
    return BADNESS.index(opinion.outcome), opinion.slack


def _without_reading(rule: Rule, gaps: Sequence[tuple[int, Gap]]) -> Judgement:
    ask = words.asked(rule, Unit.NONE)
    if not gaps:
        message = f"{ask} Found: no reading of {rule.measure} there; silence proves nothing."
        return Judgement(Outcome.UNKNOWN, message, (), {"needs": f"a reading of {rule.measure}"})
    message = f"{ask} Not measured: {_why_missing(gaps[0][1])}"
    return Judgement(Outcome.UNKNOWN, message, _indices(gaps), _cure_of(gaps[0][1]))


def _held_back(judgement: Judgement, gaps: Sequence[tuple[int, Gap]]) -> Judgement:
    """Keep a rule from passing on the part that could be measured; a failure stays one."""
    message = f"{judgement.message} Not measured: {_why_missing(gaps[0][1])}"
    if judgement.outcome in {Outcome.FAILED, Outcome.UNKNOWN}:
        readings = (*judgement.readings, *_indices(gaps))
        return replace(judgement, message=message, readings=readings)
    readings = (*_indices(gaps), *judgement.readings)
    return Judgement(Outcome.UNKNOWN, message, readings, _cure_of(gaps[0][1]))


def _indices(gaps: Sequence[tuple[int, Gap]]) -> tuple[int, ...]:
    return tuple(index for index, _ in gaps)


def _why_missing(gap: Gap) -> str:
    return f"{gap.detail.rstrip('.')}. {gap.cure}"


def _cure_of(gap: Gap) -> Mapping[str, Json]:
    return {"needs": gap.cure.rstrip(".")}


def _opinion(
    rule: Rule, measurement: Measurement, measured: Sequence[Measurement], bindings: Bindings
) -> Opinion:
    if rule.limits is not None:
        return _by_limits(rule, rule.limits, measurement)
    if rule.require is not None:
        return _by_condition(rule, rule.require, measurement, measured, bindings)
    return Opinion(Outcome.UNKNOWN, "The rule asks for nothing.", need="a rule with a limit")


def _by_limits(rule: Rule, limits: Limits, measurement: Measurement) -> Opinion:
    span = span_of(measurement)
    if span is None:
        return Opinion(Outcome.UNKNOWN, NO_NUMBER)
    slack = margin(span, limits)
    match stand(span, limits):
        case Standing.BREAKS if breaks_by_doubt(measurement, span, limits):
            return Opinion(Outcome.UNKNOWN, ASTRAY, slack, NOT_DOUBTED)
        case Standing.BREAKS:
            return Opinion(Outcome.FAILED, BROKEN, slack)
        case Standing.KEEPS:
            return _favourable(rule, measurement, slack, proven=True)
        case Standing.WITHSTANDS:
            return _favourable(rule, measurement, slack, proven=False)
        case Standing.OPEN:
            return Opinion(Outcome.UNKNOWN, OPEN, slack)


def _by_condition(
    rule: Rule,
    require: str,
    measurement: Measurement,
    measured: Sequence[Measurement],
    bindings: Bindings,
) -> Opinion:
    seen: dict[str, Json] = {
        "reading": measurement.to_json(),
        "readings": [item.to_json() for item in measured],
    }
    try:
        holds = compile_condition(require, ABOUT_READINGS).evaluate({**bindings, **seen})
    except ConditionError as mistake:
        why = f"That gives no answer: {mistake.problem}."
        return Opinion(Outcome.UNKNOWN, why, need="a reading that the condition can be asked of")
    if not holds:
        return Opinion(Outcome.FAILED, "The condition does not hold.")
    return _favourable(rule, measurement, 0.0, proven=measurement.bound is Bound.ESTIMATE)


def _favourable(rule: Rule, measurement: Measurement, slack: float, *, proven: bool) -> Opinion:
    if measurement.doubted:
        return Opinion(Outcome.UNKNOWN, DOUBTED, slack, NOT_DOUBTED)
    if proven:
        return Opinion(Outcome.PASSED, KEPT, slack)
    if rule.accept_withstood:
        return Opinion(Outcome.WITHSTOOD, WITHSTOOD, slack)
    return Opinion(Outcome.UNKNOWN, NOT_ACCEPTED, slack)


def _need(rule: Rule, measurement: Measurement, opinion: Opinion) -> Mapping[str, Json] | None:
    if opinion.outcome is not Outcome.UNKNOWN:
        return None
    if opinion.need:
        return {"needs": opinion.need}
    if rule.limits is None:
        return {"needs": PROOF}
    return would_decide(measurement, rule.limits, accepts=rule.accept_withstood)
