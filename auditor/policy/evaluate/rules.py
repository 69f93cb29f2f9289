"""Evaluation of one policy rule on one target: outcome, reason, margin, and missing evidence.

A limit relative to a baseline is evaluated over all values that the intervals of both measurements
allow. A rule is kept only where it keeps the strictest possible limit, and broken only where it
breaks the laxest one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.metric_ranges import allows_whole_range, find_metric_range
from auditor.domain.policies import AnchoredLimits, LimitAnchor, MetricLimits, Policy, Rule
from auditor.domain.readings import NEEDS, BoundKind, Gap, Measurement, Unit
from auditor.errors import ConditionError
from auditor.metrics.stats.proportions import scale_rows
from auditor.policy.cel import ABOUT_READINGS, compile_condition, convert_to_doubles
from auditor.policy.evaluate import messages
from auditor.policy.evaluate.baseline import NO_BASELINE, SAME_SUITE, BaselineAbsence
from auditor.policy.evaluate.context import TargetContext
from auditor.policy.evaluate.limits import (
    FigureRange,
    LimitComparison,
    breaks_by_doubt,
    build_figure_range,
    compare_with_limits,
    compute_margin,
    foretell_outcome,
    get_limit_bounds,
    keeps_despite_doubt,
)
from auditor.policy.evaluate.readings_index import (
    SLICE,
    TARGET,
    Numbered,
    ReadingGroup,
    ReadingIndex,
)

FIGURE_KEEPS_RULE = "The requirement is met."
FIGURE_BREAKS_RULE = "The requirement is not met."
FIGURE_DECIDES_NOTHING = "The interval includes the limit, so the rule is undecided."
ONE_SIDED = "Such a bound cannot show that a limit is broken, so the rule is undecided."
WITHSTOOD = "The search found no violation. That is no proof, and the policy accepts it."
NOT_ACCEPTED = "The search found no violation. That is no proof, and the policy asks for one."
DOUBTED = "The figure is doubted, and no worst case of it is known to meet the requirement."
ASTRAY = "It is beyond the limit, but its doubt may have moved it there, so the rule is undecided."
NOT_DOUBTED = "a figure that is not doubted"
UNNAMED = (
    "This is the whole sample. The search confirmed no such slice, which is no proof that there is "
    "none."
)
NAMED_SLICES = "a policy that accepts withstood: no search proves that it named every slice"
CLAIMED_ANYTHING = "The claim sets a limit that no value can break, so the rule is undecided."
BREAKABLE_CLAIM = "a claim that sets a limit which a value can break"
NO_NUMBER = "The value is not a number, so no limit applies to it."


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What one reading alone would make of a rule, and why; less ``slack`` is worse.

    ``need`` says what would decide; without it, rows may, by the rule's limits or by ``limits``.
    """

    outcome: Outcome
    why: str
    slack: float = 0.0
    need: str = ""
    limits: MetricLimits | None = None


def judge_by_limits(rule: Rule, measurement: Measurement) -> RuleOutcome:
    """Hold a figure against limits that are numbers."""
    limits = rule.limits
    if limits is None:
        return RuleOutcome(
            Outcome.UNKNOWN, "The rule asks for nothing.", need="a rule with a limit"
        )
    span = build_figure_range(measurement)
    if span is None:
        return RuleOutcome(Outcome.UNKNOWN, NO_NUMBER)
    # Lint refuses such numbers in a policy; these ones were claimed.
    if rule.anchored is not None and allows_whole_range(
        limits, find_metric_range(rule.metric, measurement.unit)
    ):
        return RuleOutcome(Outcome.UNKNOWN, CLAIMED_ANYTHING, need=BREAKABLE_CLAIM)
    slack = compute_margin(span, limits)
    match compare_with_limits(span, limits):
        case LimitComparison.BREAKS if breaks_by_doubt(measurement, span, limits):
            return RuleOutcome(Outcome.UNKNOWN, ASTRAY, slack, need_undoubted(measurement))
        case LimitComparison.BREAKS:
            return RuleOutcome(Outcome.FAILED, FIGURE_BREAKS_RULE, slack)
        case LimitComparison.KEEPS if keeps_despite_doubt(measurement, limits):
            sure = replace(measurement, doubted=False)
            kept = judge_favourable_figure(rule, sure, slack, proven=True)
            passed = kept.outcome is Outcome.PASSED
            return replace(kept, why=messages.describe_worst_case(measurement)) if passed else kept
        case LimitComparison.KEEPS:
            return judge_favourable_figure(rule, measurement, slack, proven=True)
        case LimitComparison.WITHSTANDS:
            return judge_favourable_figure(rule, measurement, slack, proven=False)
        case LimitComparison.OPEN:
            floor, ceiling = get_limit_bounds(limits)
            beyond = span.high < floor or span.low > ceiling
            why = ONE_SIDED if beyond else FIGURE_DECIDES_NOTHING
            return RuleOutcome(Outcome.UNKNOWN, why, slack)


