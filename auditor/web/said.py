"""Decisions of people as pages tell them: by whom, what, why, until when, of what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from auditor.api.routes.decisions import says
from auditor.domain.canonical import Json
from auditor.domain.people import Decision, DecisionKind, Person
from auditor.domain.waiver_json import read_waiver
from auditor.domain.waivers import Audited
from auditor.people.panels import Panel
from auditor.people.rejudging import MOST
from auditor.store.service.people import Sought
from auditor.web.words import ANSWERS, Sign

FEW = 20


@dataclass(frozen=True, slots=True)
class Word:
    """A decision as a table shows it: ``about`` is the rule or the role, ``model`` a waiver's."""

    kind: DecisionKind
    digest: str
    number: int
    sign: Sign
    name: str
    about: str
    reason: str
    at: str
    until: str
    record: str | None
    model: str


def words_of(decisions: Iterable[Decision], people: Iterable[Person]) -> tuple[Word, ...]:
    """Return decisions of one project as words, in their order."""
    names = {person.id: person.name for person in people}
    return tuple(_word(item, says(item.bundle), names[item.person]) for item in decisions)


def words_about(
    panel: Panel, project: str, records: tuple[str, ...], audited: Audited
) -> tuple[Word, ...]:
    """Return what people said of an audit's records, and the waivers that are for what it audited.

    One for another policy, or another edition of it, is for another audit.
    """
    people = panel.people
    found: list[Decision] = []
    for kind in (DecisionKind.APPROVAL, DecisionKind.FINDING):
        found += people.about(project, kind, records)
    if audited.artifact is not None:
        sought = Sought(kind=DecisionKind.WAIVER, artifact=audited.artifact, limit=MOST)
        fitting = (it for it in people.decisions(project, sought) if _is_for(it, audited))
        found += islice(fitting, FEW)
    newest = sorted(found, key=lambda item: item.number, reverse=True)[:FEW]
    return words_of(newest, people.all(project)) if newest else ()


def _is_for(item: Decision, audited: Audited) -> bool:
    waiver = read_waiver(says(item.bundle), lambda name: f"{item.digest}:{name}")
    return not waiver.foreign_to(audited)


def _word(item: Decision, said: Mapping[str, Json], name: str) -> Word:
    def text(field: str) -> str:
        found = said.get(field)
        return found if isinstance(found, str) else ""

    answer = text("answer") if item.kind is DecisionKind.APPROVAL else item.kind.value
    return Word(
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
