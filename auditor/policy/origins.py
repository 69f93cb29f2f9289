"""From policies that extend others to one that stands by itself, and that says what it changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from auditor.documents import Document, validate
from auditor.domain.canonical import Json, digest_json
from auditor.domain.checks import Check
from auditor.domain.inheritance import Change, Dropped, Origin, Parent, Way
from auditor.errors import PolicyError
from auditor.packs.catalogues import Catalogue
from auditor.packs.drafts import Draft, Entry
from auditor.packs.merging import ASKS, Merged
from auditor.packs.origins import dropped_of, origin_of
from auditor.packs.remarks import Level, Remark
from auditor.packs.shapes import REFERENCE, PolicyShape
from auditor.packs.tightening import check_changes, metadata_changes, rule_changes

NOTHING = "a reason to loosen stands here, and nothing is looser"
LIMIT = "limit"
"""The setting under which a change of a rule's limit is told."""
LONGEST = 2_000
"""Characters that a text of a rule may have."""
Checks = Mapping[str, type[Check]]
Catalogues = Mapping[str, Catalogue]


@dataclass(frozen=True, slots=True)
class _Heir:
    """A policy with all that it takes over, and the policies that it takes it from."""

    draft: Draft
    parents: tuple[Draft, ...]
    drops: Mapping[str, str]

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.draft.shape.metadata.name


def draft_of(merged: Merged, checks: Checks, catalogues: Catalogues) -> Draft:
    """Return a policy resolved from those that it extends, with what it may not change.

    Raises ``PolicyError`` for a document that has not the right shape.
    """
    draft = _draft(merged.document, checks, catalogues)
    if not merged.parents:
        return draft
    parents = tuple(draft_of(parent, checks, catalogues) for parent in merged.parents)
    heir = _Heir(draft, parents, merged.drops)
    document = replace(merged.document, content=_resolved(heir))
    resolved = _draft(document, checks, catalogues)
    refused = [remark for parent in parents for remark in parent.refused]
    return replace(resolved, refused=(*refused, *_refused(heir)))


def _draft(document: Document, checks: Checks, catalogues: Catalogues) -> Draft:
    shape = validate(document, PolicyShape, PolicyError)
    try:
        digest_json(document.content)
    except ValueError as mistake:
        raise PolicyError(
            f"{document.source} holds a number that cannot be fixed by a digest: {mistake}",
            cure="Write finite numbers of ordinary size.",
        ) from None
    return Draft(document, shape, checks, catalogues)


def _resolved(heir: _Heir) -> Mapping[str, Json]:
    """Return the document with its origins; what gave the reasons is folded into them."""
    content = heir.draft.document.content
    metadata = cast("Mapping[str, Json]", content["metadata"])
    rules = cast("Sequence[Mapping[str, Json]]", content["rules"])
    told = {entry.rule.id: origin for entry, origin in _origins(heir)}
    return {
        **content,
        "metadata": {name: value for name, value in metadata.items() if name != "loosens"},
        "rules": [_told(heir, rule, told.get(str(rule["id"]))) for rule in rules],
        "inherits": [_parent(heir, parent).to_json() for parent in heir.parents],
        "dropped": [dict(item.to_json()) for item in _dropped(heir)],
    }


def _told(heir: _Heir, rule: Mapping[str, Json], origin: Origin | None) -> Json:
    if origin is None:
        return dict(rule)
    own = [item for item in origin.changes if item.by == heir.name]
    kept = {name: it for name, it in _since(heir, rule, own).items() if name != "loosens"}
    return {**kept, "origin": origin.to_json()}


def _since(heir: _Heir, rule: Mapping[str, Json], changes: Sequence[Change]) -> Mapping[str, Json]:
    """Return a rule whose inherited reason for its limit says that the limit is another by now.

    A reason that the heir wrote itself speaks of its own limit, and stays as it is.
    """
    said, moved = rule.get("threshold"), [item for item in changes if item.setting == LIMIT]
    first = next(_ancestors(heir, str(rule["id"])), None)
    if not (said and moved) or first is None or said != first.rule.threshold:
        return rule
    since = "; ".join(f"{item.by} changed the limit: {item.was} → {item.now}" for item in moved)
    return {**rule, "threshold": f"{str(said)[: LONGEST - len(since) - 8]} Since: {since}."}


