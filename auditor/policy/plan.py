"""Audit plan: estimated cost, missing inputs, and the rules that the available rows can decide."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import NormalDist
from types import MappingProxyType

from auditor.checks.measure import get_check_parameters
from auditor.domain.budgets import LEAST_SECONDS, SECONDS_A_TRAINED_ROW, AuditSize, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.gaps import OPEN, VERDICT
from auditor.domain.json import Json, write_fields
from auditor.domain.number_text import format_duration
from auditor.domain.policies import MetricLimits, Policy, Rule, RuleEffect
from auditor.domain.readings import BoundKind, Gap, GapReason, Unit
from auditor.errors import ConditionError
from auditor.metrics.stats.proportions import scale_rows
from auditor.metrics.stats.sequential import spend_on_looks
from auditor.policy.cel import ABOUT_MODEL, compile_condition

FAMILIES = frozenset({"privacy", "poisoning"})
"""Families whose checks differ most in what an owner has to hand over."""
INPUTS: Mapping[Need, str] = MappingProxyType(
    {
        Need.ARTIFACT: "model",
        Need.MODEL: "model",
        Need.SCORES: "model",
        Need.TWIN: "twin",
        Need.SPACE: "input space",
        Need.EVALUATION: "evaluation set",
        Need.LABELS: "evaluation set",
        Need.REFERENCE: "reference set",
        Need.TRAINING: "training set",
        Need.PRODUCTION: "production set",
        Need.RECIPE: "recipe",
        Need.SHADOWS: "shadow models",
        Need.GENERATOR: "generator",
        Need.PRIVACY_CLAIM: "privacy claim",
    }
)
"""What an owner hands over to meet a need, where that has another name than the need itself."""
NOTHING: Mapping[Need, Gap] = MappingProxyType({})
OF_THE_TASK = frozenset({Need.CLASSIFICATION, Need.REGRESSION, Need.TEXT})
"""Needs that nobody can meet by handing over more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTier:
    """One input: whether it is here, and which checks hang on it.

    ``answers`` are checks that need it and can run, ``deepens`` those that can run without it and
    say more with it. Where it is missing, ``adds`` are those that it alone would let run, and
    ``why`` says what is the matter with it and the cure. ``waits`` names by check the other inputs
    without which this one is of no use to it.
    """

    input: str
    here: bool
    answers: tuple[str, ...]
    adds: tuple[str, ...]
    deepens: tuple[str, ...]
    waits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    why: str = ""

    to_json = write_fields


def list_input_tiers(
    checks: Iterable[Check | type[Check]],
    lacking: Mapping[str, frozenset[Need]],
    absent: Mapping[Need, Gap] = NOTHING,
    missing: Collection[str] = (),
) -> tuple[InputTier, ...]:
    """Return the inputs that checks of ``FAMILIES`` need or want, in the order of their needs.

    ``lacking`` says by a check's id what of both it has not, and ``absent`` why; ``missing`` names
    all that cannot run: also those that have every input, and no library or nothing to do.
    """
    asked = [check for check in checks if check.id.partition(".")[0] in FAMILIES]
    used = {need for check in asked for need in (*check.needs, *check.wants)} - OF_THE_TASK
    names = dict.fromkeys(_name(need) for need in Need if need in used)
    return tuple(
        replace(
            (tier := _tier(name, asked, lacking)),
            answers=tuple(it for it in tier.answers if it not in missing),
            deepens=tuple(it for it in tier.deepens if it not in missing),
            why=_why(name, used, absent),
        )
        for name in names
    )


def _why(name: str, used: AbstractSet[Need], absent: Mapping[Need, Gap]) -> str:
    gaps = (absent[need] for need in Need if need in used & absent.keys() and _name(need) == name)
    return next((f"{gap.detail} {gap.cure}" for gap in gaps), "")


