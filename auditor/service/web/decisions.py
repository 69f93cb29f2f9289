"""What somebody is about to sign at a browser: forms that are filled in become drafts."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from auditor.api.decided import ApprovalDraftAsked, FindingDraftAsked, WaiverDraftAsked
from auditor.api.routes.decisions import says
from auditor.api.showing import audit_of
from auditor.domain.api_keys import ApiKey
from auditor.domain.approvals import Answer
from auditor.domain.canonical import Json
from auditor.domain.people import DecisionKind, Person
from auditor.domain.submissions import Submission
from auditor.people.drafting import Leave, Words, approval_draft, finding_draft, waiver_draft
from auditor.people.naming import barred, company
from auditor.people.panels import Panel, read_kept
from auditor.people.standing import records_of
from auditor.refusals import CallError, NotFoundError, StandingError
from auditor.signatures.keys import read_public_key
from auditor.signatures.unsigned import Unsigned
from auditor.web.facts import RecordFacts, Row
from auditor.web.parts import Site

Form = Mapping[str, str]
NOBODY = "Nobody here has this browser's key yet: an admin names the person and the key first"


@dataclass(frozen=True, slots=True)
class Matter:
    """What is to be decided on: an audit by its last record, and what that says."""

    submission: Submission
    record: str
    facts: RecordFacts

    def finding(self, place: str) -> Row:
        """Return a finding that may be waived by its place. Raises ``NotFoundError``."""
        rows = self.facts.rows
        at = int(place) if place.isascii() and place.isdecimal() and len(place) < 4 else len(rows)  # noqa: PLR2004 -- digits
        if at >= len(rows) or not rows[at].waivable:
            raise NotFoundError(
                "there is no such finding to waive", cure="Choose one of the audit."
            )
        return rows[at]


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision as the person of a key is about to sign it; ``says`` is what the key signs."""

    kind: DecisionKind
    person: Person
    made: Unsigned
    says: Mapping[str, Json]

    @property
    def payload(self) -> str:
        """The statement, in base64."""
        return base64.b64encode(self.made.payload).decode()

    @property
    def statement(self) -> str:
        """The statement, to be read."""
        return self.made.payload.decode()

    @property
    def to_sign(self) -> str:
        """The very bytes that are signed, in base64."""
        return base64.b64encode(self.made.to_sign).decode()


def matter_of(site: Site, caller: ApiKey, audit: str) -> Matter:
    """Return what there is to decide on. Raises ``NotFoundError``, ``StandingError`` without it."""
    found = audit_of(site.service, caller, audit)
    records = records_of(site.service.people, found)
    if not records:
        raise StandingError(f"the audit {audit} has no record", cure="Choose one that is done.")
    facts = site.facts.of([records[-1]], site.latest.bodies)[records[-1]]
    return Matter(found, records[-1], facts)


def drafted(site: Site, matter: Matter, kind: DecisionKind, form: Form) -> Draft:
    """Return what a form asks for, to be signed by the holder of its key.

    Raises ``CallError`` for what a form lacks, ``StandingError`` where the audit was judged again
    since or the word would not count, and as the drafts do.
    """
    if form.get("record") != matter.record:
        raise StandingError(
            "the audit was judged again since this form was opened", cure="Open the audit again."
        )
    panel = site.service.people
    person = holder(panel, matter.submission.project, form.get("key", ""))
    make = {
        DecisionKind.WAIVER: _waiver,
        DecisionKind.APPROVAL: _approval,
        DecisionKind.FINDING: _finding,
    }[kind]
    try:
        made = make(panel, matter, form)
    except ValidationError as error:
        raise CallError(
            f"the field {_field(error)} is empty, or too long", cure="Mend it."
        ) from None
    if form.get("answer") == Answer.YES:
        _refuse_idle(panel, matter, person)
    return Draft(kind, person, made, says(made.bundle))


def holder(panel: Panel, project: str, key: str) -> Person:
    """Return who has a browser's key. Raises ``CallError`` where that is nobody of the project."""
    if not key.strip():
        raise CallError("this browser has made no key", cure="Make one first.")
    pem = read_public_key(key.replace("\r\n", "\n").encode()).pem.decode()
    found = panel.people.holder(project, pem)
    if found is None:
        raise CallError(NOBODY, cure="Hand it to an admin of the project.")
    return found


def _refuse_idle(panel: Panel, matter: Matter, person: Person) -> None:
    """Refuse before it is signed what no gate would count."""
    project = matter.submission.project
    policy = panel.policy_of(read_kept(panel.record(project, matter.record)))
    why = barred(panel, company(panel, project), matter.submission, matter.record, policy)
    if person.key in why:
        raise StandingError(
            f"the yes of {person.name} would not count: {why[person.key]}",
            cure="Label first, or let somebody else say yes.",
        )


def _waiver(panel: Panel, matter: Matter, form: Form) -> Unsigned:
    row = matter.finding(form.get("finding", ""))
    asked = WaiverDraftAsked(
        record=matter.record, key=_key(form), rule=row.bare, owner=_line(form, "owner"),
        ticket=_line(form, "ticket"), reason=_text(form, "reason"), expires=_line(form, "expires"),
    )  # fmt: skip
    leave = Leave(
        rule=asked.rule, owner=asked.owner, ticket=asked.ticket, expires=asked.expires,
        target=row.target, slice=row.place or None,
    )  # fmt: skip
    return waiver_draft(panel, _words(matter, asked.key, asked.reason), leave)


def _approval(panel: Panel, matter: Matter, form: Form) -> Unsigned:
    if form.get("answer") not in set(Answer):
        raise CallError("there is neither a yes nor a no", cure="Choose one of the two.")
    until = _line(form, "expires")
    asked = ApprovalDraftAsked(
        record=matter.record, key=_key(form), role=_line(form, "role"),
        answer=Answer(form["answer"]), reason=_text(form, "reason"),
        expires=f"{until}T00:00:00Z" if until else None,
    )  # fmt: skip
    words = _words(matter, asked.key, asked.reason, asked.role)
    return approval_draft(panel, words, asked.answer, asked.expires)


def _finding(panel: Panel, matter: Matter, form: Form) -> Unsigned:
    asked = FindingDraftAsked(
        record=matter.record, key=_key(form), role=_line(form, "role"),
        reason=_text(form, "reason"),
    )  # fmt: skip
    return finding_draft(panel, _words(matter, asked.key, asked.reason, asked.role))


def _words(matter: Matter, key: str, reason: str, role: str = "") -> Words:
    return Words(
        project=matter.submission.project, record=matter.record, key=key, reason=reason, role=role
    )


def _key(form: Form) -> str:
    return form.get("key", "").replace("\r\n", "\n")


def _line(form: Form, name: str) -> str:
    return form.get(name, "").strip()


def _text(form: Form, name: str) -> str:
    """Return a text of several lines; browsers end each with two signs."""
    return _line(form, name).replace("\r\n", "\n")


def _field(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.errors()[0]["loc"])
