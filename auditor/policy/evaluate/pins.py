"""Whether an audit was asked for as its policy pins it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.domain.canonical import Json, canonical
from auditor.domain.datasets import Role
from auditor.domain.pins import Pins, stated, words
from auditor.domain.requests import AuditRequest


@dataclass(frozen=True, slots=True)
class Unmet:
    """A pin that an audit does not keep: what is pinned, to what, and what the audit had."""

    what: str
    asked: str
    found: str


def unmet(pins: Pins, request: AuditRequest) -> Iterator[Unmet]:
    """Yield the pins that an audit does not keep. What a record does not say is not kept."""
    data = next((it for it in request.datasets if it.role == Role.EVALUATION.value), None)
    digest, rows = ("none", 0) if data is None else (data.digest, data.rows)
    if pins.evaluation and digest not in pins.evaluation:
        yield Unmet("evaluation data", " or ".join(pins.evaluation), digest)
    attempt = request.attempt
    sets = () if attempt is None or Role.EVALUATION.value not in attempt.held else attempt.sets
    if not set(pins.sets) <= set(sets):
        yield Unmet("sealed sets", ", ".join(pins.sets), ", ".join(sets) or "none")
    if rows < pins.least_rows:
        yield Unmet("evaluation rows", f"{pins.least_rows:,} at least", f"{rows:,}")
    if pins.settings is not None:
        yield from _settings(pins.settings, request.declared)


def _settings(pinned: Mapping[str, Json], declared: Mapping[str, Json] | None) -> Iterator[Unmet]:
    if declared is None:
        yield Unmet("settings", words(pinned), "a record that does not say all of them")
    elif canonical(stated(pinned)) != canonical(stated(declared)):
        yield Unmet("settings", words(pinned), words(declared))
