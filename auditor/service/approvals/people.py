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
from auditor.domain.key_roles import KeyRole
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
from auditor.service.domain.access import SIGN_ON, ApiKey, AuditLogAction, build_log_entry
from auditor.service.domain.people import DecisionKind, Person, SignedDecision
from auditor.service.store.people import PeopleStore, ProjectRecord, RejudgementStore
from auditor.service.store.submission_history import ServiceStore
from auditor.store.key_lifecycle import build_key_book, list_ended_keys
from auditor.store.record_store import RecordStore
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
                f"there is no record {named[:80]}",
                cure="List the audits and their records with GET /v1/audits.",
            )
        return found

    def person(self, project: str, named: str) -> Person:
        """Return a person of a project by the id. Raises ``NotFoundError``."""
        found = self.people.person(project, named)
        if found is None:
            raise NotFoundError(
                f"there is no person with the ID {named[:80]}",
                cure="List the people with GET /v1/people.",
            )
        return found

    def decision(self, project: str, kind: DecisionKind, named: str) -> SignedDecision:
        """Return a decision by its bundle's digest. Raises ``NotFoundError``."""
        found = self.people.decision(project, kind, named)
        if found is None:
            raise NotFoundError(
                f"there is no {kind} {named[:80]}", cure=f"List them with GET /v1/{kind}s."
            )
        return found


def read_stored_record(kept: ProjectRecord) -> AuditRecord:
    """Return a record that is kept. Raises ``StoreError`` when its bytes are damaged."""
    if compute_digest(kept.body) != kept.record:
        raise StoreError(
            f"record {kept.record} is damaged", cure="Restore the database from a copy."
        )
    return read_again(kept.body)


read_again = lru_cache(maxsize=64)(read_record)
"""Reads a record: callers ask again and again, and a large one takes a tenth of a second."""


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
    life = build_key_book(panel.kept.store.key_entries()).lives.get(pem)
    own = panel.signer.public_pem().decode() == pem
    role = REPORT_ROLE if own else None if life is None else life.role
    # Whether another project's agent signs with it is nobody's business here: it decides nothing.
    if role not in {None, KeyRole.DECISION, KeyRole.AGENT}:
        raise KeyFileError(
            f"the key is a {role} key and cannot sign decisions",
            cure="Create a separate key: `auditor keys new --role decision`.",
        )
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
    identity, act_may = read_public_key(person.key.encode()).identity, sorted(person.may)
    told: dict[str, Json] = {"key": identity, "may": [*act_may], "hands_in_by": person.caller}
    act = build_log_entry(admin, AuditLogAction.PERSON_NAMED, person.id, person.created, **told)
    if not panel.people.add(person, admin.id, act):
        raise StateConflictError(
            f"{read_public_key(pem.encode()).identity} is or was the key of a person here",
            cure="Create a new key for each person, also for one who returns.",
        )
    return person


def end_person(panel: ApprovalContext, admin: ApiKey, named: str, reason: str) -> Person:
    """End the leave of a person of the admin's project. Raises ``NotFoundError``."""
    found, now = panel.person(admin.project, named), panel.clock()
    act = build_log_entry(admin, AuditLogAction.PERSON_ENDED, found.id, now, reason=reason)
    panel.people.end(found.id, now, reason, admin.id, act)
    return panel.person(admin.project, named)


def _line(name: str) -> str:
    found = " ".join(name.split())
    if not fold_name(found).strip() or not found.isprintable():
        raise MalformedRequestError(
            "the name is not a single line of text", cure="Use printable characters only."
        )
    return found


def _refuse_strange(panel: ApprovalContext, project: str, caller: str) -> None:
    """Raise ``NotFoundError`` for a key that the project has not; sign-ons are kept nowhere."""
    if caller.startswith(SIGN_ON):
        return
    found = panel.kept.key(caller)
    if found is None or found.project != project:
        raise NotFoundError(
            f"there is no API key {caller}", cure="List the API keys with GET /v1/keys."
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
        person.key: f"the key of {person.name}, whose signing permission ended on {person.ended}"
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
            found[person.key] = "a person cannot approve an audit that they submitted"
        elif cases and person.id not in (labels or ()):
            found[person.key] = f"the {cases} cases that the policy requires were not labelled"
    return found