def need_undoubted(measurement: Measurement) -> str:
    """Say what a doubted figure needs: what it names itself, or any without a doubt."""
    return str(measurement.details.get(NEEDS, NOT_DOUBTED))


def judge_favourable_figure(
    rule: Rule, measurement: Measurement, slack: float, *, proven: bool
) -> RuleOutcome:
    """Say what comes of a figure that keeps a rule, as far as it was ``proven`` to."""
    if measurement.doubted:
        return RuleOutcome(Outcome.UNKNOWN, DOUBTED, slack, need_undoubted(measurement))
    if SLICE in rule.for_each and not measurement.slice:
        # Judge what the whole sample says in favour of the slices that a search did not name.
        # Breaking the limit, it breaks it for some slice; keeping it, it says nothing of any one.
        if rule.accept_withstood:
            return RuleOutcome(Outcome.WITHSTOOD, f"{UNNAMED} The policy accepts that.", slack)
        return RuleOutcome(Outcome.UNKNOWN, UNNAMED, slack, NAMED_SLICES)
    if proven:
        return RuleOutcome(Outcome.PASSED, FIGURE_KEEPS_RULE, slack)
    if rule.accept_withstood:
        return RuleOutcome(Outcome.WITHSTOOD, WITHSTOOD, slack)
    return RuleOutcome(Outcome.UNKNOWN, NOT_ACCEPTED, slack)


NO_PRECEDENT = "There is no baseline to compare with."
BOTH_FIGURES_KEEP_RULE = "Over both intervals, the requirement is met."
BOTH_FIGURES_BREAK_RULE = "Over both intervals, the requirement is not met."
BOTH_FIGURES_DECIDE_NOTHING = "The two intervals leave it open, so the rule is undecided."
BOUNDS = (
    "Both figures are bounds of searches that ran differently, so their difference shows nothing."
)
PAIRED = " Both are of the same rows: `auditor compare` compares them in pairs."
OTHER_ROWS = (
    " They are of different rows, so they compare only if both samples represent the same data."
)
CLOSER = "a baseline with a closer figure, or a figure further from it: more rows here cannot"


def judge_by_baseline(
    rule: Rule, anchored: AnchoredLimits, measurement: Measurement, asked: TargetContext
) -> RuleOutcome:
    """Hold a figure against limits that lie somewhere, as the baseline's figure leaves it open.

    It keeps the rule where it keeps the strictest limits that are possible, and breaks it where it
    breaks the laxest.
    """
    span = build_figure_range(measurement)
    if span is None:
        return RuleOutcome(Outcome.UNKNOWN, NO_NUMBER)
    if asked.precedents is None:
        return RuleOutcome(Outcome.UNKNOWN, NO_PRECEDENT, need=NO_BASELINE)
    before = asked.precedents.before(measurement)
    if isinstance(before, BaselineAbsence):
        return RuleOutcome(Outcome.UNKNOWN, before.why, need=before.need)
    strict, lax = possible_limits(anchored, asked.context.claims, before.span)
    opinion = _opinion(rule, measurement, span, (strict, lax), same_suite=before.same_suite)
    told = messages.describe_baseline_figure(
        before.measurement, measurement, str(asked.precedents.baseline)
    )
    rows = {True: PAIRED, False: OTHER_ROWS, None: ""}[before.same_rows]
    return RuleOutcome(
        opinion.outcome,
        f"{told} {opinion.why}{rows}",
        compute_margin(span, strict),
        opinion.need,
        opinion.limits,
    )


