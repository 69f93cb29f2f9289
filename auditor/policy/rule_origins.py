"""Resolves policies that extend others into one policy, with the origin of each rule."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from auditor._yaml import YamlDocument, validate_document
from auditor.domain.checks import Check
from auditor.domain.json import Json, digest_json
from auditor.domain.policies import (
    DroppedRule,
    ParentPolicy,
    RuleOrigin,
    SettingChange,
    StrictnessChange,
)
from auditor.errors import PolicyError
from auditor.policy.control_catalogues import FrameworkCatalogue
from auditor.policy.inherit import ASKS, MergedPolicy
from auditor.policy.lint_remarks import LintLevel, LintRemark
from auditor.policy.schema import REFERENCE, PolicySchema, RuleOriginSchema, SettingChangeSchema
from auditor.policy.strictness import (
    compare_check_parameters,
    compare_policy_metadata,
    compare_rules,
)
from auditor.policy.unvalidated_policy import PolicyDraft, RuleDraft


def find_rule_origin(entry: RuleDraft) -> RuleOrigin:
    """Return where a rule was first written: what its policy says, else in the policy itself."""
    about = entry.draft.shape.metadata
    told = entry.rule.origin
    return RuleOrigin(about.name, about.version) if told is None else read_rule_origin(told)


def read_rule_origin(shape: RuleOriginSchema) -> RuleOrigin:
    """Return an origin as a resolved policy states it."""
    return RuleOrigin(shape.policy, shape.version, _changes(shape.changes))


def read_parent_policies(shape: PolicySchema) -> tuple[ParentPolicy, ...]:
    """Return the policies that a resolved one extends."""
    return tuple(
        ParentPolicy(item.name, item.version, item.digest, _changes(item.changes))
        for item in shape.inherits
    )


def read_dropped_rules(shape: PolicySchema) -> Iterator[DroppedRule]:
    """Yield the rules of its parents that a resolved policy does not ask."""
    for item in shape.dropped:
        yield DroppedRule(item.rule, item.title, item.policy, item.by, item.reason)


def _changes(shapes: Sequence[SettingChangeSchema]) -> tuple[SettingChange, ...]:
    return tuple(
        SettingChange(item.setting, item.was, item.now, item.way, item.by, item.reason)
        for item in shapes
    )


NOTHING = "loosens is set, but nothing is looser"
LIMIT = "limit"
"""The setting under which a change of a rule's limit is told."""
LONGEST = 2_000
"""Characters that a text of a rule may have."""
Checks = Mapping[str, type[Check]]
Catalogues = Mapping[str, FrameworkCatalogue]


@dataclass(frozen=True, slots=True)
class _ExtendingPolicy:
    """A policy with all that it takes over, and the policies that it takes it from."""

    draft: PolicyDraft
    parents: tuple[PolicyDraft, ...]
    drops: Mapping[str, str]

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.draft.shape.metadata.name


def resolve_policy_draft(
    merged: MergedPolicy, checks: Checks, catalogues: Catalogues
) -> PolicyDraft:
    """Return a policy resolved from those that it extends, with what it may not change.

    Raises ``PolicyError`` for a document that has not the right shape.
    """
    draft = _draft(merged.document, checks, catalogues)
    if not merged.parents:
        return draft
    parents = tuple(resolve_policy_draft(parent, checks, catalogues) for parent in merged.parents)
    heir = _ExtendingPolicy(draft, parents, merged.drops)
    # The document with its origins; what gave the reasons is folded into them
    content = heir.draft.document.content
    metadata = cast("Mapping[str, Json]", content["metadata"])
    rules = cast("Sequence[Mapping[str, Json]]", content["rules"])
    told = {entry.rule.id: origin for entry, origin in _origins(heir)}
    document = replace(
        merged.document,
        content={
            **content,
            "metadata": {name: value for name, value in metadata.items() if name != "loosens"},
            "rules": [_told(heir, rule, told.get(str(rule["id"]))) for rule in rules],
            "inherits": [_parent(heir, parent).to_json() for parent in heir.parents],
            "dropped": [dict(item.to_json()) for item in _dropped(heir)],
        },
    )
    resolved = _draft(document, checks, catalogues)
    refused = [remark for parent in parents for remark in parent.refused]
    return replace(resolved, refused=(*refused, *_refused(heir)))


def _draft(document: YamlDocument, checks: Checks, catalogues: Catalogues) -> PolicyDraft:
    shape = validate_document(document, PolicySchema, PolicyError)
    try:
        digest_json(document.content)
    except ValueError as mistake:
        raise PolicyError(
            f"{document.source} holds a number that cannot be fixed by a digest: {mistake}",
            cure="Write finite numbers of ordinary size.",
        ) from None
    return PolicyDraft(document, shape, checks, catalogues)


def _told(heir: _ExtendingPolicy, rule: Mapping[str, Json], origin: RuleOrigin | None) -> Json:
    if origin is None:
        return dict(rule)
    own = [item for item in origin.changes if item.by == heir.name]
    kept = {name: it for name, it in _since(heir, rule, own).items() if name != "loosens"}
    return {**kept, "origin": origin.to_json()}


