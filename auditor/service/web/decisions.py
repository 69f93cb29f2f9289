"""Data for the web pages of decisions: drafts from forms, decision lists, and approval status.

The verdict stays hidden from a person who still has to label cases.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from pydantic import ValidationError

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.findings import Verdict
from auditor.domain.json import Json
from auditor.domain.policies import Policy
from auditor.domain.record_scope import RecordScope
from auditor.domain.waivers import WaiverSubject, read_waiver
from auditor.errors import MalformedRequestError, NotFoundError, StateConflictError
from auditor.service.api.requests import find_audit
from auditor.service.api.routes.audits import build_people_fields
from auditor.service.api.routes.decisions import read_signed_statement
from auditor.service.api.schemas import LaterRecord
from auditor.service.api.schemas_people import (
    ApprovalDraftRequestBody,
    FindingDraftRequestBody,
    WaiverDraftRequestBody,
)
from auditor.service.approvals.draft import (
    DraftRequest,
    WaiverTerms,
    draft_approval,
    draft_finding,
    draft_waiver,
    draw_label_sample,
)
from auditor.service.approvals.people import (
    ApprovalContext,
    explain_barred_keys,
    load_project_people,
    read_stored_record,
)
from auditor.service.approvals.rejudge import MOST
from auditor.service.approvals.status import ApprovalStatus, list_record_digests
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.people import BlindLabels, DecisionKind, Person, SignedDecision
from auditor.service.domain.submissions import Submission
from auditor.service.store.people import DecisionQuery
from auditor.service.web.badges import ANSWERS, STANDINGS, StatusBadge, choose_verdict_badge
from auditor.service.web.record_facts import FindingRow, RecordFacts
from auditor.service.web.site import WebContext
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.verify import UnsignedStatement

Form = Mapping[str, str]
NOBODY = "The key of this browser is not registered in this project"


@dataclass(frozen=True, slots=True)
class DecisionTopic:
    """What is to be decided on: an audit by its last record, and what that says."""

    submission: Submission
    record: str
    facts: RecordFacts

    def finding(self, place: str) -> FindingRow:
        """Return a finding that may be waived by its place. Raises ``NotFoundError``."""
        rows = self.facts.rows
        at = int(place) if place.isascii() and place.isdecimal() and len(place) < 4 else len(rows)  # noqa: PLR2004 -- digits
        if at >= len(rows) or not rows[at].waivable:
            raise NotFoundError(
                "this finding does not exist or cannot be waived", cure="Choose one from the audit."
            )
        return rows[at]


@dataclass(frozen=True, slots=True)
class DecisionDraft:
    """A decision as the person of a key is about to sign it; ``says`` is what the key signs."""

    kind: DecisionKind
    person: Person
    made: UnsignedStatement
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


def find_decision_topic(site: WebContext, caller: ApiKey, audit: str) -> DecisionTopic:
    """Return what there is to decide on. Raises ``NotFoundError``, ``StateConflictError`` without
    it.
    """
    found = find_audit(site.service, caller, audit)
    records = list_record_digests(site.service.people, found)
    if not records:
        raise StateConflictError(f"audit {audit} has no record", cure="Choose a completed audit.")
    facts = site.facts.of([records[-1]], site.latest.bodies)[records[-1]]
    return DecisionTopic(found, records[-1], facts)


def draft_decision(
    site: WebContext, matter: DecisionTopic, kind: DecisionKind, form: Form
) -> DecisionDraft:
    """Return what a form asks for, to be signed by the holder of its key.

    Raises ``MalformedRequestError`` for what a form lacks, ``StateConflictError`` where the audit
    was judged again since or the word would not count, and as the drafts do.
    """
    if form.get("record") != matter.record:
        raise StateConflictError(
            "the audit was re-evaluated after you opened this form", cure="Open the audit again."
        )
    panel = site.service.people
    person = find_key_holder(panel, matter.submission.project, form.get("key", ""))
    make = {
        DecisionKind.WAIVER: _waiver,
        DecisionKind.APPROVAL: _approval,
        DecisionKind.FINDING: _finding,
    }[kind]
    try:
        made = make(panel, matter, form)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise MalformedRequestError(
            f"the field {field} is empty or too long", cure="Correct it."
        ) from None
    if form.get("answer") == ApprovalAnswer.YES:
        # Refuse before it is signed what no gate would count
        project = matter.submission.project
        policy = panel.policy_of(read_stored_record(panel.record(project, matter.record)))
        why = explain_barred_keys(
            panel, load_project_people(panel, project), matter.submission, matter.record, policy
        )
        if person.key in why:
            raise StateConflictError(
                f"an approval by {person.name} would not count: {why[person.key]}",
                cure="Label the cases first, or ask another person to approve.",
            )
    return DecisionDraft(kind, person, made, read_signed_statement(made.bundle))


def find_key_holder(panel: ApprovalContext, project: str, key: str) -> Person:
    """Return who has a browser's key. Raises ``MalformedRequestError`` where that is nobody of the
    project.
    """
    if not key.strip():
        raise MalformedRequestError(
            "this browser has no signing key", cure="Create one on this page first."
        )
    pem = read_public_key(key.replace("\r\n", "\n").encode()).pem.decode()
    found = panel.people.holder(project, pem)
    if found is None:
        raise MalformedRequestError(
            NOBODY, cure="Ask an admin of the project to add you with this key on the page People."
        )
    return found


def _waiver(panel: ApprovalContext, matter: DecisionTopic, form: Form) -> UnsignedStatement:
    row = matter.finding(form.get("finding", ""))
    asked = WaiverDraftRequestBody(
        record=matter.record, key=_key(form), rule=row.bare, owner=_line(form, "owner"),
        ticket=_line(form, "ticket"), reason=_text(form, "reason"), expires=_line(form, "expires"),
    )  # fmt: skip
    leave = WaiverTerms(
        rule=asked.rule, owner=asked.owner, ticket=asked.ticket, expires=asked.expires,
        target=row.target, slice=row.place or None,
    )  # fmt: skip
    return draft_waiver(panel, _words(matter, asked.key, asked.reason), leave)


def _approval(panel: ApprovalContext, matter: DecisionTopic, form: Form) -> UnsignedStatement:
    if form.get("answer") not in set(ApprovalAnswer):
        raise MalformedRequestError("no decision was chosen", cure="Choose Approve or Reject.")
    until = _line(form, "expires")
    asked = ApprovalDraftRequestBody(
        record=matter.record, key=_key(form), role=_line(form, "role"),
        answer=ApprovalAnswer(form["answer"]), reason=_text(form, "reason"),
        expires=f"{until}T00:00:00Z" if until else None,
    )  # fmt: skip
    words = _words(matter, asked.key, asked.reason, asked.role)
    return draft_approval(panel, words, asked.answer, asked.expires)


def _finding(panel: ApprovalContext, matter: DecisionTopic, form: Form) -> UnsignedStatement:
    asked = FindingDraftRequestBody(
        record=matter.record, key=_key(form), role=_line(form, "role"),
        reason=_text(form, "reason"),
    )  # fmt: skip
    return draft_finding(panel, _words(matter, asked.key, asked.reason, asked.role))


def _words(matter: DecisionTopic, key: str, reason: str, role: str = "") -> DraftRequest:
    return DraftRequest(
        project=matter.submission.project, record=matter.record, key=key, reason=reason, role=role
    )


def _key(form: Form) -> str:
    return form.get("key", "").replace("\r\n", "\n")


def _line(form: Form, name: str) -> str:
    return form.get(name, "").strip()


def _text(form: Form, name: str) -> str:
    """Return a text of several lines; browsers end each with two signs."""
    return _line(form, name).replace("\r\n", "\n")


FEW = 20


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """A decision as a table shows it: ``about`` is the rule or the role, ``model`` a waiver's."""

    kind: DecisionKind
    digest: str
    number: int
    sign: StatusBadge
    name: str
    about: str
    reason: str
    at: str
    until: str
    record: str | None
    model: str