def _origins(heir: _Heir) -> Iterator[tuple[Entry, Origin]]:
    """Yield each inherited rule with where it was first written, and all that was changed since."""
    for entry in heir.draft.entries:
        first = next(_ancestors(heir, entry.rule.id), None)
        if first is not None:
            origin = origin_of(first)
            changes = [
                _by(heir, change, entry.rule.loosens) for change in rule_changes(first, entry)
            ]
            yield entry, replace(origin, changes=(*origin.changes, *changes))


def _ancestors(heir: _Heir, rule: str) -> Iterator[Entry]:
    for parent in heir.parents:
        yield from (entry for entry in parent.entries if entry.rule.id == rule)


def _by(heir: _Heir, change: Change, reason: str | None) -> Change:
    why = (reason or "") if change.way is Way.LOOSENED else ""
    return replace(change, by=heir.name, reason=why)


def _parent(heir: _Heir, parent: Draft) -> Parent:
    about, reason = parent.shape.metadata, heir.draft.shape.metadata.loosens
    changes = (*metadata_changes(parent, heir.draft), *check_changes(parent, heir.draft))
    return Parent(
        about.name,
        about.version,
        digest_json(parent.document.content),
        tuple(_by(heir, change, reason) for change in changes),
    )


def _dropped(heir: _Heir) -> Iterator[Dropped]:
    for parent in heir.parents:
        yield from dropped_of(parent.shape)
    for rule, reason in heir.drops.items():
        first = next(_ancestors(heir, rule))
        policy = origin_of(first).policy
        yield Dropped(rule, first.rule.title, policy, heir.name, reason)


def _refused(heir: _Heir) -> Iterator[Remark]:
    """Yield what the policy loosens without a reason, and reasons that loosen nothing."""
    for entry in heir.draft.entries:
        held = [
            (old, change)
            for old in _ancestors(heir, entry.rule.id)
            for change in rule_changes(old, entry)
            if change.way is Way.LOOSENED
        ]
        if entry.rule.loosens is None:
            yield from (_loosened(entry, old, change) for old, change in held)
        elif not held and next(_ancestors(heir, entry.rule.id), None) is not None:
            yield entry.error("loosens", NOTHING, "Remove loosens.")
    yield from _laxer_audits(heir)


def _laxer_audits(heir: _Heir) -> Iterator[Remark]:
    draft = heir.draft
    loose = [
        (parent, change)
        for parent in heir.parents
        for change in (*metadata_changes(parent, draft), *check_changes(parent, draft))
        if change.way is Way.LOOSENED
    ]
    if draft.shape.metadata.loosens is None:
        yield from (_laxer(draft, parent, change) for parent, change in loose)
    elif not loose:
        mistake = PolicyError(NOTHING, cure="Remove loosens.")
        yield draft.remark(("metadata", "loosens"), mistake)


def _loosened(entry: Entry, old: Entry, change: Change) -> Remark:
    about = old.draft.shape.metadata
    key = change.setting if change.setting in type(entry.rule).model_fields else "id"
    if change.setting == "limit":
        key = next((name for name in ASKS if getattr(entry.rule, name) is not None), "id")
    said = f"this asks less than {about.name} {about.version} does, or something else ({change})"
    param = _param(entry, key, old)
    if param is None:
        return entry.error(
            key, said, "Ask at least as much, or write `loosens: why` into the rule."
        )
    cure = f"Ask at least as much, or add `{{id: {entry.rule.id}, loosens: why}}` under rules."
    where = entry.draft.document.where(("params", param))
    return Remark(Level.ERROR, where, entry.rule.id, f"{said}, by params.{param}", cure)


def _param(entry: Entry, key: str, old: Entry) -> str | None:
    """Name the param by which alone a limit differs from the parent's, where it is one."""
    named = getattr(entry.rule, key, None)
    if key not in ASKS or named != getattr(old.rule, key) or not isinstance(named, str):
        return None
    found = REFERENCE.fullmatch(named)
    return None if found is None else found.group(1)


def _laxer(draft: Draft, parent: Draft, change: Change) -> Remark:
    about = parent.shape.metadata
    check, colon, _ = change.setting.partition(":")
    where = ("checks", check) if colon else ("metadata", change.setting)
    return Remark(
        Level.ERROR,
        draft.document.where(where),
        "",
        f"this asks less than {about.name} {about.version} does, or something else ({change})",
        "Ask at least as much, or write `loosens: why` into metadata.",
    )
