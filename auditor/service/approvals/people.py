"""Who may decide in a project: named people, each with a key and what it may sign."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Protocol

from auditor.acting import act_by
from auditor.approving import Deciders
from auditor.domain.acts import Act, ActKind
from auditor.domain.api_keys import SIGN_ON, ApiKey
from auditor.domain.canonical import Json
from auditor.domain.lookalikes import folded_name
from auditor.domain.people import DecisionKind, Person
from auditor.domain.policies import Policy
from auditor.errors import KeyFileError
from auditor.holding import book_of, ended_keys
from auditor.keeping import REPORT_ROLE
from auditor.ledgers.key_events import KeyRole
from auditor.people.panels import Panel
from auditor.refusals import CallError, NotFoundError, StandingError
from auditor.signatures.keys import read_public_key
from auditor.store.service.people import People
from auditor.store.store import Store


class HandedIn(Protocol):
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


def name_person(  # noqa: PLR0913 -- who, by which key, for what, and on whose word
    panel: Panel,
    admin: ApiKey,
    name: str,
    key: str,
    may: Collection[DecisionKind],
    *,
    caller: str | None = None,
) -> Person:
    """Let a person decide in the admin's project by a public key (PEM), and return the person.

    Raises ``Refused`` for what is no public key, ``KeyFileError`` for a key of another role,
    ``StandingError`` for one that somebody of the project has, or had.
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
        raise StandingError(
            f"{read_public_key(pem.encode()).identity} is, or was, the key of somebody here",
            cure="Give each person a key of their own, and a fresh one to who comes back.",
        )
    return person


def _act(admin: ApiKey, person: Person) -> Act:
    identity, may = read_public_key(person.key.encode()).identity, sorted(person.may)
    told: dict[str, Json] = {"key": identity, "may": [*may], "hands_in_by": person.caller}
    return act_by(admin, ActKind.PERSON_NAMED, person.id, person.created, **told)


def end_person(panel: Panel, admin: ApiKey, named: str, reason: str) -> Person:
    """End the leave of a person of the admin's project. Raises ``NotFoundError``."""
    found, now = panel.person(admin.project, named), panel.clock()
    act = act_by(admin, ActKind.PERSON_ENDED, found.id, now, reason=reason)
    panel.people.end(found.id, now, reason, admin.id, act)
    return panel.person(admin.project, named)


def _line(name: str) -> str:
    found = " ".join(name.split())
    if not folded_name(found).strip() or not found.isprintable():
        raise CallError("the name is not one line", cure="Write it in printable signs.")
    return found


def _refuse_strange(panel: Panel, project: str, caller: str) -> None:
    """Raise ``NotFoundError`` for a key that the project has not; sign-ons are kept nowhere."""
    if caller.startswith(SIGN_ON):
        return
    found = panel.kept.key(caller)
    if found is None or found.project != project:
        raise NotFoundError(f"there is no key {caller}", cure="GET /v1/keys lists them.")


def _refuse_other_role(panel: Panel, pem: str) -> None:
    life = book_of(panel.kept.store.key_entries()).lives.get(pem)
    own = panel.signer.public_pem().decode() == pem
    role = REPORT_ROLE if own else None if life is None else life.role
    # Whether another project's agent signs with it is nobody's business here: it decides nothing.
    if role not in {None, KeyRole.DECISION, KeyRole.AGENT}:
        raise KeyFileError(
            f"the key is a {role} key, and may not be one of a person who decides",
            cure="Make one of its own: `auditor keys new --role decision`.",
        )


@dataclass(frozen=True, slots=True)
class Company:
    """The people of a project as they are now, and the keys (PEM) whose word is over, with why."""

    people: tuple[Person, ...]
    ended: Mapping[str, str]

    def deciders(self, kind: DecisionKind) -> Deciders:
        """Return whose decisions of a kind count; whose word is over takes back no no either."""
        keys = (it.key.encode() for it in self.people if it.ended is None and kind in it.may)
        return Deciders(tuple(keys), self.ended)


def company(panel: Panel, project: str) -> Company:
    """Return the people of a project; whose key the ledger knows to be revoked is over as well."""
    return company_of(panel.kept.store, project)


def company_of(store: Store, project: str) -> Company:
    """Return the people of a project as ``company`` does, by what a store keeps."""
    people = People(store).all(project)
    ended = dict(ended_keys(book_of(store.key_entries())))
    ended |= {
        person.key: f"the key of {person.name}, who decides no more since {person.ended}"
        for person in people
        if person.ended is not None
    }
    return Company(people, ended)


def barred(  # noqa: PLR0913, PLR0917 -- who, of which audit's record, by what, and who labelled
    panel: Panel,
    company: Company,
    submission: HandedIn,
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
