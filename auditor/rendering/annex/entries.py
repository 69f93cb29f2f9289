"""What technical documentation says at one point: seen by the audit, declared, or missing."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.systems import TITLES, System, Topic, owner_of
from auditor.rendering.cells import Table


class Source(StrEnum):
    """Where an entry comes from; a declaration is checked by nobody here."""

    SEEN = "seen"
    DECLARED = "declared"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that a point asks for. What is missing has an owner and no text."""

    name: str
    source: Source = Source.SEEN
    owner: str = ""
    lines: tuple[str, ...] = ()
    table: Table | None = None

    @property
    def origin(self) -> str:
        """Say where it comes from."""
        if self.source is Source.SEEN:
            return "From this audit"
        if self.source is Source.DECLARED:
            return f"Declared by {self.owner}, not checked here"
        return f"Missing: {self.owner}"


def told(topic: Topic, system: System | None) -> Entry:
    """Return what the system file says of a topic, or that it is missing and who must fill it."""
    owner = owner_of(topic, system)
    lines = () if system is None else system.told.get(topic, ())
    source = Source.DECLARED if lines else Source.MISSING
    return Entry(name=TITLES[topic], source=source, owner=owner, lines=lines)


def seen(name: str, *lines: str, table: Table | None = None) -> tuple[Entry, ...]:
    """Return what the audit saw as an entry, or none where it saw nothing."""
    said = tuple(line for line in lines if line)
    return (Entry(name=name, lines=said, table=table),) if said or table else ()