def summarize_decisions(
    decisions: Iterable[SignedDecision], people: Iterable[Person]
) -> tuple[DecisionSummary, ...]:
    """Return decisions of one project as words, in their order."""
    names = {person.id: person.name for person in people}
    return tuple(
        _word(item, read_signed_statement(item.bundle), names[item.person]) for item in decisions
    )


def list_audit_decisions(
    panel: ApprovalContext, project: str, records: tuple[str, ...], audited: WaiverSubject
) -> tuple[DecisionSummary, ...]:
    """Return what people said of an audit's records, and the waivers that are for what it audited.

    One for another policy, or another edition of it, is for another audit.
    """
    people = panel.people
    found: list[SignedDecision] = []
    for kind in (DecisionKind.APPROVAL, DecisionKind.FINDING):
        found += people.about(project, kind, records)
    if audited.artifact is not None:
        sought = DecisionQuery(kind=DecisionKind.WAIVER, artifact=audited.artifact, limit=MOST)
        fitting = (it for it in people.decisions(project, sought) if _is_for(it, audited))
        found += islice(fitting, FEW)
    newest = sorted(found, key=lambda item: item.number, reverse=True)[:FEW]
    return summarize_decisions(newest, people.all(project)) if newest else ()


def _is_for(item: SignedDecision, audited: WaiverSubject) -> bool:
    waiver = read_waiver(read_signed_statement(item.bundle), lambda name: f"{item.digest}:{name}")
    return not waiver.foreign_to(audited)


