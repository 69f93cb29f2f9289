"""People who may decide in a project: registration, signing keys, and permissions."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import token_hex
from typing import Protocol

from auditor.domain.checks import Check
from auditor.domain.confusable_names import fold_name
from auditor.domain.json import Json, compute_digest
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.errors import (
    KeyFileError,
    MalformedRequestError,
    NotFoundError,
    StateConflictError,
    StoreError,
)
from auditor.service.audit_log import build_log_entry
from auditor.service.domain.access import SIGN_ON, ApiKey, AuditLogAction, AuditLogEntry
from auditor.service.domain.people import DecisionKind, Person, SignedDecision
from auditor.service.store.people import PeopleStore, ProjectRecord, RejudgementStore
from auditor.service.store.submissions import ServiceStore
from auditor.store.key_lifecycle import build_key_book, list_ended_keys
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.key_events import KeyRole
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.workflows.approvals import AuthorizedSigners
from auditor.workflows.audit import AuditEnvironment
from auditor.workflows.ledger import REPORT_ROLE
from auditor.workflows.verify.folder import RecordVerifier


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalContext:
    """What is kept of people who decide, and what judging a record again needs.

    ``verifier`` says what verifying by a public key (PEM) needs, ``policy`` reads one from its
    document. ``turn`` lets one record at a time be judged again.
    """

    kept: ServiceStore
    around: AuditEnvironment
    signer: Signer
    checks: Mapping[str, type[Check]]
    verifier: Callable[[bytes], RecordVerifier]
    policy: Callable[[bytes, str], Policy]
    clock: Callable[[], str]
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def people(self) -> PeopleStore:
        """What is kept of people."""
        return PeopleStore(self.kept.store)

    @property
    def rejudged(self) -> RejudgementStore:
        """The records that were judged again."""
        return RejudgementStore(self.kept.store)

    def policy_of(self, record: AuditRecord) -> Policy:
        """Return the policy that a record was judged by."""
        asked = record.request.policy
        return self.policy(self.kept.store.blobs.get(asked.digest), asked.name)

    def record(self, project: str, named: str) -> ProjectRecord:
        """Return a record of a project by its digest. Raises ``NotFoundError``."""
        found = self.rejudged.record(project, named)
        if found is None:
            raise NotFoundError(
                f"there is no record {named[:80]}", cure="GET /v1/audits names those of each audit."
            )
        return found

    def person(self, project: str, named: str) -> Person:
        """Return a person of a project by the id. Raises ``NotFoundError``."""
        found = self.people.person(project, named)
        if found is None:
            raise NotFoundError(
                f"there is nobody with the id {named[:80]}", cure="GET /v1/people lists all."
            )
        return found

    def decision(self, project: str, kind: DecisionKind, named: str) -> SignedDecision:
        """Return a decision by its bundle's digest. Raises ``NotFoundError``."""
        found = self.people.decision(project, kind, named)
        if found is None:
            raise NotFoundError(
                f"there is no {kind} {named[:80]}", cure=f"GET /v1/{kind}s lists those there are."
            )
        return found


def read_stored_record(kept: ProjectRecord) -> AuditRecord:
    """Return a record that is kept. Raises ``StoreError`` when its bytes are damaged."""
    if compute_digest(kept.body) != kept.record:
        raise StoreError(
            f"the record {kept.record} is damaged", cure="Restore the database from a copy."
        )
    return read_again(kept.body)


read_again = lru_cache(maxsize=64)(read_record)
"""Reads a record: whoever asks asks again and again, and a large one takes a tenth of a second."""