def possible_limits(
    anchored: AnchoredLimits, claims: Mapping[str, Json], before: FigureRange
) -> tuple[MetricLimits, MetricLimits]:
    """Return the strictest and the laxest limits that a baseline's figure leaves possible."""
    low, high = before.possible

    def end(limit: float | LimitAnchor | None, baseline: float) -> float | None:
        if not isinstance(limit, LimitAnchor):
            return limit
        return baseline + limit.margin if limit.claim is None else limit.number(claims)

    return (
        MetricLimits(end(anchored.least, high), end(anchored.most, low)),
        MetricLimits(end(anchored.least, low), end(anchored.most, high)),
    )


def _opinion(
    rule: Rule,
    measurement: Measurement,
    span: FigureRange,
    limits: tuple[MetricLimits, MetricLimits],
    *,
    same_suite: bool,
) -> RuleOutcome:
    strict, lax = limits
    if compare_with_limits(span, lax) is LimitComparison.BREAKS:
        if breaks_by_doubt(measurement, span, lax):
            return RuleOutcome(Outcome.UNKNOWN, ASTRAY, need=need_undoubted(measurement))
        return RuleOutcome(Outcome.FAILED, BOTH_FIGURES_BREAK_RULE)
    match compare_with_limits(span, strict):
        case LimitComparison.KEEPS:
            kept = judge_favourable_figure(rule, measurement, 0.0, proven=True)
            return (
                RuleOutcome(Outcome.PASSED, BOTH_FIGURES_KEEP_RULE)
                if kept.outcome is Outcome.PASSED
                else kept
            )
        case LimitComparison.WITHSTANDS if same_suite:
            return judge_favourable_figure(rule, measurement, 0.0, proven=False)
        case LimitComparison.WITHSTANDS:
            return RuleOutcome(Outcome.UNKNOWN, BOUNDS, need=SAME_SUITE)
        case LimitComparison.BREAKS | LimitComparison.OPEN:
            # Whether more rows could decide: not between the limits that are possible
            if _within(span, strict):
                return RuleOutcome(Outcome.UNKNOWN, BOTH_FIGURES_DECIDE_NOTHING, limits=strict)
            if _within(span, lax):
                return RuleOutcome(Outcome.UNKNOWN, BOTH_FIGURES_DECIDE_NOTHING, need=CLOSER)
            return RuleOutcome(Outcome.UNKNOWN, BOTH_FIGURES_DECIDE_NOTHING, limits=lax)


def _within(span: FigureRange, limits: MetricLimits) -> bool:
    floor, ceiling = get_limit_bounds(limits)
    return floor <= span.value <= ceiling


PROOF = "a proof such as a certificate, or a policy that accepts withstood"


def estimate_deciding_rows(
    measurement: Measurement, limits: MetricLimits, *, accepts: bool
) -> Mapping[str, Json] | None:
    """Say how many rows would decide if the figure stays what it is, as ``{"rows": 1200}``.

    Half widths shrink with the root of the sample, so that ``n`` grows by the squared ratio of
    half width to distance. Where no number of rows helps, says what does: ``{"needs": "..."}``.
    """
    span = build_figure_range(measurement)
    if span is None:
        return {"needs": "a figure that is a number"}
    floor, ceiling = get_limit_bounds(limits)
    if floor <= span.value <= ceiling:
        open_below = span.bound is BoundKind.AT_MOST and limits.least is not None
        open_above = span.bound is BoundKind.AT_LEAST and limits.most is not None
        obstacle = PROOF if (open_below or open_above) and not accepts else ""
    else:
        too_low = span.value < floor
        provable = span.bound is BoundKind.ESTIMATE or too_low == (span.bound is BoundKind.AT_MOST)
        obstacle = (
            "" if provable else "a tighter bound: this one can show a kept limit, not a broken one"
        )
    if obstacle:
        return {"needs": obstacle}
    # The greatest ratio of half width to distance over the ends that must clear a limit
    if span.value < floor:
        ratio = _over(span.high - span.value, floor - span.value)
    elif span.value > ceiling:
        ratio = _over(span.value - span.low, span.value - ceiling)
    else:
        ratio = max(
            _over(span.value - span.low, span.value - floor),
            _over(span.high - span.value, ceiling - span.value),
        )
    rows = scale_rows(measurement.n, ratio)
    if rows is None:
        return {"needs": "a figure further from the limit: no sample of practical size decides"}
    return {"rows": max(rows, measurement.n + 1)}


