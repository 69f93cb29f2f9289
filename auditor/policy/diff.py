"""The difference between two policies: added and removed rules, and stricter or looser ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from auditor.domain.json import Json, OmitUnset, digest_json, write_fields
from auditor.domain.policies import SettingChange, StrictnessChange
from auditor.policy.rule_origins import find_rule_origin
from auditor.policy.strictness import (
    compare_check_parameters,
    compare_policy_metadata,
    compare_rules,
    format_setting,
)
from auditor.policy.unvalidated_policy import PolicyDraft, RuleDraft

TEXTS = ("title", "rationale", "remediation", "threshold", "controls")
"""Settings of a rule that explain it without a requirement."""
ORDERED = (
    "least_budget", "least_assurance", "least_evidence", "least_isolation", "mode", "applies_to",
    "valid_for", "approvals", "blind_labels", "require_sealed", "most_attempts", "pins",
)  # fmt: skip
LONGEST = 200


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """A rule of which one policy has more than the other: all of it, or some settings."""

    rule: str
    title: str
    changes: OmitUnset[tuple[SettingChange, ...]] = ()

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """All in which two policies differ; nothing where they are the same document."""

    old: PolicyDraft
    new: PolicyDraft
    audit: tuple[SettingChange, ...]
    params: tuple[SettingChange, ...]
    added: tuple[RuleDifference, ...]
    removed: tuple[RuleDifference, ...]
    changed: tuple[RuleDifference, ...]

    @property
    def same(self) -> bool:
        """Whether the policies are the same, by their digests."""
        return digest_json(self.old.document.content) == digest_json(self.new.document.content)

    @property
    def loosened(self) -> bool:
        """Whether the new policy asks less than the old one anywhere, or cannot be held to it."""
        of_rules = (change for item in self.changed for change in item.changes)
        changes = (*self.audit, *of_rules)
        return bool(self.removed) or any(item.way is StrictnessChange.LOOSENED for item in changes)

    def to_json(self) -> dict[str, Json]:
        """Return the form that the command prints."""
        return {
            "old": _named(self.old),
            "new": _named(self.new),
            "same": self.same,
            "loosened": self.loosened,
            "audit": [item.to_json() for item in self.audit],
            "params": [item.to_json() for item in self.params],
            "added": [item.to_json() for item in self.added],
            "removed": [item.to_json() for item in self.removed],
            "changed": [item.to_json() for item in self.changed],
        }


def diff_policies(old: PolicyDraft, new: PolicyDraft) -> PolicyDifference:
    """Return in what a policy differs from an older one, or from one that it was made after."""
    before = {entry.rule.id: entry for entry in old.entries}
    after = {entry.rule.id: entry for entry in new.entries}
    both = [(before[name], after[name]) for name in before if name in after]
    found = [(entry, tuple(_rule(was, entry))) for was, entry in both]
    return PolicyDifference(
        old,
        new,
        (
            *compare_policy_metadata(old, new),
            *compare_check_parameters(old, new),
            *_about(old, new),
        ),
        tuple(_settings(old.shape.params, new.shape.params, "params.")),
        tuple(_whole(after[name]) for name in after if name not in before),
        tuple(_whole(before[name]) for name in before if name not in after),
        tuple(
            RuleDifference(entry.rule.id, entry.title, changes)
            for entry, changes in found
            if changes
        ),
    )


def _rule(old: RuleDraft, new: RuleDraft) -> Iterator[SettingChange]:
    reasons = {item.setting: item for item in find_rule_origin(new).loosened if item.reason}
    for change in compare_rules(old, new):
        given = reasons.get(change.setting) if change.way is StrictnessChange.LOOSENED else None
        yield change if given is None else replace(change, by=given.by, reason=given.reason)
    was, now = (
        {name: value for name, value in _raw(entry).items() if name in TEXTS}
        for entry in (old, new)
    )
    yield from _settings(was, now)


def _about(old: PolicyDraft, new: PolicyDraft) -> Iterator[SettingChange]:
    """Yield what the policies say of themselves otherwise, which asks nothing."""
    was, now = _own_words(old), _own_words(new)
    yield from _settings(was, now)
    named = {change.setting for change in compare_check_parameters(old, new)}
    for check in sorted({*old.shape.checks, *new.shape.checks}):
        before, after = old.shape.checks.get(check, {}), new.shape.checks.get(check, {})
        for change in _settings(before, after, f"{check}: "):
            if change.setting not in named:
                yield change


def _own_words(draft: PolicyDraft) -> Mapping[str, Json]:
    about = _mapping(draft.document.content.get("metadata"))
    return {name: value for name, value in about.items() if name not in ORDERED}


def _settings(
    was: Mapping[str, Json], now: Mapping[str, Json], prefix: str = ""
) -> Iterator[SettingChange]:
    for name in dict.fromkeys((*was, *now)):
        if was.get(name) != now.get(name):
            before, after = _short(was.get(name)), _short(now.get(name))
            yield SettingChange(f"{prefix}{name}", before, after, StrictnessChange.CHANGED)


def _short(value: Json) -> str:
    text = format_setting(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _whole(entry: RuleDraft) -> RuleDifference:
    return RuleDifference(entry.rule.id, entry.title)


def _raw(entry: RuleDraft) -> Mapping[str, Json]:
    rules = entry.draft.document.content.get("rules")
    return _mapping(rules[entry.index]) if isinstance(rules, list) else {}


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _named(draft: PolicyDraft) -> dict[str, Json]:
    about = draft.shape.metadata
    digest = digest_json(draft.document.content)
    return {"name": about.name, "version": about.version, "digest": digest}
