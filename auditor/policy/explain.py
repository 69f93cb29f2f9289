"""Explains a policy in plain words: what each rule asks, why, and what would keep or break it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.checks import Check, Metric
from auditor.domain.json import Json
from auditor.domain.pinned_settings import AuditPins, format_settings
from auditor.domain.policies import (
    UNREAD,
    EnforcementMode,
    MinimumEvidence,
    Policy,
    Rule,
    RuleEffect,
    SettingChange,
)
from auditor.domain.readings import BoundKind
from auditor.errors import PolicyError
from auditor.policy.control_catalogues import FrameworkCatalogue
from auditor.policy.evaluate.messages import (
    describe_required_answer,
    format_limits,
    format_place_phrase,
)
from auditor.policy.evaluate.readings_index import SLICE

EFFECTS: Mapping[RuleEffect, str] = {
    RuleEffect.DENY: "A model that fails it fails the policy; if it is undecided, none passes.",
    RuleEffect.WARN: "It only warns: the verdict does not depend on it.",
    RuleEffect.INFO: "It only informs: the verdict does not depend on it.",
}
MODES: Mapping[EnforcementMode, str] = {
    EnforcementMode.ENFORCE: "A failing verdict fails the command.",
    EnforcementMode.WARN: "It only warns: no command fails for it.",
    EnforcementMode.OBSERVE: "It only observes: no command fails for it.",
}
RUN_ON: Mapping[MinimumEvidence, str] = {
    MinimumEvidence.ANY: "A simulation or an emulation of the target is enough.",
    MinimumEvidence.NATIVE: "A simulation or an emulation of the target is not enough.",
    MinimumEvidence.VERIFIED: "Every operator has to be known to have run on the target.",
}
BOUNDS: Mapping[BoundKind, str] = {
    BoundKind.ESTIMATE: "an estimate with an interval",
    BoundKind.AT_MOST: "at most the figure found, since a stronger search may find less",
    BoundKind.AT_LEAST: "at least the figure found, since a stronger search may find more",
}


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule, or the policy itself: a heading, and what there is to say, by topic."""

    heading: str
    said: tuple[tuple[str, str], ...]


def explain_policy(
    policy: Policy,
    checks: Mapping[str, type[Check]],
    catalogues: Mapping[str, FrameworkCatalogue],
    rule: str | None = None,
) -> tuple[RuleExplanation, ...]:
    """Explain a policy and all its rules, or one of them alone. Raises ``PolicyError``."""
    if rule is None:
        rules: Sequence[Rule] = policy.rules
    else:
        rules = [item for item in policy.rules if item.id == rule]
    if not rules:
        raise PolicyError(
            f"{policy.name} has no rule {rule!r}",
            cure=f"Its rules are {', '.join(item.id for item in policy.rules)}.",
        )
    told = [
        RuleExplanation(f"{item.id}: {item.title}", tuple(_rule(policy, item, checks, catalogues)))
        for item in rules
    ]
    return tuple(told) if rule is not None else (_policy(policy), *told)


def _policy(policy: Policy) -> RuleExplanation:
    return RuleExplanation(
        f"{policy.name} {policy.version}, of {policy.owner}", tuple(_whole(policy))
    )


def _whole(policy: Policy) -> Iterator[tuple[str, str]]:
    yield "Mode", MODES[policy.mode]
    yield (
        "Audit",
        (
            f"A budget of {policy.least_budget} at least, and assurance "
            f"{policy.least_assurance.name}. {RUN_ON[policy.least_evidence]}"
        ),
    )
    if policy.least_isolation is not None:
        yield (
            "Isolation",
            f"Models are isolated from the machine at level {policy.least_isolation} or stronger.",
        )
    if policy.valid_for_days is not None:
        yield "Valid", f"A record under it counts for {policy.valid_for_days} days."
    if policy.applies_to is not None:
        yield "Applies", f"Only where `{policy.applies_to}` holds; elsewhere it asks nothing."
    yield from _pinned(policy.pins)
    for parent in policy.inherits:
        yield "Extends", f"{parent.name} {parent.version} ({parent.digest})."
        yield from (("Changed", _change(item)) for item in parent.changes)
    for item in policy.dropped:
        yield "Dropped", f"{item.rule} of {item.policy} ({item.title}), by {item.by}: {item.reason}"
    for duty in policy.cannot_evidence:
        control = f"{duty.control.framework} {duty.control.ref}"
        yield "Left to", f"{duty.owner} ({control}): {duty.asks}"
    for fact in policy.legal:
        when = f"verified {fact.verified}" if fact.verified != UNREAD else "not yet verified"
        yield "Law", f"{fact.datum}: {fact.value} ({when}, to be reviewed by {fact.review_by})."


NOTHING_PINNED = (
    "Nothing: the author of the audit file chooses the evaluation rows, and the declarations of "
    "the task and the inputs."
)


def _pinned(pins: AuditPins) -> Iterator[tuple[str, str]]:
    if pins.evaluation:
        yield "Pins", f"The evaluation data have the digest {' or '.join(pins.evaluation)}."
    if pins.sets:
        yield "Pins", f"The auditor holds the evaluation data: {', '.join(pins.sets)}."
    if pins.least_rows:
        yield "Pins", f"There are {pins.least_rows:,} evaluation rows at least."
    if (pins.evaluation or pins.sets) and pins.settings is None:
        yield "Pins", "The audit file chooses which of their columns are the labels and the groups."
    if pins.settings is not None:
        yield (
            "Pins",
            f"Of what can be pinned the audit file declares: {format_settings(pins.settings)}.",
        )
    if pins == AuditPins():
        yield "Pins", NOTHING_PINNED


