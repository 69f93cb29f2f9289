"""From a policy file to a policy: read strictly, linted, and fixed by its digest."""

from collections.abc import Mapping

from auditor.documents import read_document, validate
from auditor.domain.canonical import digest_json
from auditor.domain.checks import Check
from auditor.domain.policies import Assurance, Control, Policy, Rule
from auditor.errors import PolicyError
from auditor.packs.catalogues import Catalogue
from auditor.packs.drafts import Draft, Entry
from auditor.packs.linting import remarks
from auditor.packs.remarks import Level, Remark
from auditor.packs.shapes import PolicyShape

Checks = Mapping[str, type[Check]]
Catalogues = Mapping[str, Catalogue]


def load_policy(raw: bytes, source: str, checks: Checks, catalogues: Catalogues) -> Policy:
    """Read a policy that can be judged by; its digest is over the document as parsed.

    Raises ``PolicyError`` that names every mistake with file, line, rule and cure.
    """
    draft = _draft(raw, source, checks, catalogues)
    mistakes = [item for item in remarks(draft) if item.level is Level.ERROR]
    if mistakes:
        raise PolicyError(
            "; ".join(str(item) for item in mistakes),
            cure=" ".join(dict.fromkeys(item.cure for item in mistakes)),
        )
    return _policy(draft)


def lint_policy(
    raw: bytes, source: str, checks: Checks, catalogues: Catalogues
) -> tuple[Remark, ...]:
    """Return every mistake and doubt of a policy file in the order of its lines; raises nothing."""
    try:
        return tuple(remarks(_draft(raw, source, checks, catalogues)))
    except PolicyError as mistake:
        return (Remark(Level.ERROR, source, "", mistake.problem, mistake.cure),)


def _draft(raw: bytes, source: str, checks: Checks, catalogues: Catalogues) -> Draft:
    document = read_document(raw, source, PolicyError)
    shape = validate(document, PolicyShape, PolicyError)
    try:
        digest_json(document.content)
    except ValueError as mistake:
        raise PolicyError(
            f"{source} holds a number that cannot be fixed by a digest: {mistake}",
            cure="Write finite numbers of ordinary size.",
        ) from None
    return Draft(document, shape, checks, catalogues)


def _policy(draft: Draft) -> Policy:
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
        least_assurance=Assurance[about.least_assurance],
        least_evidence=about.least_evidence,
        valid_for_days=None if about.valid_for is None else int(about.valid_for[:-1]),
        mode=about.mode,
        catalogues={name: item.digest for name, item in draft.catalogues.items() if name in cited},
    )


def _rule(entry: Entry) -> Rule:
    shape = entry.rule
    return Rule(
        id=shape.id,
        title=shape.title,
        severity=shape.severity,
        effect=shape.effect,
        check=shape.check,
        metric=shape.metric,
        where=shape.where,
        limits=entry.limits,
        require=shape.require,
        when=shape.when,
        accept_withstood=shape.accept == "withstood",
        controls=tuple(Control(item.framework, item.ref) for item in shape.controls),
        rationale=shape.rationale or "",
        remediation=shape.remediation or "",
    )