def _word(item: SignedDecision, said: Mapping[str, Json], name: str) -> DecisionSummary:
    def text(field: str) -> str:
        found = said.get(field)
        return found if isinstance(found, str) else ""

    answer = text("answer") if item.kind is DecisionKind.APPROVAL else item.kind.value
    return DecisionSummary(
        kind=item.kind,
        digest=item.digest,
        number=item.number,
        sign=ANSWERS[answer],
        name=name,
        about=text("rule") if item.kind is DecisionKind.WAIVER else text("role"),
        reason=text("reason"),
        at=item.at,
        until=text("expires"),
        record=item.record,
        model=text("model"),
    )


class VerdictVisibility(StrEnum):
    """Whether somebody sees a verdict: at once, when they ask for it, or once they labelled."""

    OPEN = "open"
    ASKED = "asked"
    SHUT = "shut"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPageStatus:
    """Where an audit stands by its last record: ``first`` is the record that it came to first.

    ``waived`` are those of its records that pass by exception.
    """

    first: str
    first_verdict: str
    record: str
    standing: ApprovalStatus
    awaits: str
    later: tuple[LaterRecord, ...]
    said: tuple[DecisionSummary, ...]
    labelled: tuple[tuple[str, BlindLabels], ...]
    sight: VerdictVisibility
    cases: int
    scope: RecordScope
    waived: frozenset[str]

    @property
    def sign(self) -> StatusBadge:
        """The word and picture of it."""
        waived = self.record in self.waived
        if self.standing is ApprovalStatus.PASSED or (
            waived and self.standing is ApprovalStatus.APPROVED
        ):
            return choose_verdict_badge(Verdict.PASS, self.scope, by_exception=waived)
        return STANDINGS[self.standing]


def build_approval_page_status(
    site: WebContext, caller: ApiKey, found: Submission, facts: RecordFacts
) -> ApprovalPageStatus:
    """Return where an audit that has a record stands; ``facts`` are those of its last one."""
    panel, told = site.service.people, build_people_fields(site.service, found)
    records = list_record_digests(panel, found)
    policy = panel.policy(panel.kept.store.blobs.get(facts.policy_digest), facts.policy)
    if policy.blind_labels:
        labels: dict[str, BlindLabels] = {}
        for record in records:
            labels |= panel.people.labels(found.project, record)
    else:
        labels = {}
    names = {it.id: it.name for it in panel.people.all(found.project)} if labels else {}
    return ApprovalPageStatus(
        first=records[0],
        first_verdict=panel.rejudged.of(found.id)[0].verdict,
        record=records[-1],
        standing=told["standing"],
        awaits=told["awaits"] or "",
        later=tuple(told["records"]),
        said=list_audit_decisions(panel, found.project, records, facts.audited),
        labelled=tuple((names[who], item) for who, item in labels.items()),
        sight=_sight(panel, caller, found, policy, frozenset(labels)),
        cases=policy.blind_labels,
        scope=facts.scope,
        waived=site.latest.exceptions(records),
    )


def list_people_by_key(panel: ApprovalContext, caller: ApiKey) -> tuple[Person, ...]:
    """Return the people of a project who decide, and are known to call by a key."""
    every = panel.people.all(caller.project)
    return tuple(it for it in every if it.ended is None and it.caller == caller.id)


def select_approvers(people: Iterable[Person]) -> tuple[Person, ...]:
    """Return those of some people who may approve now."""
    return tuple(it for it in people if it.ended is None and DecisionKind.APPROVAL in it.may)


def _sight(
    panel: ApprovalContext,
    caller: ApiKey,
    found: Submission,
    policy: Policy,
    labelled: frozenset[str],
) -> VerdictVisibility:
    """Say what somebody sees who may have to label first: who did so once of an audit sees all."""
    if not policy.blind_labels or not caller.role.may(AccessRole.APPROVER):
        return VerdictVisibility.OPEN
    known, people = (
        list_people_by_key(panel, caller),
        select_approvers(panel.people.all(found.project)),
    )
    mine = select_approvers(known)
    nothing = not people or (known and (not mine or caller.id == found.submitter))
    if nothing or any(person.id in labelled for person in mine):
        return VerdictVisibility.OPEN
    try:
        draw_label_sample(
            panel, found.project, list_record_digests(panel, found)[-1], (mine or people)[0].id
        )
    except StateConflictError:
        return VerdictVisibility.OPEN  # there is nothing to label
    return VerdictVisibility.SHUT if mine else VerdictVisibility.ASKED
