"""What a person signs elsewhere, as in a browser: written here, so that nobody has to by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.approvals import Answer, Approval
from auditor.domain.approvals import mistakes_of as approval_mistakes
from auditor.domain.canonical import Json
from auditor.domain.human_findings import HumanFinding
from auditor.domain.human_findings import mistakes_of as finding_mistakes
from auditor.domain.people import Person
from auditor.domain.waiver_json import read_waiver
from auditor.domain.waivers import API, KIND
from auditor.errors import WaiverError
from auditor.people.panels import Panel, read_kept
from auditor.refusals import NotFoundError
from auditor.signatures.decisions import approval_payload, finding_payload, waiver_payload
from auditor.signatures.keys import read_public_key
from auditor.signatures.unsigned import Unsigned, unsigned

PEOPLE = "An admin of the project adds people and their keys: POST /v1/people."


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What somebody wants to say of a record of a project, and the key (PEM) that is to sign."""

    project: str
    record: str
    key: str
    reason: str
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What a waiver says beside the record that it is about; ``expires`` is a UTC time or day."""

    rule: str
    owner: str
    ticket: str
    expires: str
    target: str | None = None
    slice: Mapping[str, Json] | None = None
    compensating: tuple[str, ...] = ()
    any_version: bool = False
    any_edition: bool = False


def waiver_draft(panel: Panel, words: Words, leave: Leave) -> Unsigned:
    """Return a waiver to be signed, for what a record is of.

    Raises ``NotFoundError`` for a record or key that the project does not have, ``WaiverError`` for
    what no waiver may say.
    """
    person, record = _holder(panel, words), read_kept(panel.record(words.project, words.record))
    request = record.request
    artifact = None if request.artifact is None else request.artifact.digest
    said: dict[str, Json] = {
        "apiVersion": API, "kind": KIND, "rule": leave.rule, "model": request.name,
        "artifact": "any" if leave.any_version or artifact is None else artifact,
        "policy": request.policy.name, "owner": leave.owner, "approver": person.name,
        "reason": words.reason, "ticket": leave.ticket, "created": panel.clock(),
        "expires": leave.expires,
    }  # fmt: skip
    beside: dict[str, Json] = {
        "policy_digest": None if leave.any_edition else request.policy.digest,
        "target": leave.target,
        "slice": None if leave.slice is None else dict(leave.slice),
        "compensating": list(leave.compensating),
    }
    said |= {name: value for name, value in beside.items() if value}
    return unsigned(waiver_payload(read_waiver(said, lambda _: "the draft")), words.key.encode())


def approval_draft(
    panel: Panel, words: Words, answer: Answer, expires: str | None = None
) -> Unsigned:
    """Return a yes or no to be signed. Raises as ``waiver_draft``."""
    person, record = _holder(panel, words), read_kept(panel.record(words.project, words.record))
    approval = Approval(
        record=words.record,
        record_id=record.id,
        by=person.name,
        role=words.role,
        answer=answer,
        reason=words.reason,
        created=panel.clock(),
        expires=expires,
    )
    for problem, cure in approval_mistakes(approval):
        raise WaiverError(f"this is no approval: {problem}", cure=cure)
    return unsigned(approval_payload(approval), words.key.encode())


def finding_draft(panel: Panel, words: Words) -> Unsigned:
    """Return a human finding to be signed. Raises as ``waiver_draft``."""
    person, record = _holder(panel, words), read_kept(panel.record(words.project, words.record))
    finding = HumanFinding(
        record=words.record,
        record_id=record.id,
        by=person.name,
        role=words.role,
        reason=words.reason,
        created=panel.clock(),
    )
    for problem, cure in finding_mistakes(finding):
        raise WaiverError(f"this is no finding: {problem}", cure=cure)
    return unsigned(finding_payload(finding), words.key.encode())


def _holder(panel: Panel, words: Words) -> Person:
    pem = read_public_key(words.key.encode()).pem.decode()
    found = panel.people.holder(words.project, pem)
    if found is None:
        raise NotFoundError("the key is of nobody in this project", cure=PEOPLE)
    return found
