"""What a rule can come to with the rows at hand."""

import math
from collections.abc import Mapping
from statistics import NormalDist

from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, foretold
from auditor.domain.conclusions import OPEN, VERDICT
from auditor.domain.policies import Limits, Policy, Rule
from auditor.domain.readings import Bound, Unit
from auditor.errors import ConditionError
from auditor.expressions import ABOUT_MODEL, compile_condition
from auditor.planning.plans import Foreseen, Outlook, Prospect

GOOD_CHANCE = 0.8
MOST_ROWS = 10**9
NORMAL = NormalDist()


def excused(policy: Policy, rule: Rule, outlook: Outlook) -> Foreseen | None:
    """Say why a rule will not be asked of the target, or nothing when it will."""
    bindings: dict[str, Json] = {
        "params": policy.params,
        "model": outlook.model,
        "claims": outlook.claims,
        "target": outlook.target,
        "served": outlook.size.served,
    }
    for text in (policy.applies_to, rule.when):
        try:
            if text is not None and not compile_condition(text, ABOUT_MODEL).evaluate(bindings):
                return Foreseen(Prospect.NOT_APPLICABLE, f"Not asked here: `{text}` is false.")
        except ConditionError as mistake:
            return Foreseen(Prospect.UNFORESEEN, f"Whether it applies is unknown: {mistake}")
    asked_of = rule.where.get("target", outlook.target)
    if asked_of != outlook.target and asked_of in outlook.targets:
        return Foreseen(Prospect.NOT_APPLICABLE, f"Asked of {asked_of} alone.")
    return None


def unanswerable(rule: Rule, checks: Mapping[str, Check], outlook: Outlook) -> Foreseen | None:
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
        return _too_few(rule, checks[rule.check], outlook)
    return Foreseen(Prospect.UNANSWERABLE, why)


def _too_few(rule: Rule, check: Check, outlook: Outlook) -> Foreseen | None:
    short = foretold(check, outlook.size).shortages.get(rule.metric)
    if short is None:
        return None
    why = f"No reading can answer it: {short.why}. {short.cure}"
    return Foreseen(Prospect.UNANSWERABLE, why, rows=short.rows)


def foresee(rule: Rule, check: Check, outlook: Outlook) -> Foreseen:
    """Compare the half width that the check foresees with the room between ideal and limit."""
    metric = check.emits[rule.metric]
    if _faces_away(rule, metric) and not rule.accept_withstood:
        why = (
            "Cannot pass: what is found is only a bound, and the policy does not accept withstood."
        )
        return Foreseen(Prospect.NEVER, why)
    if rule.metric == VERDICT:
        why = f"Can be answered; that it is {OPEN} stays possible, and is not known beforehand."
        return Foreseen(Prospect.UNFORESEEN, why)
    if metric.exact:
        return Foreseen(Prospect.CERTAIN, "Is decided for certain: the figure is exact.")
    half_width = check.precision(outlook.size, outlook.confidence).get(rule.metric)
    ideal = None if rule.limits is None else _ideal(rule, rule.limits, metric)
    if half_width is None or ideal is None or rule.limits is None:
        why = "Can be decided; how likely is not known beforehand."
        return Foreseen(Prospect.UNFORESEEN, why, half_width)
    rows = min(outlook.size.rows, getattr(check, "rows", outlook.size.rows))
    room = _room(rule.limits, ideal)
    if half_width > room:
        return _hopeless(half_width, ideal, room, rows)
    error = half_width / _quantile(outlook)
    if metric.unit is Unit.SHARE and metric.higher_is_better and rows:
        # A share scatters more at the half-way truth than near one, where a check may foresee it.
        halfway = max(0.0, ideal - room / 2)
        error = max(error, math.sqrt(halfway * (1 - halfway) / rows))
    return _chances(error, room, rows, outlook, bound=_faces_away(rule, metric))


def _faces_away(rule: Rule, metric: Metric) -> bool:
    limits = rule.limits or rule.anchored or Limits(-math.inf, math.inf)
    below = metric.bound is Bound.AT_MOST and limits.least is not None
    return below or (metric.bound is Bound.AT_LEAST and limits.most is not None)


def _ideal(rule: Rule, limits: Limits, metric: Metric) -> float | None:
    """Return the best truth there can be, where there is one and it keeps the limits."""
    if limits.least is not None and limits.most is not None:
        # Slopes and ratios have no unit and are best at one, which need not be the middle.
        like_ratio = metric.unit is Unit.NONE and 0 < limits.least <= 1 <= limits.most
        return 1.0 if like_ratio else (limits.least + limits.most) / 2
    if metric.higher_is_better is False:
        return 0.0 if limits.most is not None and limits.most >= 0 else None
    bounded = metric.unit is Unit.SHARE or rule.metric.endswith("_ratio")
    if metric.higher_is_better and bounded and limits.least is not None and limits.least <= 1:
        return 1.0
    return None


def _room(limits: Limits, ideal: float) -> float:
    return min(abs(ideal - end) for end in (limits.least, limits.most) if end is not None)


def _hopeless(half_width: float, ideal: float, room: float, rows: int) -> Foreseen:
    needed = _rows(rows, half_width, room)
    more = f" It takes about {needed:,} rows like these." if needed else ""
    why = (
        f"Cannot pass: the interval will reach about {half_width:.2g} to each side, and even a "
        f"perfect {ideal:g} is only {room:.2g} from the limit.{more}"
    )
    return Foreseen(Prospect.NEVER, why, half_width, 0.0, needed)


def _chances(error: float, room: float, rows: int, outlook: Outlook, *, bound: bool) -> Foreseen:
    half_width = error * _quantile(outlook)
    chance = NORMAL.cdf((room / 2 - half_width) / error) if error > 0 else 1.0
    ending = "Is withstood, which is no pass," if bound else "Passes"
    truth = "what attacks find" if bound else "the truth"
    why = (
        f"{ending} with a chance of {chance:.0%} if {truth} lies half-way between perfect and the "
        f"limit: the interval will reach about {half_width:.2g} to each side."
    )
    if chance >= GOOD_CHANCE:
        return Foreseen(Prospect.LIKELY, why, half_width, chance)
    needed = _rows(rows, half_width + error * NORMAL.inv_cdf(GOOD_CHANCE), room / 2)
    if needed is not None:
        why += f" A chance of {GOOD_CHANCE:.0%} takes about {needed:,} rows like these."
    return Foreseen(Prospect.OPEN, why, half_width, chance, needed)


def _quantile(outlook: Outlook) -> float:
    return NORMAL.inv_cdf((1 + outlook.confidence) / 2)


def _rows(rows: int, width: float, room: float) -> int | None:
    """Return how many rows make ``width`` fit into ``room``, to two digits; none where none do."""
    ratio = width / room if room > 0 else math.inf
    exact = rows * (ratio * ratio)
    if not 1 <= exact <= MOST_ROWS:
        return None
    step: int = 10 ** max(0, math.floor(math.log10(exact)) - 1)
    return math.ceil(exact / step) * step
