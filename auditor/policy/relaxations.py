"""Lint of policies that extend others: forbidden changes, and rules that they relax."""

from collections.abc import Iterable, Iterator

from auditor.domain.policies import ParentPolicy, SettingChange, StrictnessChange
from auditor.errors import PolicyError
from auditor.policy.inherit import UNITED, MergedPolicy
from auditor.policy.lint_remarks import LintLevel, LintRemark
from auditor.policy.rule_origins import read_dropped_rules, read_parent_policies, read_rule_origin
from auditor.policy.unvalidated_policy import PolicyDraft

ALONE = "loosens is set, but nothing is inherited"
TOLD = ("inherits", "dropped")
UNSHOWN = "what this says of the policies that it extends is its own word: none of them is read"
READ = "Compare both with the source, and have the wrong one corrected."
CURE = "Ask the owner of the policy whether the reason is still valid."


def lint_inheritance(draft: PolicyDraft) -> Iterator[LintRemark]:
    """Yield what the policy may not change, then as doubts what it loosens for a reason."""
    yield from draft.refused
    if draft.shape.metadata.loosens is not None:
        yield draft.remark(("metadata", "loosens"), PolicyError(ALONE, cure="Remove loosens."))
    for parent in read_parent_policies(draft.shape):
        for change in _reasoned(parent.changes):
            where = draft.document.where(("metadata", change.setting))
            yield LintRemark(LintLevel.WARNING, where, "", _words(change, parent.name), CURE)
        yield from _said_otherwise(draft, parent)
    for entry in draft.entries:
        if entry.rule.loosens is not None:
            yield entry.error("loosens", ALONE, "Remove loosens.")
        if entry.rule.origin is not None:
            origin = read_rule_origin(entry.rule.origin)
            for rule_change in _reasoned(origin.changes):
                yield entry.warning("id", _words(rule_change, origin.policy), CURE)
    for item in read_dropped_rules(draft.shape):
        problem = f"{item.by} drops this rule of {item.policy}: {item.reason}"
        where = draft.document.where(("drop",))
        yield LintRemark(LintLevel.WARNING, where, item.rule, problem, CURE)


def lint_unproven_parents(merged: MergedPolicy) -> Iterator[LintRemark]:
    """Yield a doubt of each document that says itself what it inherits, with no parent at hand."""
    if not merged.parents and any(word in merged.document.content for word in TOLD):
        at = merged.document.where(("inherits",))
        yield LintRemark(
            LintLevel.WARNING, at, "", UNSHOWN, "Write `extends`, and name the parents there."
        )
    for parent in merged.parents:
        yield from lint_unproven_parents(parent)


def _said_otherwise(draft: PolicyDraft, parent: ParentPolicy) -> Iterator[LintRemark]:
    """Yield what a policy says otherwise of a duty or of the law than what it extends."""
    for change in parent.changes:
        name, colon, _ = change.setting.partition(": ")
        if colon and name in UNITED:
            where = draft.document.where(("metadata", name))
            problem = f"{change.by} says this otherwise than {parent.name} does ({change})"
            yield LintRemark(LintLevel.WARNING, where, "", problem, READ)


def _reasoned(changes: Iterable[SettingChange]) -> Iterator[SettingChange]:
    """Yield the changes that loosen for a reason; those that have none are refused already."""
    yield from (item for item in changes if item.way is StrictnessChange.LOOSENED and item.reason)


def _words(change: SettingChange, policy: str) -> str:
    return f"{change.by} loosens what {policy} asks ({change}): {change.reason}"
