"""A record as technical documentation: every point filled, or missing with its owner."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.rendering.annex.entries import Entry, Source, told
from auditor.rendering.annex.points import CHAPTERS, Asked, Chapter
from auditor.rendering.annex.told import Told
from auditor.rendering.cells import Spoken
from auditor.rendering.inputs import RenderedInputs

EU_AI_ACT = "eu-ai-act"


@dataclass(frozen=True, slots=True)
class Point:
    """A point, or a part of one, with what is said at it."""

    ref: str
    title: str
    entries: tuple[Entry, ...]

    @property
    def missing(self) -> tuple[Entry, ...]:
        """What nobody said or saw."""
        return tuple(item for item in self.entries if item.source is Source.MISSING)


@dataclass(frozen=True, slots=True)
class Section:
    """One of the nine points with its parts."""

    ref: str
    title: str
    points: tuple[Point, ...]

    @property
    def counts(self) -> Mapping[Source, int]:
        """How many entries come from where."""
        return Counter(item.source for point in self.points for item in point.entries)


@dataclass(frozen=True, slots=True)
class TechnicalDocumentation:
    """The nine points of Annex IV as far as this audit and the owners fill them."""

    sections: tuple[Section, ...]
    has_system: bool

    @property
    def counts(self) -> Mapping[Source, int]:
        """How many entries come from where, over all points."""
        return sum((Counter(item.counts) for item in self.sections), Counter())

    @property
    def owed(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What is missing, by its owner: who owes most comes first."""
        owed: dict[str, list[str]] = {}
        for section in self.sections:
            for point in section.points:
                for item in point.missing:
                    owed.setdefault(item.owner, []).append(f"{item.name} ({point.ref})")
        return tuple(
            (owner, tuple(items))
            for owner, items in sorted(owed.items(), key=lambda item: (-len(item[1]), item[0]))
        )


def technical_documentation(
    inputs: RenderedInputs, found: Sequence[Spoken]
) -> TechnicalDocumentation | None:
    """Return a record by the points of Annex IV, or nothing where nobody asks for that.

    It is asked for by a system file, and by a policy that cites the EU AI Act.
    """
    cited = {control.framework for rule in inputs.policy.rules for control in rule.controls}
    if inputs.dossier.system is None and EU_AI_ACT not in cited:
        return None
    facts = Told(inputs, tuple(found))
    sections = tuple(_section(facts, chapter) for chapter in CHAPTERS)
    return TechnicalDocumentation(sections, facts.system is not None)


def _section(facts: Told, chapter: Chapter) -> Section:
    parts = tuple(
        Point(item.ref, item.title, tuple(_entries(facts, item))) for item in chapter.parts
    )
    return Section(chapter.ref, chapter.title, parts)


def _entries(facts: Told, asked: Asked) -> Iterator[Entry]:
    for see in asked.sees:
        yield from see(facts)
    for topic in asked.topics:
        yield told(topic, facts.system)
    for topic in asked.optional:
        entry = told(topic, facts.system)
        if entry.source is not Source.MISSING:
            yield entry