class AuditSubmitter(Protocol):
    """An audit, as far as it matters who handed it in."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def project(self) -> str:
        """The project that it is of."""

    @property
    def submitter(self) -> str:
        """The id of the key by which it was handed in."""


def register_person(  # noqa: PLR0913 -- who, by which key, for what, and on whose word
    panel: ApprovalContext,
    admin: ApiKey,
    name: str,
    key: str,
    may: Collection[DecisionKind],
    *,
    caller: str | None = None,
) -> Person:
    """Let a person decide in the admin's project by a public key (PEM), and return the person.

    Raises ``VerificationError`` for what is no public key, ``KeyFileError`` for a key of another
    role, ``StateConflictError`` for one that somebody of the project has, or had.
    """
    pem = read_public_key(key.encode()).pem.decode()
    _refuse_other_role(panel, pem)
    if caller is not None:
        _refuse_strange(panel, admin.project, caller)
    person = Person(
        id=f"per-{token_hex(12)}",
        project=admin.project,
        name=_line(name),
        key=pem,
        may=frozenset(may),
        created=panel.clock(),
        caller=caller,
    )
    if not panel.people.add(person, admin.id, _act(admin, person)):
        raise StateConflictError(
            f"{read_public_key(pem.encode()).identity} is, or was, the key of somebody here",
            cure="Give each person a key of their own, and a fresh one to who comes back.",
        )
    return person


def _act(admin: ApiKey, person: Person) -> AuditLogEntry:
    identity, may = read_public_key(person.key.encode()).identity, sorted(person.may)
    told: dict[str, Json] = {"key": identity, "may": [*may], "hands_in_by": person.caller}
    return build_log_entry(admin, AuditLogAction.PERSON_NAMED, person.id, person.created, **told)


def end_person(panel: ApprovalContext, admin: ApiKey, named: str, reason: str) -> Person:
    """End the leave of a person of the admin's project. Raises ``NotFoundError``."""
    found, now = panel.person(admin.project, named), panel.clock()
    act = build_log_entry(admin, AuditLogAction.PERSON_ENDED, found.id, now, reason=reason)
    panel.people.end(found.id, now, reason, admin.id, act)
    return panel.person(admin.project, named)


def _line(name: str) -> str:
    found = " ".join(name.split())
    if not fold_name(found).strip() or not found.isprintable():
        raise MalformedRequestError("the name is not one line", cure="Write it in printable signs.")
    return found


def _refuse_strange(panel: ApprovalContext, project: str, caller: str) -> None:
    """Raise ``NotFoundError`` for a key that the project has not; sign-ons are kept nowhere."""
    if caller.startswith(SIGN_ON):
        return
    found = panel.kept.key(caller)
    if found is None or found.project != project:
        raise NotFoundError(f"there is no key {caller}", cure="GET /v1/keys lists them.")


def _refuse_other_role(panel: ApprovalContext, pem: str) -> None:
    life = build_key_book(panel.kept.store.key_entries()).lives.get(pem)
    own = panel.signer.public_pem().decode() == pem
    role = REPORT_ROLE if own else None if life is None else life.role
    # Whether another project's agent signs with it is nobody's business here: it decides nothing.
    if role not in {None, KeyRole.DECISION, KeyRole.AGENT}:
        raise KeyFileError(
            f"the key is a {role} key, and may not be one of a person who decides",
            cure="Make one of its own: `auditor keys new --role decision`.",
        )


@dataclass(frozen=True, slots=True)
class ProjectPeople:
    """The people of a project as they are now, and the keys (PEM) whose word is over, with why."""

    people: tuple[Person, ...]
    ended: Mapping[str, str]

    def deciders(self, kind: DecisionKind) -> AuthorizedSigners:
        """Return whose decisions of a kind count; whose word is over takes back no no either."""
        keys = (it.key.encode() for it in self.people if it.ended is None and kind in it.may)
        return AuthorizedSigners(tuple(keys), self.ended)


def load_project_people(panel: ApprovalContext, project: str) -> ProjectPeople:
    """Return the people of a project; whose key the ledger knows to be revoked is over as well."""
    return read_project_people(panel.kept.store, project)


def read_project_people(store: RecordStore, project: str) -> ProjectPeople:
    """Return the people of a project as ``load_project_people`` does, by what a store keeps."""
    people = PeopleStore(store).all(project)
    ended = dict(list_ended_keys(build_key_book(store.key_entries())))
    ended |= {
        person.key: f"the key of {person.name}, who decides no more since {person.ended}"
        for person in people
        if person.ended is not None
    }
    return ProjectPeople(people, ended)


def explain_barred_keys(  # noqa: PLR0913, PLR0917 -- who, of which audit's record, by what, and who labelled
    panel: ApprovalContext,
    company: ProjectPeople,
    submission: AuditSubmitter,
    record: str,
    policy: Policy,
    labels: Collection[str] | None = None,
) -> dict[str, str]:
    """Say of keys why their yes to a record does not count under a policy.

    Who handed the audit in is not the other pair of eyes that the policy asks for, and who knew the
    verdict before labelling the cases that it asks for is no judge of it. ``labels`` are the ids of
    those who labelled, where that was asked before.
    """
    cases, project = policy.blind_labels, submission.project
    if cases and labels is None:
        labels = panel.people.labels(project, record)
    found: dict[str, str] = {}
    for person in company.people:
        if policy.approvals and person.caller is not None and person.caller == submission.submitter:
            found[person.key] = "who handed the audit in may not approve its record too"
        elif cases and person.id not in (labels or ()):
            found[person.key] = f"the {cases} cases that the policy asks for were not labelled"
    return found
