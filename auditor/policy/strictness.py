"""Strictness of policies: whether a rule or setting asks more or less than another's."""

import re
from collections.abc import Iterator, Mapping, Sequence

from auditor.attacks.gradient_masking.caveats import FAMILY, MASKING
from auditor.domain.findings import format_place
from auditor.domain.json import Json
from auditor.domain.policies import (
    LimitAnchor,
    RuleEffect,
    SettingChange,
    Severity,
    StrictnessChange,
)
from auditor.errors import PolicyError
from auditor.policy.evaluate.readings_index import SLICE
from auditor.policy.inherit import (
    COUNTED,
    STRICTER,
    find_conflicting_entries,
    get_allowed_count,
    get_strictness_name,
)
from auditor.policy.unvalidated_policy import End, PolicyDraft, RuleDraft

EFFECTS = (RuleEffect.INFO, RuleEffect.WARN, RuleEffect.DENY)
SEVERITIES = (Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
_NAMED = re.compile(r"(?<![\w.])params\.([A-Za-z_]\w*)")
_ANY = re.compile(r"(?<![\w.])params\b")
_ALL = re.compile(r"(?<![\w.])readings\b")


def compare_rules(old: RuleDraft, new: RuleDraft) -> Iterator[SettingChange]:
    """Yield what one rule asks otherwise than another; its texts and controls ask nothing.

    What cannot be shown to tighten counts as loosened: another condition, another figure.
    """
    was, now = old.rule, new.rule
    yield from _otherwise("measure", was.measure, now.measure)
    yield from _otherwise("where", format_place(was.where), format_place(now.where))
    yield from _limits(old, new)
    yield from _otherwise("require", was.require or "", now.require or "")
    yield from _condition("when", was.when, now.when)
    yield from _params(old, new)
    if was.accept != now.accept:
        way = StrictnessChange.TIGHTENED if now.accept is None else StrictnessChange.LOOSENED
        yield SettingChange("accept", was.accept or "", now.accept or "", way)
    # Whether a rule is asked at other places than before. A condition over all readings sees those
    # of one place alone where it is asked for each, so that what it compares between places holds
    # by itself.
    each_was, each_now = old.rule.for_each, new.rule.for_each
    if set(each_was) != set(each_now):
        lost = SLICE in each_was and SLICE not in each_now
        compared = _ALL.search(new.rule.require or "") is not None
        each_way = StrictnessChange.LOOSENED if lost or compared else StrictnessChange.CHANGED
        yield SettingChange("for_each", ", ".join(each_was), ", ".join(each_now), each_way)
    yield from _ordered("severity", SEVERITIES, was.severity, now.severity)
    yield from _ordered("effect", EFFECTS, was.effect, now.effect)


def compare_policy_metadata(old: PolicyDraft, new: PolicyDraft) -> Iterator[SettingChange]:
    """Yield what one policy asks of the audit itself otherwise than another."""
    was, now = old.shape.metadata, new.shape.metadata
    for name, order in STRICTER.items():
        yield from _ordered(
            name, order, *(get_strictness_name(getattr(it, name)) for it in (was, now))
        )
    yield from _condition("applies_to", was.applies_to, now.applies_to)
    for name in COUNTED:
        before, after = int(getattr(was, name)), int(getattr(now, name))
        if before != after:
            way = StrictnessChange.LOOSENED if after < before else StrictnessChange.TIGHTENED
            yield SettingChange(name, str(before), str(after), way)
    if was.most_attempts != now.most_attempts:
        more = get_allowed_count(now.most_attempts) > get_allowed_count(was.most_attempts)
        way = StrictnessChange.LOOSENED if more else StrictnessChange.TIGHTENED
        yield SettingChange(
            "most_attempts",
            format_setting(was.most_attempts),
            format_setting(now.most_attempts),
            way,
        )
    if was.valid_for != now.valid_for:
        longer = _days(now.valid_for) > _days(was.valid_for)
        way = StrictnessChange.LOOSENED if longer else StrictnessChange.TIGHTENED
        yield SettingChange("valid_for", was.valid_for or "", now.valid_for or "", way)
    if was.pins != now.pins:
        # Both pins as text, and whether the latter surely ask as much
        pinned_before, pinned_after = was.pins, now.pins
        kept = (
            (not pinned_before.evaluation or bool(pinned_after.evaluation))
            and set(pinned_after.evaluation)
            <= set(pinned_before.evaluation or pinned_after.evaluation)
            and set(pinned_before.sets) <= set(pinned_after.sets)
            and pinned_before.least_rows <= pinned_after.least_rows
            and (pinned_before.settings is None or pinned_before.settings == pinned_after.settings)
        )
        pinned_way = StrictnessChange.TIGHTENED if kept else StrictnessChange.LOOSENED
        pinned = (
            format_setting(pinned_before.model_dump(mode="json")),
            format_setting(pinned_after.model_dump(mode="json")),
            pinned_way,
        )
        yield SettingChange("pins", *pinned)
    yield from find_conflicting_entries(was, now)


def compare_check_parameters(old: PolicyDraft, new: PolicyDraft) -> Iterator[SettingChange]:
    """Yield the parameters that differ of checks that rules of both policies measure by.

    More values of a grid ask more; what any other parameter does to a figure nobody knows. What
    says whether figures of attacks can be believed is measured by with each of them.
    """
    kept = {rule.id for rule in new.shape.rules}
    measured = {rule.check for rule in old.shape.rules if rule.id in kept}
    if any(check.startswith(FAMILY) for check in measured):
        measured.add(MASKING)
    for check in sorted(measured):
        was, now = old.shape.checks.get(check, {}), new.shape.checks.get(check, {})
        grid = old.checks[check].grid.values() if check in old.checks else ()
        for name in sorted({*was, *now}):
            if was.get(name) == now.get(name):
                continue
            more = name in grid and _holds(now.get(name), was.get(name))
            way = StrictnessChange.TIGHTENED if more else StrictnessChange.LOOSENED
            yield SettingChange(
                f"{check}: {name}",
                format_setting(was.get(name)),
                format_setting(now.get(name)),
                way,
            )


def list_condition_params(text: str, known: Sequence[str]) -> frozenset[str]:
    """Return the params that a condition speaks of; all, where it speaks of them as a whole."""
    named = _NAMED.findall(text)
    whole = len(_ANY.findall(text)) > len(named)
    return frozenset(known) if whole else frozenset(named)


def _limits(old: RuleDraft, new: RuleDraft) -> Iterator[SettingChange]:
    try:
        was, now = old.limits or old.anchored, new.limits or new.anchored
    except PolicyError:  # lint says so
        return
    if was != now:
        if was is None or now is None:
            narrower = False
        else:
            floor = was.least is None or _as_high(now.least, was.least)
            narrower = floor and (was.most is None or _as_high(was.most, now.most))
        way = StrictnessChange.TIGHTENED if narrower else StrictnessChange.LOOSENED
        yield SettingChange("limit", was.words() if was else "", now.words() if now else "", way)


def _as_high(one: End, other: End) -> bool:
    """Whether one end is surely as high as another; one taken from elsewhere needs its like."""
    if isinstance(one, LimitAnchor) and isinstance(other, LimitAnchor):
        return one.claim == other.claim and one.margin >= other.margin
    return isinstance(one, float) and isinstance(other, float) and one >= other


def _params(old: RuleDraft, new: RuleDraft) -> Iterator[SettingChange]:
    """Yield the params that differ and that a condition of both rules speaks of."""
    before, after = old.draft.shape, new.draft.shape
    pairs = (
        (old.rule.require, new.rule.require),
        (old.rule.when, new.rule.when),
        (before.metadata.applies_to, after.metadata.applies_to),
    )
    known = [*before.params, *after.params]
    texts = [was for was, now in pairs if was is not None and was == now]
    for name in sorted({name for text in texts for name in list_condition_params(text, known)}):
        was, now = before.params.get(name), after.params.get(name)
        yield from _otherwise(f"params.{name}", format_setting(was), format_setting(now))


def _condition(setting: str, was: str | None, now: str | None) -> Iterator[SettingChange]:
    if was != now:
        yield SettingChange(
            setting,
            was or "",
            now or "",
            StrictnessChange.TIGHTENED if now is None else StrictnessChange.LOOSENED,
        )


def _otherwise(setting: str, was: str, now: str) -> Iterator[SettingChange]:
    if was != now:
        yield SettingChange(setting, was, now, StrictnessChange.LOOSENED)


def _ordered(setting: str, order: Sequence[str], was: str, now: str) -> Iterator[SettingChange]:
    if was != now:
        more = order.index(now) > order.index(was)
        yield SettingChange(
            setting,
            str(was),
            str(now),
            StrictnessChange.TIGHTENED if more else StrictnessChange.LOOSENED,
        )


def _days(valid_for: str | None) -> float:
    return float("inf") if valid_for is None else float(valid_for.removesuffix("d"))


def _holds(whole: Json, part: Json) -> bool:
    return isinstance(whole, list) and isinstance(part, list) and all(x in whole for x in part)


def format_setting(value: Json) -> str:
    """Write a setting on one line; nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{key}: {format_setting(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(format_setting(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