def _tier(
    name: str, asked: list[Check | type[Check]], lacking: Mapping[str, frozenset[Need]]
) -> InputTier:
    missing = {check.id: lacking.get(check.id, frozenset()) for check in asked}
    unmet = {check.id: missing[check.id] & check.needs for check in asked}
    needing = [check.id for check in asked if any(_name(need) == name for need in check.needs)]
    wanting = [check.id for check in asked if any(_name(need) == name for need in check.wants)]
    without = [item for item, needs in missing.items() if any(_name(n) == name for n in needs)]
    return InputTier(
        input=name,
        here=not without,
        answers=tuple(item for item in needing if not unmet[item]),
        adds=tuple(
            item for item in without if unmet[item] and {_name(n) for n in unmet[item]} == {name}
        ),
        deepens=tuple(item for item in wanting if not unmet[item] and item not in needing),
        waits={
            item: others
            for item in dict.fromkeys((*needing, *wanting))
            if (others := _others(name, unmet[item]))
        },
    )


def _others(name: str, unmet: frozenset[Need]) -> tuple[str, ...]:
    """Return the inputs but ``name`` that a check needs and nobody gave; none it can never have."""
    if unmet & OF_THE_TASK:
        return ()
    return tuple(dict.fromkeys(it for it in map(_name, sorted(unmet)) if it != name))


def _name(need: Need) -> str:
    return INPUTS.get(need, need.value.replace("_", " "))


class RuleProspect(StrEnum):
    """What a rule can come to with the rows at hand."""

    CERTAIN = "certain"
    LIKELY = "likely"
    OPEN = "open"
    NEVER = "cannot_pass"
    UNANSWERABLE = "unanswerable"
    UNFORESEEN = "unforeseen"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningContext:
    """What is known of one target before an audit runs.

    ``targets`` names all targets of the audit; ``missing`` says why a check cannot run, by its
    id, ``lacking`` what it needs or wants and has not, and ``absent`` why not; ``model``,
    ``claims``, ``task`` and ``predictions_only`` are what ``when`` may ask, ``baseline`` whether
    there is one to take limits from. ``rows`` are those that a check's time allows at least, by id,
    where that is not all of them, and ``looks`` how often its rules are judged before the last of
    them; ``left_out`` counts the checks for which there is none.
    Paces are seconds a row, ``None`` where nobody timed it; ``remembers`` says whether the clean
    scores of one check are those of all. ``earlier`` holds the seconds that checks took in earlier
    audits, by id; an audit takes ``beside`` seconds beside its checks.
    """

    size: AuditSize
    target: str
    targets: tuple[str, ...] = ()
    missing: Mapping[str, Gap] = field(default_factory=dict)
    lacking: Mapping[str, frozenset[Need]] = field(default_factory=dict)
    absent: Mapping[Need, Gap] = field(default_factory=dict)
    model: Mapping[str, Json] = field(default_factory=dict)
    claims: Mapping[str, Json] = field(default_factory=dict)
    baseline: bool = False
    task: str = "classification"
    predictions_only: bool = False
    confidence: float = 0.95
    rows: Mapping[str, int] = field(default_factory=dict)
    looks: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    seconds_per_query: float | None = None
    seconds_per_pass: float | None = None
    remembers: bool = True
    earlier: Mapping[str, float] = field(default_factory=dict)
    beside: float = 0.0
    price_per_hour: float | None = None
    price_per_query: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlan:
    """What one check will spend, at most; ``seconds`` is ``None`` where the pace is not known.

    ``notes`` say what it does with the rows, and what they cannot carry.
    """

    check: str
    title: str
    queries: int
    passes: int
    seconds: float | None
    price: float | None
    missing: Gap | None
    notes: tuple[str, ...] = ()

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class RuleForecast:
    """What a rule can come to, and why.

    ``chance`` is that of passing if the truth lies half-way between ideal and limit; ``rows`` how
    many rows would make it good, or would let a perfect model pass where none can now. ``applies``
    is ``None`` where it is unknown whether the rule is asked of the target.
    """

    prospect: RuleProspect
    message: str
    half_width: float | None = None
    chance: float | None = None
    rows: int | None = None
    applies: bool | None = True


