"""Drafts of decisions to sign (waivers, approvals, findings), and blind labeling of cases.

A person labels cases before the verdict is shown, so that the labels are independent of it. Source:
Parasuraman and Manzey 2010, "Complacency and bias in human use of automation", 4.2.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.domain.approvals import (
    Approval,
    ApprovalAnswer,
    HumanFinding,
    find_approval_mistakes,
    find_human_finding_mistakes,
)
from auditor.domain.evidence import Item, decode_evidence
from auditor.domain.json import Json, JsonPart
from auditor.domain.records import CheckObservation
from auditor.domain.waivers import API, KIND, read_waiver
from auditor.errors import MalformedRequestError, NotFoundError, StateConflictError, WaiverError
from auditor.service.approvals.people import ApprovalContext, read_stored_record
from auditor.service.domain.people import BlindLabels, Person
from auditor.trust.signatures.decisions import (
    build_approval_payload,
    build_finding_payload,
    build_waiver_payload,
)
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.verify import UnsignedStatement, prepare_unsigned_statement

CHECK = "quality.accuracy"
"""The check that scores every row, and keeps what is true of it."""


@dataclass(frozen=True, slots=True)
class LabelCase:
    """A row of the data by its id, what is true of it, and what the model says."""

    id: str
    truth: str
    model: str


@dataclass(frozen=True, slots=True)
class LabelSample:
    """The cases of a record that one person is asked for, and the names of the classes."""

    cases: tuple[LabelCase, ...]
    classes: tuple[str, ...]


def draw_label_sample(
    panel: ApprovalContext, project: str, record: str, person: str
) -> LabelSample:
    """Return the cases of a record that a person is asked to label, the same ones each time.

    They are drawn by SHA-256 of the record's digest, the person and the case, so that nobody
    chooses them. Raises ``NotFoundError`` for a record or a person of another project, and
    ``StateConflictError`` where the policy asks for none, or the record has none to label.
    """
    kept, who = panel.record(project, record), panel.person(project, person)
    read = read_stored_record(kept)
    asked = panel.policy_of(read).blind_labels
    if not asked:
        raise StateConflictError(
            f"the policy of {record} does not require labels",
            cure="Approve the record without labels.",
        )
    observation = next((it for it in read.observations if it.check == CHECK), None)
    if observation is None or observation.committed:
        raise StateConflictError(
            f"record {read.id} has no labelled cases to show",
            cure=f"Audit with {CHECK} on labelled data.",
        )
    salt = f"{record} {who.id}"
    ids, truth, decided, classes = _scored(panel, observation)
    order = sorted(range(len(ids)), key=lambda at: hashlib.sha256(
        f"{salt} {ids[at]}".encode()).digest())  # fmt: skip
    if len(order) < asked:
        raise StateConflictError(
            (
                f"record {read.id} has {len(order)} cases, but the policy requires {asked} "
                "labelled cases"
            ),
            cure="Audit with more rows.",
        )
    cases = (LabelCase(ids[at], classes[truth[at]], classes[decided[at]]) for at in order[:asked])
    return LabelSample(tuple(cases), classes)


def store_labels(
    panel: ApprovalContext, project: str, given: BlindLabels, most: int = 200
) -> tuple[BlindLabels, tuple[LabelCase, ...]]:
    """Keep what a person calls the cases of a record, once, and return it with the cases.

    Raises as ``draw_label_sample``, ``MalformedRequestError`` for other cases or classes, and
    ``StateConflictError`` for other labels than the first ones.
    """
    found = draw_label_sample(panel, project, given.record, given.person)
    ids = {case.id for case in found.cases}
    strange = set(given.labels.values()) - set(found.classes)
    if set(given.labels) != ids or strange:
        what = f"{min(strange)[:most]!r} is not a class" if strange else "the cases differ"
        raise MalformedRequestError(
            f"the labels do not match the requested cases: {what}",
            cure="Label each case of GET /v1/approvals/cases with one of its classes.",
        )
    labels = given.labels
    counted = BlindLabels(
        record=given.record,
        person=given.person,
        labels=dict(labels),
        truth=sum(labels[case.id] == case.truth for case in found.cases),
        model=sum(labels[case.id] == case.model for case in found.cases),
        at=panel.clock(),
        by=given.by,
    )
    kept = panel.people.label(project, counted)
    if kept.labels != counted.labels:
        raise StateConflictError(
            "the cases were already labelled, and the truth was shown",
            cure="The first labels count; they cannot be changed.",
        )
    return kept, found.cases


def _scored(
    panel: ApprovalContext, observation: CheckObservation
) -> tuple[list[str], list[int], list[int], tuple[str, ...]]:
    blobs = panel.kept.store.blobs
    found: Mapping[str, Item] = {
        name: decode_evidence(blobs.get(observation.evidence[name]))
        for name in ("ids", "labels", "decided", "task")
    }
    task = found["task"]
    if isinstance(task, np.ndarray):
        raise StateConflictError("the evidence names no classes", cure="Audit again.")
    ids, truth, decided = (np.asarray(found[name]) for name in ("ids", "labels", "decided"))
    classes = JsonPart(task, "task").texts("classes")
    texts = [str(item) for item in ids.tolist()]
    return texts, [int(at) for at in truth], [int(at) for at in decided], classes


PEOPLE = "An admin of the project adds people and their keys: POST /v1/people."


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRequest:
    """What somebody wants to say of a record of a project, and the key (PEM) that is to sign."""

    project: str
    record: str
    key: str
    reason: str
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverTerms:
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


def draft_waiver(
    panel: ApprovalContext, words: DraftRequest, leave: WaiverTerms
) -> UnsignedStatement:
    """Return a waiver to be signed, for what a record is of.

    Raises ``NotFoundError`` for a record or key that the project does not have, ``WaiverError`` for
    what no waiver may say.
    """
    person, record = (
        _holder(panel, words),
        read_stored_record(panel.record(words.project, words.record)),
    )
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
    return prepare_unsigned_statement(
        build_waiver_payload(read_waiver(said, lambda _: "the draft")), words.key.encode()
    )


def draft_approval(
    panel: ApprovalContext, words: DraftRequest, answer: ApprovalAnswer, expires: str | None = None
) -> UnsignedStatement:
    """Return a yes or no to be signed. Raises as ``draft_waiver``."""
    person, record = (
        _holder(panel, words),
        read_stored_record(panel.record(words.project, words.record)),
    )
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
    for problem, cure in find_approval_mistakes(approval):
        raise WaiverError(f"invalid approval: {problem}", cure=cure)
    return prepare_unsigned_statement(build_approval_payload(approval), words.key.encode())


def draft_finding(panel: ApprovalContext, words: DraftRequest) -> UnsignedStatement:
    """Return a human finding to be signed. Raises as ``draft_waiver``."""
    person, record = (
        _holder(panel, words),
        read_stored_record(panel.record(words.project, words.record)),
    )
    finding = HumanFinding(
        record=words.record,
        record_id=record.id,
        by=person.name,
        role=words.role,
        reason=words.reason,
        created=panel.clock(),
    )
    for problem, cure in find_human_finding_mistakes(finding):
        raise WaiverError(f"invalid finding: {problem}", cure=cure)
    return prepare_unsigned_statement(build_finding_payload(finding), words.key.encode())


def _holder(panel: ApprovalContext, words: DraftRequest) -> Person:
    pem = read_public_key(words.key.encode()).pem.decode()
    found = panel.people.holder(words.project, pem)
    if found is None:
        raise NotFoundError("the key does not belong to a person in this project", cure=PEOPLE)
    return found