def _over(width: float, distance: float) -> float:
    if math.isinf(distance):
        return 0.0
    return math.inf if distance == 0 else width / distance


WORST_FIRST = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WITHSTOOD, Outcome.PASSED)


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What became of a rule on a target; the deciding reading stands first in ``readings``."""

    outcome: Outcome
    message: str
    readings: tuple[int, ...] = ()
    would_decide: Mapping[str, Json] | None = None


def explain_exemption(policy: Policy, rule: Rule, asked: TargetContext) -> CaseOutcome | None:
    """Say why a rule is not asked of a target, or nothing when it is."""
    for text, what in ((policy.applies_to, "policy"), (rule.when, "rule")):
        if text is None:
            continue
        applies = asked.whether(text)
        if isinstance(applies, ConditionError):
            message = f"Whether the {what} applies is unknown: {applies.problem}."
            return CaseOutcome(Outcome.UNKNOWN, message, (), {"needs": applies.cure})
        if not applies:
            message = f"The {what} does not apply to this model or its data. Condition: `{text}`."
            return CaseOutcome(Outcome.NOT_APPLICABLE, message)
    unclaimed = () if rule.anchored is None else rule.anchored.unclaimed(asked.context.claims)
    if unclaimed:
        return _unclaimed(rule, unclaimed[0])
    asked_of = rule.where.get(TARGET, asked.target)
    # A rule for a target that this audit does not have stays asked: silence must not excuse it.
    if asked_of != asked.target and asked_of in asked.context.targets:
        return CaseOutcome(Outcome.NOT_APPLICABLE, f"The rule applies to {asked_of} only.")
    return None


def _unclaimed(rule: Rule, claim: str) -> CaseOutcome:
    cure = f"a claim {claim} that is a number, under claims in the audit file"
    message = (
        f"{messages.describe_rule(rule)} The audit file claims no {claim}, so there is no limit."
    )
    return CaseOutcome(Outcome.UNKNOWN, message, (), {"needs": cure})


def judge_reading_group(
    rule: Rule, part: ReadingGroup, docket: ReadingIndex, asked: TargetContext
) -> CaseOutcome:
    """Judge a rule by its readings at one place on a target; of several, the worst decides."""
    there = replace(rule, where={**rule.where, **part.place}) if part.place else rule
    if not part.matching:
        gaps = part.missing or docket.whole_gaps(rule, asked.target)
        ask = messages.describe_rule(there, Unit.NONE)
        if not gaps:
            message = f"{ask} Found: nothing. No check reported {there.measure}."
            return CaseOutcome(
                Outcome.UNKNOWN, message, (), {"needs": f"a reading of {there.measure}"}
            )
        message = f"{ask} Not measured: {_why_missing(gaps[0][1])}"
        return CaseOutcome(Outcome.UNKNOWN, message, _indices(gaps), _cure_of(gaps[0][1]))
    worst, opinion = _worst(rule, part.matching, asked)
    index, deciding = part.matching[worst]
    need: Mapping[str, Json] | None
    then = foretell_outcome(deciding, opinion.limits or there.limits)
    beyond = opinion.outcome is Outcome.UNKNOWN and then == "fail"
    if opinion.outcome is not Outcome.UNKNOWN:
        need = None
    elif opinion.need:
        need = {"needs": opinion.need}
    else:
        limits = opinion.limits or there.limits
        if limits is None:
            need = {"needs": PROOF}
        else:
            need = estimate_deciding_rows(deciding, limits, accepts=there.accept_withstood)
    others = (other for at, (other, _) in enumerate(part.matching) if at != worst)
    judgement = CaseOutcome(
        opinion.outcome,
        f"{messages.describe_rule(there, deciding.unit)} "
        f"{messages.describe_measurement(there, deciding, len(part.matching), beyond=beyond)} "
        f"{opinion.why}{messages.describe_needed_rows(need, then, deciding.n)}",
        (index, *others),
        need,
    )
    if part.missing:
        # Keep a rule from passing on the part that could be measured; a failure stays one
        back_message = f"{judgement.message} Not measured: {_why_missing(part.missing[0][1])}"
        if judgement.outcome in {Outcome.FAILED, Outcome.UNKNOWN}:
            readings = (*judgement.readings, *_indices(part.missing))
            return replace(judgement, message=back_message, readings=readings)
        readings = (*_indices(part.missing), *judgement.readings)
        return CaseOutcome(Outcome.UNKNOWN, back_message, readings, _cure_of(part.missing[0][1]))
    return judgement


def is_failing(rule: Rule, part: ReadingGroup, asked: TargetContext) -> bool:
    """Return whether a rule fails at a place, as ``judge_reading_group`` says it in full."""
    if not part.matching:
        return False
    _, opinion = _worst(rule, part.matching, asked)
    return opinion.outcome is Outcome.FAILED


def _worst(
    rule: Rule, matching: Sequence[Numbered], asked: TargetContext
) -> tuple[int, RuleOutcome]:
    """Return the place among the readings of the one that decides, and what it makes of a rule."""
    if rule.anchored is not None and rule.anchored.relative:
        opinions = [judge_by_baseline(rule, rule.anchored, item, asked) for _, item in matching]
    elif rule.require is None:
        opinions = [judge_by_limits(rule, measurement) for _, measurement in matching]
    else:
        opinions = _by_condition(rule, rule.require, [item for _, item in matching], asked)
    found = [
        _rank(rule, it, measured) for it, (_, measured) in zip(opinions, matching, strict=True)
    ]
    worst = min(range(len(found)), key=found.__getitem__)
    return worst, opinions[worst]


def _rank(rule: Rule, opinion: RuleOutcome, measured: Measurement) -> tuple[int, bool, float]:
    """Order readings, the worst first: of undecided ones, those beyond the limit lead."""
    kept = foretell_outcome(measured, opinion.limits or rule.limits) != "fail"
    beyond = opinion.outcome is Outcome.UNKNOWN and not kept
    return WORST_FIRST.index(opinion.outcome), not beyond, opinion.slack


def _indices(gaps: Sequence[tuple[int, Gap]]) -> tuple[int, ...]:
    return tuple(index for index, _ in gaps)


def _why_missing(gap: Gap) -> str:
    return f"{gap.detail.rstrip('.')}. {gap.cure}"


def _cure_of(gap: Gap) -> Mapping[str, Json]:
    return {"needs": gap.cure.rstrip(".")}


def _by_condition(
    rule: Rule, require: str, measured: Sequence[Measurement], asked: TargetContext
) -> list[RuleOutcome]:
    readings = [convert_to_doubles(item.to_json()) for item in measured]
    condition = compile_condition(require, ABOUT_READINGS)
    opinions: list[RuleOutcome] = []
    for measurement, reading in zip(measured, readings, strict=True):
        try:
            holds = condition.answer({**asked.values, "reading": reading, "readings": readings})
        except ConditionError as mistake:
            why = f"The condition has no answer: {mistake.problem}."
            need = "a reading that the condition can be asked of"
            opinions.append(RuleOutcome(Outcome.UNKNOWN, why, need=need))
            continue
        opinions.append(
            judge_favourable_figure(
                rule, measurement, 0.0, proven=measurement.bound is BoundKind.ESTIMATE
            )
            if holds
            else RuleOutcome(Outcome.FAILED, "The requirement is not met.")
        )
    return opinions
