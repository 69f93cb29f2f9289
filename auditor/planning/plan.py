"""Before an audit runs: what it costs, what is missing, and which rules its rows can decide."""

from collections.abc import Mapping

from auditor.domain.budgets import SECONDS_A_TRAINED_ROW, Size
from auditor.domain.checks import Check, Need, foretold
from auditor.domain.policies import Policy, Rule
from auditor.planning.plans import AuditPlan, CheckPlan, Foreseen, Outlook, RulePlan, total
from auditor.planning.prospects import excused, foresee, unanswerable
from auditor.planning.tiers import tiers

SECONDS_AN_HOUR = 3600.0


def plan(policy: Policy, checks: Mapping[str, Check], outlook: Outlook) -> AuditPlan:
    """Say what the checks cost and what the policy's rules can come to on one target.

    Chances take estimates as normal, with the standard error that the check's own half width
    implies, and half widths to shrink with the root of the sample.
    """
    costs = tuple(_check(check, outlook) for check in checks.values())
    rules = tuple(_rule(policy, rule, checks, outlook) for rule in policy.rules)
    return AuditPlan(
        costs,
        rules,
        tiers(checks.values(), outlook.lacking, outlook.absent, outlook.missing.keys()),
    )


def _check(check: Check, outlook: Outlook) -> CheckPlan:
    cost = check.cost(outlook.size)
    asking = _times(cost.queries, outlook.seconds_per_query)
    crafting = _times(cost.passes, outlook.seconds_per_pass)
    trained = 0 if Need.RECIPE in outlook.lacking.get(check.id, ()) else cost.trained
    seconds = total([asking, crafting, cost.seconds, trained * SECONDS_A_TRAINED_ROW])
    return CheckPlan(
        check=check.id,
        title=check.title,
        queries=cost.queries,
        passes=cost.passes,
        seconds=seconds,
        price=_price(cost.queries, seconds, outlook),
        missing=outlook.missing.get(check.id),
        notes=_notes(check, outlook.size),
    )


def _notes(check: Check, size: Size) -> tuple[str, ...]:
    """Say what the check foretells, each reason once with all the metrics that it keeps away."""
    told = foretold(check, size)
    kept: dict[str, list[str]] = {}
    for metric, lack in told.shortages.items():
        kept.setdefault(f"{lack.why}. {lack.cure.rstrip('.')}", []).append(metric)
    return (*told.notes, *(f"no {', '.join(names)}: {why}" for why, names in kept.items()))


def _price(queries: int, seconds: float | None, outlook: Outlook) -> float | None:
    hourly, each = outlook.price_per_hour, outlook.price_per_query
    if (hourly is None and each is None) or (hourly is not None and seconds is None):
        return None
    return (seconds or 0.0) / SECONDS_AN_HOUR * (hourly or 0.0) + queries * (each or 0.0)


def _times(count: int, pace: float | None) -> float | None:
    if count == 0:
        return 0.0
    return None if pace is None else count * pace


def _rule(policy: Policy, rule: Rule, checks: Mapping[str, Check], outlook: Outlook) -> RulePlan:
    settled = rule.under(outlook.claims)
    foreseen = _foreseen(policy, settled, checks, outlook)
    return RulePlan(rule.id, rule.title, rule.measure, rule.effect, foreseen)


def _foreseen(
    policy: Policy, rule: Rule, checks: Mapping[str, Check], outlook: Outlook
) -> Foreseen:
    return (
        excused(policy, rule, outlook)
        or unanswerable(rule, checks, outlook)
        or foresee(rule, checks[rule.check], outlook)
    )
