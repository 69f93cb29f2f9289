"""Loads policies from files and policy packs: parses, lints, and identifies each by its digest."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from auditor._yaml import validate_document
from auditor.domain.checks import Check
from auditor.domain.json import digest_json, write_fields
from auditor.domain.pinned_settings import AuditPins
from auditor.domain.policies import (
    MOST_VALID_DAYS,
    AssuranceLevel,
    FrameworkControl,
    LegalBasis,
    ManualDuty,
    Policy,
    Rule,
)
from auditor.errors import PolicyError
from auditor.policy.control_catalogues import FrameworkCatalogue
from auditor.policy.find import find_policy_file, find_policy_path, list_pack_names
from auditor.policy.inherit import PolicySource, merge_policy_chain
from auditor.policy.lint import lint_draft, lint_unverified_law
from auditor.policy.lint_remarks import LintLevel, LintRemark
from auditor.policy.relaxations import lint_unproven_parents
from auditor.policy.rule_origins import (
    read_dropped_rules,
    read_parent_policies,
    read_rule_origin,
    resolve_policy_draft,
)
from auditor.policy.schema import PolicySchema
from auditor.policy.unvalidated_policy import PolicyDraft, RuleDraft

Checks = Mapping[str, type[Check]]
Catalogues = Mapping[str, FrameworkCatalogue]


def load_policy(raw: bytes, source: str, checks: Checks, catalogues: Catalogues) -> Policy:
    """Read a policy that stands by itself; see ``load_policy_source``."""
    return load_policy_source(_alone(raw, source), checks, catalogues)


def load_policy_source(written: PolicySource, checks: Checks, catalogues: Catalogues) -> Policy:
    """Read a policy that can be judged by, with those that it extends.

    Its digest is over the whole document, resolved from all of them. Raises ``PolicyError`` that
    names every mistake with file, line, rule and cure.
    """
    draft = read_policy_draft(written, checks, catalogues)
    shape, about = draft.shape, draft.shape.metadata
    rules = tuple(_rule(draft.entry(index)) for index in range(len(shape.rules)))
    cited = {control.framework for rule in rules for control in rule.controls}
    return Policy(
        name=about.name,
        version=about.version,
        owner=about.owner,
        digest=digest_json(draft.document.content),
        document=draft.document.content,
        source=draft.document.source,
        rules=rules,
        params=shape.params,
        checks=shape.checks,
        applies_to=about.applies_to,
        least_budget=about.least_budget,
        least_assurance=AssuranceLevel[about.least_assurance],
        least_evidence=about.least_evidence,
        least_isolation=about.least_isolation,
        valid_for_days=None
        if about.valid_for is None
        else min(int(about.valid_for[:-1]), MOST_VALID_DAYS),
        approvals=about.approvals,
        blind_labels=about.blind_labels,
        require_sealed=about.require_sealed,
        most_attempts=about.most_attempts,
        pins=AuditPins(
            evaluation=tuple(about.pins.evaluation),
            sets=tuple(about.pins.sets),
            least_rows=about.pins.least_rows,
            settings=about.pins.settings,
        ),
        mode=about.mode,
        inherits=read_parent_policies(shape),
        dropped=tuple(read_dropped_rules(shape)),
        catalogues={name: item.digest for name, item in draft.catalogues.items() if name in cited},
        cannot_evidence=tuple(
            ManualDuty(FrameworkControl(item.framework, item.ref), item.asks, item.owner)
            for item in about.cannot_evidence
        ),
        legal=tuple(LegalBasis(**item.model_dump()) for item in about.legal),
    )


def read_policy_draft(written: PolicySource, checks: Checks, catalogues: Catalogues) -> PolicyDraft:
    """Read a policy with those that it extends as it is written. Raises ``PolicyError``."""
    draft = resolve_policy_draft(merge_policy_chain(written), checks, catalogues)
    mistakes = [item for item in lint_draft(draft) if item.level is LintLevel.ERROR]
    if mistakes:
        raise PolicyError(
            "; ".join(str(item) for item in mistakes),
            cure=" ".join(dict.fromkeys(item.cure for item in mistakes)),
        )
    return draft


def lint_policy(
    raw: bytes,
    source: str,
    checks: Checks,
    catalogues: Catalogues,
    today: date | None = None,
) -> tuple[LintRemark, ...]:
    """Return every mistake and doubt of a policy that stands by itself; raises nothing."""
    return lint_policy_source(_alone(raw, source), checks, catalogues, today)


def lint_policy_source(
    written: PolicySource, checks: Checks, catalogues: Catalogues, today: date | None = None
) -> tuple[LintRemark, ...]:
    """Return every mistake and doubt of a policy in the order of its lines; raises nothing.

    With ``today`` it says afterwards which law nobody has read, or not looked at for long.
    """
    try:
        whole = merge_policy_chain(written)
        draft = resolve_policy_draft(whole, checks, catalogues)
        stale = () if today is None else tuple(lint_unverified_law(draft, today))
        return (*lint_draft(draft), *lint_unproven_parents(whole), *stale)
    except PolicyError as mistake:
        where, _, problem = mistake.problem.partition(": ")
        if not where.startswith(f"{written.source}:"):
            where, problem = written.source, mistake.problem
        return (LintRemark(LintLevel.ERROR, where, "", problem, mistake.cure),)


def _alone(raw: bytes, source: str) -> PolicySource:
    """Return a policy that can find no other."""

    def parent(name: str) -> PolicySource:
        raise PolicyError(
            f"{source} extends {name}, which is not at hand here",
            cure="Name the policy's file, so that others are found beside it.",
        )

    return PolicySource(raw, source, source, parent)


def _rule(entry: RuleDraft) -> Rule:
    shape = entry.rule
    return Rule(
        id=shape.id,
        title=entry.title,
        severity=shape.severity,
        effect=shape.effect,
        check=shape.check,
        metric=shape.metric,
        where=shape.where,
        limits=entry.limits,
        anchored=entry.anchored,
        require=shape.require,
        when=shape.when,
        accept_withstood=shape.accept == "withstood",
        controls=tuple(FrameworkControl(item.framework, item.ref) for item in shape.controls),
        rationale=shape.rationale or "",
        remediation=shape.remediation or "",
        threshold=shape.threshold or "",
        for_each=tuple(shape.for_each),
        origin=None if shape.origin is None else read_rule_origin(shape.origin),
    )


MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What a list of packs says of one."""

    name: str
    version: str
    owner: str
    rules: int
    description: str

    to_json = write_fields


