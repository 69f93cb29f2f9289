"""One rule on one target: its readings, and what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.canonical import Json
from auditor.domain.policies import Policy, Rule
from auditor.domain.readings import Bound, Gap, Measurement, Unit
from auditor.domain.verdicts import Outcome
from auditor.errors import ConditionError
from auditor.expressions import ABOUT_READINGS, as_doubles, compile_condition
from auditor.judging import words
from auditor.judging.asking import Asked
from auditor.judging.docket import TARGET, Docket, Numbered
from auditor.judging.needs import PROOF, would_decide
from auditor.judging.opinions import Opinion, by_limits, favourable
from auditor.judging.parts import Part
from auditor.judging.relating import by_baseline

WORST_FIRST = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WITHSTOOD, Outcome.PASSED)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a rule on a target; the deciding reading stands first in ``readings``."""

    outcome: Outcome
    message: str
    readings: tuple[int, ...] = ()
    would_decide: Mapping[str, Json] | None = None


def excused(policy: Policy, rule: Rule, asked: Asked) -> Judgement | None:
    """Say why a rule is not asked of a target, or nothing when it is."""
    for text, what in ((policy.applies_to, "policy"), (rule.when, "rule")):
        if text is None:
            continue
        applies = asked.whether(text)
        if isinstance(applies, ConditionError):
            message = f"Whether the {what} applies is unknown: {applies.problem}."
            return Judgement(Outcome.UNKNOWN, message, (), {"needs": applies.cure})
        if not applies:
            message = f"The {what} does not apply here: `{text}` is false."
            return Judgement(Outcome.NOT_APPLICABLE, message)
    unclaimed = () if rule.anchored is None else rule.anchored.unclaimed(asked.context.claims)
    if unclaimed:
        return _unclaimed(rule, unclaimed[0])
    asked_of = rule.where.get(TARGET, asked.target)
    # A rule for a target that this audit does not have stays asked: silence must not excuse it.
    if asked_of != asked.target and asked_of in asked.context.targets:
        return Judgement(Outcome.NOT_APPLICABLE, f"The rule is asked of {asked_of} alone.")
    return None


def _unclaimed(rule: Rule, claim: str) -> Judgement:
    cure = f"a claim {claim} that is a number, under claims in the audit file"
    message = f"{words.asked(rule)} Nothing is claimed of {claim}, so there is no limit to hold."
    return Judgement(Outcome.UNKNOWN, message, (), {"needs": cure})


def judge_part(rule: Rule, part: Part, docket: Docket, asked: Asked) -> Judgement:
    """Judge a rule by its readings at one place on a target; of several, the worst decides."""
    there = replace(rule, where={**rule.where, **part.place}) if part.place else rule
    if not part.matching:
        gaps = part.missing or docket.whole_gaps(rule, asked.target)
        return _without_reading(there, gaps)
    worst, opinion = _worst(rule, part.matching, asked)
    judgement = _told(there, part.matching, worst, opinion)
    return _held_back(judgement, part.missing) if part.missing else judgement


def fails(rule: Rule, part: Part, asked: Asked) -> bool:
    """Return whether a rule fails at a place, as ``judge_part`` says it with all its words."""
    if not part.matching:
        return False
    _, opinion = _worst(rule, part.matching, asked)
    return opinion.outcome is Outcome.FAILED


def _worst(rule: Rule, matching: Sequence[Numbered], asked: Asked) -> tuple[int, Opinion]:
    """Return the place among the readings of the one that decides, and what it makes of a rule."""
    if rule.anchored is not None and rule.anchored.relative:
        opinions = [by_baseline(rule, rule.anchored, item, asked) for _, item in matching]
    elif rule.require is None:
        opinions = [by_limits(rule, measurement) for _, measurement in matching]
    else:
        opinions = _by_condition(rule, rule.require, [item for _, item in matching], asked)
    worst = min(range(len(opinions)), key=lambda at: _rank(opinions[at]))
    return worst, opinions[worst]


def _told(rule: Rule, matching: Sequence[Numbered], worst: int, opinion: Opinion) -> Judgement:
    index, deciding = matching[worst]
    need = _need(rule, deciding, opinion)
    others = (other for at, (other, _) in enumerate(matching) if at != worst)
    return Judgement(
        opinion.outcome,
        f"{words.asked(rule, deciding.unit)} {words.found(rule, deciding, len(matching))} "
        f"{opinion.why}{words.rows(need)}",
        (index, *others),
        need,
    )


def _rank(opinion: Opinion) -> tuple[int, float]:
    return WORST_FIRST.index(opinion.outcome), opinion.slack


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


def _by_condition(
    rule: Rule, require: str, measured: Sequence[Measurement], asked: Asked
) -> list[Opinion]:
    readings = [as_doubles(item.to_json()) for item in measured]
    condition = compile_condition(require, ABOUT_READINGS)
    opinions: list[Opinion] = []
    for measurement, reading in zip(measured, readings, strict=True):
        try:
            holds = condition.answer({**asked.values, "reading": reading, "readings": readings})
        except ConditionError as mistake:
            why = f"That gives no answer: {mistake.problem}."
            need = "a reading that the condition can be asked of"
            opinions.append(Opinion(Outcome.UNKNOWN, why, need=need))
            continue
        opinions.append(
            favourable(rule, measurement, 0.0, proven=measurement.bound is Bound.ESTIMATE)
            if holds
            else Opinion(Outcome.FAILED, "The condition does not hold.")
        )
    return opinions


def _need(rule: Rule, measurement: Measurement, opinion: Opinion) -> Mapping[str, Json] | None:
    if opinion.outcome is not Outcome.UNKNOWN:
        return None
    if opinion.need:
        return {"needs": opinion.need}
    limits = opinion.limits or rule.limits
    if limits is None:
        return {"needs": PROOF}
    return would_decide(measurement, limits, accepts=rule.accept_withstood)
