"""Decisions of people as pages tell them: by whom, what, why, until when, of what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.api.routes.decisions import says
from auditor.domain.canonical import Json
from auditor.domain.people import Decision, DecisionKind, Person
from auditor.people.panels import Panel
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
    panel: Panel, project: str, records: tuple[str, ...], artifact: str | None
) -> tuple[Word, ...]:
    """Return what people said of an audit's records, and the waivers of its artifact."""
    people = panel.people
    found: list[Decision] = []
    for kind in (DecisionKind.APPROVAL, DecisionKind.FINDING):
        found += people.about(project, kind, records)
    if artifact is not None:
        sought = Sought(kind=DecisionKind.WAIVER, artifact=artifact, limit=FEW)
        found += people.decisions(project, sought)
    newest = sorted(found, key=lambda item: item.number, reverse=True)[:FEW]
    return words_of(newest, people.all(project)) if newest else ()


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
