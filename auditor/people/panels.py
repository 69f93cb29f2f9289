"""What a service needs so that people of its projects can decide."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from auditor.audits import Surroundings
from auditor.domain.canonical import digest
from auditor.domain.checks import Check
from auditor.domain.people import Decision, DecisionKind, Person
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.errors import StoreError
from auditor.refusals import NotFoundError
from auditor.signatures.keys import Signer
from auditor.store.service.people import People
from auditor.store.service.rejudged import Kept, Rejudgements
from auditor.store.service.store import ServiceStore
from auditor.verifying import Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What is kept of people who decide, and what judging a record again needs.

    ``verifier`` says what verifying by a public key (PEM) needs, ``policy`` reads one from its
    document. ``turn`` lets one record at a time be judged again.
    """

    kept: ServiceStore
    around: Surroundings
    signer: Signer
    checks: Mapping[str, type[Check]]
    verifier: Callable[[bytes], Verifier]
    policy: Callable[[bytes, str], Policy]
    clock: Callable[[], str]
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def people(self) -> People:
        """What is kept of people."""
        return People(self.kept.store)

    @property
    def rejudged(self) -> Rejudgements:
        """The records that were judged again."""
        return Rejudgements(self.kept.store)

    def policy_of(self, record: AuditRecord) -> Policy:
        """Return the policy that a record was judged by."""
        asked = record.request.policy
        return self.policy(self.kept.store.blobs.get(asked.digest), asked.name)

    def record(self, project: str, named: str) -> Kept:
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

    def decision(self, project: str, kind: DecisionKind, named: str) -> Decision:
        """Return a decision by its bundle's digest. Raises ``NotFoundError``."""
        found = self.people.decision(project, kind, named)
        if found is None:
            raise NotFoundError(
                f"there is no {kind} {named[:80]}", cure=f"GET /v1/{kind}s lists those there are."
            )
        return found


def read_kept(kept: Kept) -> AuditRecord:
    """Return a record that is kept. Raises ``StoreError`` when its bytes are damaged."""
    if digest(kept.body) != kept.record:
        raise StoreError(
            f"the record {kept.record} is damaged", cure="Restore the database from a copy."
        )
    return read_again(kept.body)


read_again = lru_cache(maxsize=64)(read_record)
"""Reads a record: whoever asks asks again and again, and a large one takes a tenth of a second."""
