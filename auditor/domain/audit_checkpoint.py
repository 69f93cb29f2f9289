"""Checkpoints of an interrupted audit, from which it resumes."""

from dataclasses import dataclass
from typing import Protocol

from auditor.domain.evidence import Evidence


class AuditCheckpoint(Protocol):
    """Keeps finished parts of unfinished work by name; a name says all that the part depends on."""

    def recall(self, name: str) -> Evidence | None:
        """Return what was remembered under ``name``, or ``None``."""
        ...

    def remember(self, name: str, evidence: Evidence) -> None:
        """Keep ``evidence`` until the whole work is done."""
        ...


@dataclass(frozen=True, slots=True)
class NoCheckpoint:
    """Remembers nothing: all work is done anew."""

    def recall(self, name: str) -> Evidence | None:
        """Return nothing."""
        del name
        return None

    def remember(self, name: str, evidence: Evidence) -> None:
        """Keep nothing."""


@dataclass(frozen=True, slots=True)
class ScopedCheckpoint:
    """A part of a memory, whose names begin with ``prefix``."""

    memory: AuditCheckpoint
    prefix: str

    def recall(self, name: str) -> Evidence | None:
        """Return what was remembered here under ``name``."""
        return self.memory.recall(f"{self.prefix}/{name}")

    def remember(self, name: str, evidence: Evidence) -> None:
        """Keep ``evidence`` here under ``name``."""
        self.memory.remember(f"{self.prefix}/{name}", evidence)