def find_policy_bytes(wanted: str, base: Path, folder: Path) -> tuple[bytes, str]:
    """Return the bytes of a policy and the name that messages give it, as ``find_policy_source``
    does.
    """
    found = find_policy_source(wanted, base, folder)
    return found.raw, found.source


def find_policy_source(wanted: str, base: Path, folder: Path) -> PolicySource:
    """Return a policy as it is written, from which those that it extends can be found.

    ``wanted`` is the name of a pack in ``folder``, or a path relative to ``base``. Raises
    ``PolicyError`` that lists the packs when there is no such policy.
    """
    path = find_policy_file(wanted, base, folder)
    in_pack = find_policy_path(wanted, base, folder) is None
    return _written(path, path.name if in_pack else wanted, folder)


def _written(path: Path, source: str, folder: Path) -> PolicySource:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise PolicyError(
                f"{source} has {size:,} bytes, more than {MOST_BYTES:,}",
                cure="Split the policy into several.",
            )
        read = path.read_bytes()
    except OSError as mistake:
        raise PolicyError(
            f"{source} cannot be read: {mistake.strerror}", cure="Check its permissions."
        ) from None
    return PolicySource(
        read,
        source,
        str(path.resolve()),
        partial(find_policy_source, base=path.parent, folder=folder),
    )


def list_policies(folder: Path) -> tuple[PackSummary, ...]:
    """Return every pack in a folder, by name. Raises ``PolicyError`` for a malformed one."""
    return tuple(
        _summary(find_policy_source(name, folder, folder)) for name in list_pack_names(folder)
    )


def _summary(written: PolicySource) -> PackSummary:
    shape = validate_document(merge_policy_chain(written).document, PolicySchema, PolicyError)
    about = shape.metadata
    return PackSummary(
        about.name, about.version, about.owner, len(shape.rules), about.description or ""
    )
