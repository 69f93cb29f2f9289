"""Pydantic schemas of people and signed decisions, each with an example."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.domain.approvals import ApprovalAnswer
from auditor.service.api.schemas import (
    AT,
    AUDIT,
    DIGEST,
    OTHER,
    LaterRecord,
    build_model_config,
)
from auditor.service.domain.people import DecisionKind
from auditor.service.domain.submissions import Name, Sum

PEM = (
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE…\n-----END PUBLIC KEY-----\n"
)
PERSON_ID = "per-0f1e2d3c4b5a69788796a5b4"
PERSON = r"^per-[0-9a-f]{24}$"
Key = Annotated[str, Field(min_length=1, max_length=4000)]
Line = Annotated[str, Field(min_length=1, max_length=500)]
Reason = Annotated[str, Field(min_length=1, max_length=2000)]
WHO: dict[str, Any] = {
    "id": PERSON_ID, "name": "Anna Smith", "key": PEM, "identity": f"key:{DIGEST}",
    "may": ["waiver", "approval"], "caller": None, "created": AT, "ended": None, "reason": None,
}  # fmt: skip
DRAFTED: dict[str, Any] = {
    "payload": "eyJfdHlwZSI6…", "payload_type": "application/vnd.in-toto+json",
    "to_sign": "RFNTRXYxIDI4…", "bundle": '{"dsseEnvelope":{"payload":"…","signatures":[…]}}',
}  # fmt: skip
LABELS: dict[str, Any] = {
    "person": PERSON_ID, "name": "Anna Smith", "record": DIGEST, "cases": 5,
    "agree_with_truth": 5, "agree_with_model": 4, "at": AT,
}  # fmt: skip
DECIDED: dict[str, Any] = {
    "digest": OTHER, "kind": "approval", "person": PERSON_ID, "name": "Anna Smith", "at": AT,
    "artifact": None, "record": DIGEST, "bundle": "{…}", "key": PEM, "labels": None,
    "says": {"answer": "yes", "reason": "All findings are known."}, "rejudged": [],
}  # fmt: skip


class PersonRequestBody(BaseModel):
    """A person who can decide in the project, with a public key and the kinds of decision that it
    can sign.

    ``caller`` is the ID of the API key or of the sign-on (`oidc-…`) with which this person submits
    audits: a person who submitted an audit does not count among the approvals that its policy
    requires.
    """

    model_config = build_model_config(name="Anna Smith", key=PEM, may=["waiver", "approval"])
    name: Annotated[str, Field(min_length=1, max_length=200)]
    key: Key
    may: Annotated[list[DecisionKind], Field(min_length=1, max_length=3)]
    caller: Annotated[str, Field(pattern=r"^(oidc-)?[0-9a-f]{16}$")] | None = None


class PersonResponse(BaseModel):
    """A person of the project."""

    model_config = build_model_config(**WHO)
    id: str
    name: str
    key: str
    identity: str
    may: list[DecisionKind]
    caller: str | None
    created: str
    ended: str | None
    reason: str | None


class PersonList(BaseModel):
    """The people of the project, oldest first."""

    model_config = build_model_config(people=[WHO])
    people: list[PersonResponse]


class DecisionRequestBody(BaseModel):
    """A signed decision and the public key: the bundle that ``auditor waive`` writes, or the
    payload of a draft (base64) with its signature (base64; DER, or the two numbers of WebCrypto).
    """

    model_config = build_model_config(bundle='{"dsseEnvelope":{"payload":"…"}}', key=PEM)
    key: Key
    bundle: Annotated[str, Field(min_length=1, max_length=200_000)] | None = None
    payload: Annotated[str, Field(min_length=1, max_length=200_000)] | None = None
    signature: Annotated[str, Field(min_length=1, max_length=400)] | None = None


class LabelAgreementResponse(BaseModel):
    """Agreement of a person, who had not seen the verdict, with the truth and with the model."""

    model_config = build_model_config(**LABELS)
    person: str
    name: str
    record: str
    cases: int
    agree_with_truth: int
    agree_with_model: int
    at: str


class DecisionResponse(BaseModel):
    """A decision: its signer, its subject and its content. A single one includes its bundle."""

    model_config = build_model_config(**DECIDED)
    digest: str
    kind: DecisionKind
    person: str
    name: str
    at: str
    artifact: str | None
    record: str | None
    says: dict[str, Any]
    bundle: str | None = None
    key: str | None = None
    labels: LabelAgreementResponse | None = None
    rejudged: list[LaterRecord] = []


class DecisionPage(BaseModel):
    """Decisions, newest first; ``next`` is the cursor of the next page, empty at the end."""

    model_config = build_model_config(decisions=[DECIDED], next="")
    decisions: list[DecisionResponse]
    next: str


class WaiverDraftRequestBody(BaseModel):
    """A waiver to draft for the subject of a record; the approver is the owner of the key."""

    model_config = build_model_config(
        record=DIGEST, key=PEM, rule="accuracy", owner="olga@example.org", ticket="RISK-7",
        reason="The sensor is replaced in April.", expires="2026-05-30",
    )  # fmt: skip
    record: Sum
    key: Key
    rule: Name
    owner: Line
    ticket: Line
    reason: Reason
    expires: Annotated[str, Field(max_length=40)]
    target: Name | None = None
    slice: Annotated[dict[str, str | int | float], Field(max_length=20)] | None = None
    compensating: Annotated[list[Line], Field(max_length=20)] = []
    any_version: bool = False
    any_edition: bool = False


class ApprovalDraftRequestBody(BaseModel):
    """An approval or rejection of a record to draft for the owner of the key."""

    model_config = build_model_config(
        record=DIGEST, key=PEM, role="model risk", answer="yes", reason="All findings are known."
    )
    record: Sum
    key: Key
    role: Line
    answer: ApprovalAnswer
    reason: Reason
    expires: Annotated[str, Field(max_length=40)] | None = None


class FindingDraftRequestBody(BaseModel):
    """A finding about a record to draft for the owner of the key."""

    model_config = build_model_config(
        record=DIGEST, key=PEM, role="clinician", reason="Row 17 is a scar."
    )
    record: Sum
    key: Key
    role: Line
    reason: Reason


class DraftResponse(BaseModel):
    """A draft: ``to_sign`` (base64) are the bytes to sign, ``payload`` (base64) with its type is
    their content, and ``bundle`` is complete except for the signature (``sig``).
    """

    model_config = build_model_config(**DRAFTED)
    payload: str
    payload_type: str
    to_sign: str
    bundle: str


class LabelCasesResponse(BaseModel):
    """Cases of a record to label before the verdict is shown: their IDs, and the classes."""

    model_config = build_model_config(
        record=DIGEST, person=PERSON_ID, cases=["r17", "r204"], classes=["no", "yes"], done=False,
    )  # fmt: skip
    record: str
    person: str
    cases: list[str]
    classes: list[str]
    done: bool


class LabelsRequestBody(BaseModel):
    """The label of each case, by ID."""

    model_config = build_model_config(
        record=DIGEST, person=PERSON_ID, labels={"r17": "yes", "r204": "no"}
    )
    record: Sum
    person: Annotated[str, Field(pattern=PERSON)]
    labels: Annotated[dict[str, Name], Field(min_length=1, max_length=50)]


class RecordResponse(BaseModel):
    """A record of the project: its audit and its origin."""

    model_config = build_model_config(
        digest=OTHER, audit=AUDIT, verdict="pass", derived_from=DIGEST
    )
    digest: str
    audit: str
    verdict: str
    derived_from: str | None