def _since(
    heir: _ExtendingPolicy, rule: Mapping[str, Json], changes: Sequence[SettingChange]
) -> Mapping[str, Json]:
    """Return a rule whose inherited reason for its limit says that the limit is another by now.

    A reason that the heir wrote itself speaks of its own limit, and stays as it is.
    """
    said, moved = rule.get("threshold"), [item for item in changes if item.setting == LIMIT]
    first = next(_ancestors(heir, str(rule["id"])), None)
    if not (said and moved) or first is None or said != first.rule.threshold:
        return rule
    since = "; ".join(f"{item.by} changed the limit: {item.was} → {item.now}" for item in moved)
    return {**rule, "threshold": f"{str(said)[: LONGEST - len(since) - 8]} Since: {since}."}


def _origins(heir: _ExtendingPolicy) -> Iterator[tuple[RuleDraft, RuleOrigin]]:
    """Yield each inherited rule with where it was first written, and all that was changed since."""
    for entry in heir.draft.entries:
        first = next(_ancestors(heir, entry.rule.id), None)
        if first is not None:
            origin = find_rule_origin(first)
            changes = [
                _by(heir, change, entry.rule.loosens) for change in compare_rules(first, entry)
            ]
            yield entry, replace(origin, changes=(*origin.changes, *changes))


def _ancestors(heir: _ExtendingPolicy, rule: str) -> Iterator[RuleDraft]:
    for parent in heir.parents:
        yield from (entry for entry in parent.entries if entry.rule.id == rule)


def _by(heir: _ExtendingPolicy, change: SettingChange, reason: str | None) -> SettingChange:
    why = (reason or "") if change.way is StrictnessChange.LOOSENED else ""
    return replace(change, by=heir.name, reason=why)


def _parent(heir: _ExtendingPolicy, parent: PolicyDraft) -> ParentPolicy:
    about, reason = parent.shape.metadata, heir.draft.shape.metadata.loosens
    changes = (
        *compare_policy_metadata(parent, heir.draft),
        *compare_check_parameters(parent, heir.draft),
    )
    return ParentPolicy(
        about.name,
        about.version,
        digest_json(parent.document.content),
        tuple(_by(heir, change, reason) for change in changes),
    )


def _dropped(heir: _ExtendingPolicy) -> Iterator[DroppedRule]:
    for parent in heir.parents:
        yield from read_dropped_rules(parent.shape)
    for rule, reason in heir.drops.items():
        first = next(_ancestors(heir, rule))
        policy = find_rule_origin(first).policy
        yield DroppedRule(rule, first.title, policy, heir.name, reason)


def _refused(heir: _ExtendingPolicy) -> Iterator[LintRemark]:
    """Yield what the policy loosens without a reason, and reasons that loosen nothing."""
    for entry in heir.draft.entries:
        held = [
            (old, change)
            for old in _ancestors(heir, entry.rule.id)
            for change in compare_rules(old, entry)
            if change.way is StrictnessChange.LOOSENED
        ]
        if entry.rule.loosens is None:
            yield from (_loosened(entry, old, change) for old, change in held)
        elif not held and next(_ancestors(heir, entry.rule.id), None) is not None:
            yield entry.error("loosens", NOTHING, "Remove loosens.")
    draft = heir.draft
    loose = [
        (parent, change)
        for parent in heir.parents
        for change in (
            *compare_policy_metadata(parent, draft),
            *compare_check_parameters(parent, draft),
        )
        if change.way is StrictnessChange.LOOSENED
    ]
    if draft.shape.metadata.loosens is None:
        yield from (_laxer(draft, parent, change) for parent, change in loose)
    elif not loose:
        mistake = PolicyError(NOTHING, cure="Remove loosens.")
        yield draft.remark(("metadata", "loosens"), mistake)


def _loosened(entry: RuleDraft, old: RuleDraft, change: SettingChange) -> LintRemark:
    about = old.draft.shape.metadata
    key = change.setting if change.setting in type(entry.rule).model_fields else "id"
    if change.setting == "limit":
        key = next((name for name in ASKS if getattr(entry.rule, name) is not None), "id")
    said = f"this asks less than {about.name} {about.version} does, or something else ({change})"
    # Name the param by which alone a limit differs from the parent's, where it is one
    named = getattr(entry.rule, key, None)
    if key not in ASKS or named != getattr(old.rule, key) or not isinstance(named, str):
        param = None
    else:
        found = REFERENCE.fullmatch(named)
        param = None if found is None else found.group(1)
    if param is None:
        return entry.error(
            key, said, "Ask at least as much, or write `loosens: why` into the rule."
        )
    cure = f"Ask at least as much, or add `{{id: {entry.rule.id}, loosens: why}}` under rules."
    where = entry.draft.document.where(("params", param))
    return LintRemark(LintLevel.ERROR, where, entry.rule.id, f"{said}, by params.{param}", cure)


def _laxer(draft: PolicyDraft, parent: PolicyDraft, change: SettingChange) -> LintRemark:
    about = parent.shape.metadata
    check, colon, _ = change.setting.partition(":")
    where = ("checks", check) if colon else ("metadata", change.setting)
    return LintRemark(
        LintLevel.ERROR,
        draft.document.where(where),
        "",
        f"this asks less than {about.name} {about.version} does, or something else ({change})",
        "Ask at least as much, or write `loosens: why` into metadata.",
    )
