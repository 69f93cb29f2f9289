"""From a policy file to a policy: read strictly, linted, and fixed by its digest."""

from collections.abc import Mapping
from datetime import date

from auditor.domain.canonical import digest_json
from auditor.domain.checks import Check
from auditor.domain.pins import Pins
from auditor.domain.policies import Assurance, Control, Duty, LegalDatum, Policy, Rule
from auditor.errors import PolicyError
from auditor.packs.catalogues import Catalogue
from auditor.packs.drafts import Draft, Entry
from auditor.packs.inheriting import draft_of
from auditor.packs.legal import unsure
from auditor.packs.linting import remarks
from auditor.packs.loosened import on_its_word
from auditor.packs.merging import Written, merged
from auditor.packs.origins import dropped_of, parents_of, read_origin
from auditor.packs.remarks import Level, Remark
from auditor.packs.shapes import DutyShape

Checks = Mapping[str, type[Check]]
Catalogues = Mapping[str, Catalogue]


def load_policy(raw: bytes, source: str, checks: Checks, catalogues: Catalogues) -> Policy:
    """Read a policy that stands by itself; see ``load_written``."""
    return load_written(_alone(raw, source), checks, catalogues)


def load_written(written: Written, checks: Checks, catalogues: Catalogues) -> Policy:
    """Read a policy that can be judged by, with those that it extends.

    Its digest is over the whole document, resolved from all of them. Raises ``PolicyError`` that
    names every mistake with file, line, rule and cure.
    """
    return _policy(read_draft(written, checks, catalogues))


def read_draft(written: Written, checks: Checks, catalogues: Catalogues) -> Draft:
    """Read a policy with those that it extends as it is written. Raises ``PolicyError``."""
    draft = draft_of(merged(written), checks, catalogues)
    mistakes = [item for item in remarks(draft) if item.level is Level.ERROR]
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
) -> tuple[Remark, ...]:
    """Return every mistake and doubt of a policy that stands by itself; raises nothing."""
    return lint_written(_alone(raw, source), checks, catalogues, today)


def lint_written(
    written: Written, checks: Checks, catalogues: Catalogues, today: date | None = None
) -> tuple[Remark, ...]:
    """Return every mistake and doubt of a policy in the order of its lines; raises nothing.

    With ``today`` it says afterwards which law nobody has read, or not looked at for long.
    """
    try:
        whole = merged(written)
        draft = draft_of(whole, checks, catalogues)
        stale = () if today is None else tuple(unsure(draft, today))
        return (*remarks(draft), *on_its_word(whole), *stale)
    except PolicyError as mistake:
        return (_whole(written.source, mistake),)


def _whole(source: str, mistake: PolicyError) -> Remark:
    """Return what keeps a policy from being read, at its line where it begins with one."""
    where, _, problem = mistake.problem.partition(": ")
    if not where.startswith(f"{source}:"):
        where, problem = source, mistake.problem
    return Remark(Level.ERROR, where, "", problem, mistake.cure)


def _alone(raw: bytes, source: str) -> Written:
    """Return a policy that can find no other."""

    def parent(name: str) -> Written:
        raise PolicyError(
            f"{source} extends {name}, which is not at hand here",
            cure="Name the policy's file, so that others are found beside it.",
        )

    return Written(raw, source, source, parent)


def _duty(item: DutyShape) -> Duty:
    return Duty(Control(item.framework, item.ref), item.asks, item.owner)


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
        least_isolation=about.least_isolation,
        valid_for_days=None if about.valid_for is None else int(about.valid_for[:-1]),
        approvals=about.approvals,
        blind_labels=about.blind_labels,
        require_sealed=about.require_sealed,
        most_attempts=about.most_attempts,
        pins=Pins(
            evaluation=tuple(about.pins.evaluation),
            sets=tuple(about.pins.sets),
            least_rows=about.pins.least_rows,
            settings=about.pins.settings,
        ),
        mode=about.mode,
        inherits=parents_of(shape),
        dropped=tuple(dropped_of(shape)),
        catalogues={name: item.digest for name, item in draft.catalogues.items() if name in cited},
        cannot_evidence=tuple(_duty(item) for item in about.cannot_evidence),
        legal=tuple(LegalDatum(**item.model_dump()) for item in about.legal),
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
        anchored=entry.anchored,
        require=shape.require,
        when=shape.when,
        accept_withstood=shape.accept == "withstood",
        controls=tuple(Control(item.framework, item.ref) for item in shape.controls),
        rationale=shape.rationale or "",
        remediation=shape.remediation or "",
        threshold=shape.threshold or "",
        for_each=tuple(shape.for_each),
        origin=None if shape.origin is None else read_origin(shape.origin),
    )