def _rule(
    policy: Policy,
    rule: Rule,
    checks: Mapping[str, type[Check]],
    catalogues: Mapping[str, FrameworkCatalogue],
) -> Iterator[tuple[str, str]]:
    metric = checks[rule.check].emits[rule.metric]
    raw = _raw(policy, rule)
    yield "Asks", _asks(rule, metric, raw)
    if rule.when is not None:
        yield "Only where", f"`{rule.when}` holds; elsewhere it is not applicable."
    if rule.for_each:
        yield "For each", f"{', '.join(rule.for_each)}: one finding each."
    exact = metric.exact and metric.bound is BoundKind.ESTIMATE
    nature = "counted exactly" if exact else BOUNDS[metric.bound]
    yield "Figure", f"{metric.title} ({rule.measure}), {nature}."
    yield from _outcomes(rule, metric)
    yield "Weight", f"{rule.severity.capitalize()} severity. {EFFECTS[rule.effect]}"
    for topic, text in (
        ("Threshold", str(raw.get("threshold") or "")),
        ("Why", rule.rationale),
        ("Remedy", rule.remediation),
    ):
        if text:
            yield topic, " ".join(text.split())
    for control in rule.controls:
        catalogue = catalogues.get(control.framework)
        title = "" if catalogue is None else catalogue.controls.get(control.ref, "")
        framework = control.framework if catalogue is None else catalogue.title
        yield "Control", f"{framework} {control.ref}" + (f", {title}" if title else "")
    if rule.origin is not None:
        yield "From", f"{rule.origin.policy} {rule.origin.version}"
        yield from (("Changed", _change(item)) for item in rule.origin.changes)


def _asks(rule: Rule, metric: Metric, raw: Mapping[str, Json]) -> str:
    place = f" at {format_place_phrase(rule.where)}" if rule.where else ""
    if rule.limits is not None:
        bound = format_limits(rule.limits, metric.unit)
    elif rule.anchored is not None:
        bound = rule.anchored.words()
    else:
        answer = describe_required_answer(rule.require)
        return f"{metric.title}{place}: {answer or f'`{rule.require}` holds'}."
    written = [str(raw[key]) for key in ("at_least", "at_most") if key in raw]
    within = raw.get("within")
    written += [str(end) for end in within] if isinstance(within, list) else []
    params = ", ".join(text for text in written if "params." in text)
    return f"{metric.title}{place} {bound}" + (f" (set by {params})." if params else ".")


def _outcomes(rule: Rule, metric: Metric) -> Iterator[tuple[str, str]]:
    bounded = rule.limits is not None or rule.anchored is not None
    keeps, breaks = ("keeps the limit", "breaks the limit") if bounded else ("meets it", "does not")
    what = "the whole interval" if bounded and not metric.exact else "the reading"
    if rule.anchored is not None and rule.anchored.relative:
        what += ", held against the baseline's whole interval,"
    # Whether the metric's bound lies on the side on which the rule must be proved
    asked = rule.anchored or rule.limits
    if asked is None:
        away = metric.bound is not BoundKind.ESTIMATE
    else:
        away = (metric.bound is BoundKind.AT_MOST and asked.least is not None) or (
            metric.bound is BoundKind.AT_LEAST and asked.most is not None
        )
    if away:
        yield "Passes", "never: what an attack or a search did not find proves nothing."
    else:
        yield "Passes", f"where {what} {keeps}."
    if away or SLICE in rule.for_each:
        kept = "accepted" if rule.accept_withstood else "not accepted, so that it stays undecided"
        yield "Withstood", f"where nothing that was tried broke it; that is {kept}."
    corrected = bounded and not metric.exact and rule.effect is RuleEffect.DENY
    holm = ", also after correction over all required rules" if corrected else ""
    yield "Fails", f"where {what} {breaks}{holm}."
    between = (
        "the interval lies on both sides of the limit, " if bounded and not metric.exact else ""
    )
    ends = () if rule.anchored is None else rule.anchored.anchors
    claimed = ", or nothing is claimed" if any(end.claim is not None for end in ends) else ""
    relative = rule.anchored is not None and rule.anchored.relative
    unanchored = claimed + (", or no baseline has a figure that it can be held against" * relative)
    yield (
        "Undecided",
        f"where {between}nothing was measured, or {_doubted(rule)}{unanchored}.",
    )


def _doubted(rule: Rule) -> str:
    """Say when a doubted figure leaves a rule undecided: some pass, and some fail."""
    if rule.limits is None and rule.anchored is None:
        return "the figure is doubted, unless it does not meet it (failed)"
    passes = "even its worst case keeps the limit (passed) or "
    if rule.anchored is not None and rule.anchored.relative:
        passes = ""
    return (
        f"the figure is doubted, unless {passes}it breaks the limit on a side that its doubt does "
        "not explain (failed)"
    )


def _change(change: SettingChange) -> str:
    why = f": {change.reason}" if change.reason else ""
    return f"{change.way.capitalize()} by {change.by}: {change}{why}"


def _raw(policy: Policy, rule: Rule) -> Mapping[str, Json]:
    rules = policy.document.get("rules")
    for item in rules if isinstance(rules, list) else []:
        if isinstance(item, Mapping) and item.get("id") == rule.id:
            return item
    return {}
