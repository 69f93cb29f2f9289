"""Where an audit stands with people, and who is not to see its verdict yet."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from auditor.api.routes.audits import with_people
from auditor.api.shapes import LaterRecord
from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.people import DecisionKind, Labelled, Person
from auditor.domain.policies import Policy
from auditor.domain.record_scopes import RecordScope
from auditor.domain.submissions import Submission
from auditor.domain.verdicts import Verdict
from auditor.people.labelling import drawn
from auditor.people.panels import Panel
from auditor.people.standing import Standing, records_of
from auditor.refusals import StandingError
from auditor.web.facts import RecordFacts
from auditor.web.parts import Site
from auditor.web.said import Word, words_about
from auditor.web.words import STANDINGS, Sign, verdict_sign


class Sight(StrEnum):
    """Whether somebody sees a verdict: at once, when they ask for it, or once they labelled."""

    OPEN = "open"
    ASKED = "asked"
    SHUT = "shut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where an audit stands by its last record: ``first`` is the record that it came to first."""

    first: str
    first_verdict: str
    record: str
    standing: Standing
    awaits: str
    later: tuple[LaterRecord, ...]
    said: tuple[Word, ...]
    labelled: tuple[tuple[str, Labelled], ...]
    sight: Sight
    cases: int
    scope: RecordScope

    @property
    def sign(self) -> Sign:
        """The word and picture of it."""
        if self.standing is Standing.PASSED:
            return verdict_sign(Verdict.PASS, self.scope)
        return STANDINGS[self.standing]


def stand_of(site: Site, caller: ApiKey, found: Submission, facts: RecordFacts) -> Stand:
    """Return where an audit that has a record stands; ``facts`` are those of its last one."""
    panel, told = site.service.people, with_people(site.service, found)
    records = records_of(panel, found)
    policy = _policy_of(panel, facts)
    labels = _labels(panel, found.project, records) if policy.blind_labels else {}
    names = {it.id: it.name for it in panel.people.all(found.project)} if labels else {}
    return Stand(
        first=records[0],
        first_verdict=panel.rejudged.of(found.id)[0].verdict,
        record=records[-1],
        standing=told["standing"],
        awaits=told["awaits"] or "",
        later=tuple(told["records"]),
        said=words_about(panel, found.project, records, facts.audited),
        labelled=tuple((names[who], item) for who, item in labels.items()),
        sight=_sight(panel, caller, found, policy, frozenset(labels)),
        cases=policy.blind_labels,
        scope=facts.scope,
    )


def own(panel: Panel, caller: ApiKey) -> tuple[Person, ...]:
    """Return the people of a project who decide, and are known to call by a key."""
    every = panel.people.all(caller.project)
    return tuple(it for it in every if it.ended is None and it.caller == caller.id)


def may_approve(people: Iterable[Person]) -> tuple[Person, ...]:
    """Return those of some people who may approve now."""
    return tuple(it for it in people if it.ended is None and DecisionKind.APPROVAL in it.may)


def _sight(
    panel: Panel, caller: ApiKey, found: Submission, policy: Policy, labelled: frozenset[str]
) -> Sight:
    """Say what somebody sees who may have to label first: who did so once of an audit sees all."""
    if not policy.blind_labels or not caller.role.may(Role.APPROVER):
        return Sight.OPEN
    known, people = own(panel, caller), may_approve(panel.people.all(found.project))
    mine = may_approve(known)
    nothing = not people or (known and (not mine or caller.id == found.submitter))
    if nothing or any(person.id in labelled for person in mine):
        return Sight.OPEN
    try:
        drawn(panel, found.project, records_of(panel, found)[-1], (mine or people)[0].id)
    except StandingError:
        return Sight.OPEN  # there is nothing to label
    return Sight.SHUT if mine else Sight.ASKED


def _labels(panel: Panel, project: str, records: tuple[str, ...]) -> dict[str, Labelled]:
    """Return the last labels of each person, of whichever of an audit's records."""
    found: dict[str, Labelled] = {}
    for record in records:
        found |= panel.people.labels(project, record)
    return found


def _policy_of(panel: Panel, facts: RecordFacts) -> Policy:
    return panel.policy(panel.kept.store.blobs.get(facts.policy_digest), facts.policy)