@dataclass(frozen=True, slots=True)
class RulePlan:
    """One rule and what it can come to."""

    rule: str
    title: str
    measure: str
    effect: RuleEffect
    foreseen: RuleForecast

    @property
    def check(self) -> str:
        """The check whose metric the rule bounds."""
        return self.measure.partition("/")[0]

    def to_json(self) -> dict[str, Json]:
        """Return the form that a plan prints."""
        said = write_fields(self)
        del said["foreseen"]
        told = write_fields(self.foreseen)
        del told["applies"]  # the prospect and the message name it
        return said | told


DECIDABLE = frozenset({RuleProspect.CERTAIN, RuleProspect.LIKELY, RuleProspect.UNFORESEEN})
"""Prospects of rules that the rows at hand are expected to decide."""
UNAVAILABLE = frozenset(
    {
        GapReason.NEEDS_CLASSIFICATION,
        GapReason.NEEDS_REGRESSION,
        GapReason.NEEDS_NUMERIC_INPUT,
        GapReason.NEEDS_TEXT_INPUT,
        GapReason.NOT_DEFINED,
        GapReason.OVER_BUDGET,
    }
)
"""Reasons of the model, its task or the budget: no input that an owner adds removes them."""


@dataclass(frozen=True, slots=True)
class MissingInput:
    """One reason why checks cannot run and its cure, with the checks and the rules that wait."""

    gap: Gap
    checks: tuple[str, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoreTime:
    """Rules that so many more minutes would decide, and fewer would not."""

    minutes: int
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What an audit of one target costs and can decide; totals leave out what cannot run.

    ``tiers`` says what each input unlocks of privacy and poisoning; ``shortened`` counts the checks
    whose time does not suffice for all their rows, ``left_out`` those for which there is none.
    ``more_time`` is what each further stretch of time would decide. An audit takes ``beside``
    seconds beside its checks; the times of ``timed_before`` checks are those of earlier audits.
    """

    checks: tuple[CheckPlan, ...]
    rules: tuple[RulePlan, ...]
    tiers: tuple[InputTier, ...] = ()
    shortened: int = 0
    left_out: int = 0
    more_time: tuple[MoreTime, ...] = ()
    beside: float = 0.0
    timed_before: int = 0

    @property
    def queries(self) -> int:
        """Rows scored on the target, at most: checks that look at the same rows share scores."""
        return sum(item.queries for item in self.checks if item.missing is None)

    @property
    def seconds(self) -> float | None:
        """Seconds of the audit, or nothing where the pace is not known."""
        checks = [item.seconds for item in self.checks if item.missing is None]
        return sum_if_known([*checks, self.beside])

    @property
    def duration(self) -> str:
        """How long the audit takes in words: by checks of known time alone, at least so long."""
        known = [item.seconds or 0.0 for item in self.checks if item.missing is None]
        least = sum(known) + self.beside
        if self.seconds is None:
            return f"at least {format_duration(least)}" if least else "time unknown"
        return f"about {format_duration(self.seconds)}"

    @property
    def price(self) -> float | None:
        """What the target's time costs, or nothing where it has no price."""
        return sum_if_known([item.price for item in self.checks if item.missing is None])

    @property
    def applicable(self) -> tuple[RulePlan, ...]:
        """Rules that are asked of this target."""
        away = RuleProspect.NOT_APPLICABLE
        return tuple(item for item in self.rules if item.foreseen.prospect is not away)

    @property
    def decidable(self) -> tuple[RulePlan, ...]:
        """Rules that the rows at hand are expected to decide."""
        return tuple(
            item
            for item in self.rules
            if item.foreseen.prospect in DECIDABLE and item.foreseen.applies
        )

    @property
    def missing_inputs(self) -> tuple[MissingInput, ...]:
        """What an owner can add, first what unlocks the most rules and then the most checks."""
        found: dict[tuple[GapReason, str], list[CheckPlan]] = {}
        for check in self.checks:
            if check.missing is not None:
                place = check.missing.reason, check.missing.cure
                found.setdefault(place, []).append(check)
        inputs = [_missing(waiting, self.applicable) for waiting in found.values()]
        kept = [it for it in inputs if it.rules or it.gap.reason not in UNAVAILABLE]
        return tuple(sorted(kept, key=lambda it: (-len(it.rules), -len(it.checks))))

    def to_json(self) -> dict[str, Json]:
        """Return the form that a plan prints."""
        totals = {"queries": self.queries, "seconds": self.seconds, "price": self.price}
        counts = {"applicable": len(self.applicable), "decidable": len(self.decidable)}
        return write_fields(self) | totals | counts


def _missing(waiting: Sequence[CheckPlan], rules: Iterable[RulePlan]) -> MissingInput:
    names = tuple(check.check for check in waiting)
    held = tuple(item.rule for item in rules if item.check in names)
    gap = next(check.missing for check in waiting if check.missing is not None)
    return MissingInput(gap, names, held)


def sum_if_known(parts: Sequence[float | None]) -> float | None:
    """Add up what is known, or return nothing where a part is not."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


GOOD_CHANCE = 0.8
NORMAL = NormalDist()


def forecast_exemption(policy: Policy, rule: Rule, outlook: PlanningContext) -> RuleForecast | None:
    """Say why a rule will not be asked of the target, or nothing when it will."""
    bindings: dict[str, Json] = {
        "params": policy.params,
        "model": outlook.model,
        "claims": outlook.claims,
        "target": outlook.target,
        "served": outlook.size.served,
        "task": outlook.task,
        "predictions_only": outlook.predictions_only,
    }
    for text in (policy.applies_to, rule.when):
        try:
            if text is not None and not compile_condition(text, ABOUT_MODEL).evaluate(bindings):
                return RuleForecast(
                    RuleProspect.NOT_APPLICABLE, f"Not asked here: `{text}` is false."
                )
        except ConditionError as mistake:
            why = f"Whether it applies is unknown: {mistake}"
            return RuleForecast(RuleProspect.UNFORESEEN, why, applies=None)
    asked_of = rule.where.get("target", outlook.target)
    if asked_of != outlook.target and asked_of in outlook.targets:
        return RuleForecast(RuleProspect.NOT_APPLICABLE, f"Asked of {asked_of} alone.")
    return None


def forecast_unanswerable(
    rule: Rule, checks: Mapping[str, Check], outlook: PlanningContext
) -> RuleForecast | None:
    """Say why no reading can answer a rule, or nothing when one can."""
    gap = outlook.missing.get(rule.check)
    if gap is not None:
        why = f"No reading can answer it: {gap.detail.rstrip('.')}. {gap.cure}"
    elif rule.check not in checks:
        why = f"No reading can answer it: {rule.check} is not part of this audit."
    elif rule.metric not in checks[rule.check].emits:
        why = f"No reading can answer it: {rule.check} emits no {rule.metric}."
    elif rule.anchored is not None and rule.anchored.unclaimed(outlook.claims):
        why = f"No reading can answer it: nothing is claimed of {rule.anchored.words()}."
    elif rule.anchored is not None and rule.anchored.relative and not outlook.baseline:
        why = f"No reading can answer it: it asks {rule.anchored.words()}, and none is given."
    elif rule.where.get("target", outlook.target) != outlook.target:
        why = f"No reading can answer it: {rule.where['target']} is not part of this audit."
    else:
        check = checks[rule.check]
        short = check.foretell(outlook.size).shortages.get(rule.metric)
        if short is None:
            return None
        few_why = f"No reading can answer it: {short.why}. {short.cure}"
        return RuleForecast(RuleProspect.UNANSWERABLE, few_why, rows=short.rows)
    return RuleForecast(RuleProspect.UNANSWERABLE, why)


def forecast_rule(rule: Rule, check: Check, outlook: PlanningContext) -> RuleForecast:
    """Compare the half width that the check foresees with the room between ideal and limit."""
    metric = check.emits[rule.metric]
    if _faces_away(rule, metric) and not rule.accept_withstood:
        why = (
            "Cannot pass: what is found is only a bound, and the policy does not accept withstood."
        )
        return RuleForecast(RuleProspect.NEVER, why)
    if rule.metric == VERDICT:
        why = f"Can be answered; that it is {OPEN} stays possible, and is not known beforehand."
        return RuleForecast(RuleProspect.UNFORESEEN, why)
    if metric.exact:
        return RuleForecast(RuleProspect.CERTAIN, "Is decided for certain: the figure is exact.")
    half_width = check.precision(outlook.size, outlook.confidence).get(rule.metric)
    ideal = None if rule.limits is None else _ideal(rule, rule.limits, metric)
    if half_width is None or ideal is None or rule.limits is None:
        why = "Can be decided; how likely is not known beforehand."
        return RuleForecast(RuleProspect.UNFORESEEN, why, half_width)
    most = get_check_parameters(check).get("rows")
    rows = min(outlook.size.rows, most) if isinstance(most, int) else outlook.size.rows
    room = min(abs(ideal - end) for end in (rule.limits.least, rule.limits.most) if end is not None)
    if half_width > room:
        needed = _rows(rows, half_width, room)
        more = f" It takes about {needed:,} rows like these." if needed else ""
        hopeless_why = (
            f"Cannot pass: the interval will reach about {half_width:.2g} to each side, and even a "
            f"perfect {ideal:g} is only {room:.2g} from the limit.{more}"
        )
        return RuleForecast(RuleProspect.NEVER, hopeless_why, half_width, 0.0, needed)
    error = half_width / _quantile(outlook)
    if metric.unit is Unit.SHARE and metric.higher_is_better and rows:
        # A share scatters more at the half-way truth than near one, where a check may foresee it.
        halfway = max(0.0, ideal - room / 2)
        error = max(error, math.sqrt(halfway * (1 - halfway) / rows))
    bound = _faces_away(rule, metric)
    half_width = error * _quantile(outlook)
    chance = NORMAL.cdf((room / 2 - half_width) / error) if error > 0 else 1.0
    ending = "Is withstood, which is no pass," if bound else "Passes"
    truth = "what attacks find" if bound else "the truth"
    why = (
        f"{ending} with a chance of {chance:.0%} if {truth} lies half-way between perfect and the "
        f"limit: the interval will reach about {half_width:.2g} to each side."
    )
    if chance >= GOOD_CHANCE:
        return RuleForecast(RuleProspect.LIKELY, why, half_width, chance)
    needed = _rows(rows, half_width + error * NORMAL.inv_cdf(GOOD_CHANCE), room / 2)
    if needed is not None:
        why += f" A chance of {GOOD_CHANCE:.0%} takes about {needed:,} rows like these."
    return RuleForecast(RuleProspect.OPEN, why, half_width, chance, needed)


def _faces_away(rule: Rule, metric: Metric) -> bool:
    limits = rule.limits or rule.anchored or MetricLimits(-math.inf, math.inf)
    below = metric.bound is BoundKind.AT_MOST and limits.least is not None
    return below or (metric.bound is BoundKind.AT_LEAST and limits.most is not None)


def _ideal(rule: Rule, limits: MetricLimits, metric: Metric) -> float | None:
    """Return the best truth there can be, where there is one and it keeps the limits."""
    if limits.least is not None and limits.most is not None:
        # Slopes and ratios have no unit and are best at one, which need not be the middle.
        like_ratio = metric.unit is Unit.NONE and 0 < limits.least <= 1 <= limits.most
        return 1.0 if like_ratio else (limits.least + limits.most) / 2
    if metric.higher_is_better is False:
        return 0.0 if limits.most is not None and limits.most >= 0 else None
    bounded = metric.unit is Unit.SHARE or rule.metric == "r2" or rule.metric.endswith("_ratio")
    if metric.higher_is_better and bounded and limits.least is not None and limits.least <= 1:
        return 1.0
    return None


def _quantile(outlook: PlanningContext) -> float:
    return NORMAL.inv_cdf((1 + outlook.confidence) / 2)


def _rows(rows: int, width: float, room: float) -> int | None:
    """Return how many rows make ``width`` fit into ``room``; none where none do."""
    return scale_rows(rows, width / room if room > 0 else math.inf)


SECONDS_AN_HOUR = 3600.0


def plan_target(policy: Policy, checks: Mapping[str, Check], outlook: PlanningContext) -> AuditPlan:
    """Say what the checks cost and what the policy's rules can come to on one target.

    Chances take estimates as normal, with the standard error that the check's own half width
    implies, and half widths to shrink with the root of the sample.
    """
    costs = []
    scored = False
    for check in checks.values():
        cost = _cost(check, outlook, scored=scored)
        costs.append(_check(check, cost, outlook))
        scored |= bool(cost.clean) and outlook.remembers and check.id not in outlook.missing
    found = []
    for rule in policy.rules:
        settled = rule.under(outlook.claims)
        foreseen = (
            forecast_exemption(policy, settled, outlook)
            or forecast_unanswerable(settled, checks, outlook)
            or forecast_rule(settled, checks[settled.check], _after_looks(settled, outlook))
        )
        found.append(RulePlan(rule.id, rule.title, rule.measure, rule.effect, foreseen))
    rules = tuple(found)
    return AuditPlan(
        tuple(costs),
        rules,
        list_input_tiers(checks.values(), outlook.lacking, outlook.absent, outlook.missing.keys()),
        len(outlook.rows),
        outlook.left_out,
        beside=outlook.beside,
        timed_before=len(outlook.earlier.keys() & checks.keys() - outlook.missing.keys()),
    )


def _after_looks(rule: Rule, outlook: PlanningContext) -> PlanningContext:
    """Return the outlook at the confidence that looks at a check before its end leave for it."""
    looks = outlook.looks.get(rule.check, 0)
    return replace(outlook, confidence=spend_on_looks(outlook.confidence, looks, early=False))


def _cost(check: Check, outlook: PlanningContext, *, scored: bool) -> CheckCost:
    """Return what a check asks of the target; predictions are there without asking anybody.

    A check that does without a twin takes no gradients.
    """
    cost = check.cost(outlook.size)
    if Need.TWIN in outlook.lacking.get(check.id, ()):
        cost = replace(cost, passes=0)
    if outlook.predictions_only:
        return replace(cost, queries=0, passes=0, reference=0, clean=0, least=0)
    return cost.without_clean() if scored else cost


def _check(check: Check, cost: CheckCost, outlook: PlanningContext) -> CheckPlan:
    query, twin_pass = outlook.seconds_per_query, outlook.seconds_per_pass
    rows = cost.queries + cost.reference  # the artifact runs on the machine that times the target
    unknown = (rows and query is None) or (cost.passes and twin_pass is None)
    asking = None if unknown else cost.price(query or 0.0, twin_pass or 0.0, query or 0.0)
    trained = 0 if Need.RECIPE in outlook.lacking.get(check.id, ()) else cost.trained
    own = [LEAST_SECONDS, cost.seconds, trained * SECONDS_A_TRAINED_ROW]
    seconds = outlook.earlier.get(check.id, sum_if_known([asking, *own]))
    hourly, each = outlook.price_per_hour, outlook.price_per_query
    if (hourly is None and each is None) or (hourly is not None and seconds is None):
        price = None
    else:
        price = (seconds or 0.0) / SECONDS_AN_HOUR * (hourly or 0.0) + cost.queries * (each or 0.0)
    # What the check foretells, each reason once with all the metrics that it keeps away
    told = check.foretell(outlook.size)
    kept: dict[str, list[str]] = {}
    for metric, lack in told.shortages.items():
        kept.setdefault(f"{lack.why}. {lack.cure.rstrip('.')}", []).append(metric)
    return CheckPlan(
        check=check.id,
        title=check.title,
        queries=cost.queries,
        passes=cost.passes,
        seconds=seconds,
        price=price,
        missing=outlook.missing.get(check.id),
        notes=(
            *_fewer(check, outlook),
            *told.notes,
            *(f"no {', '.join(names)}: {why}" for why, names in kept.items()),
        ),
    )


def _fewer(check: Check, outlook: PlanningContext) -> tuple[str, ...]:
    rows = outlook.rows.get(check.id)
    return () if rows is None else (f"its time allows {rows:,} rows, and more if they break early",)
