"""Violations of the settings that a policy pins for an audit."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.domain.datasets import DatasetRole
from auditor.domain.json import encode_canonical
from auditor.domain.pinned_settings import AuditPins, drop_default_settings, format_settings
from auditor.domain.requests import AuditRequest


@dataclass(frozen=True, slots=True)
class PinViolation:
    """A pin that an audit does not keep: what is pinned, to what, and what the audit had."""

    what: str
    asked: str
    found: str


def find_pin_violations(pins: AuditPins, request: AuditRequest) -> Iterator[PinViolation]:
    """Yield the pins that an audit does not keep. What a record does not say is not kept."""
    data = next((it for it in request.datasets if it.role == DatasetRole.EVALUATION.value), None)
    digest, rows = ("none", 0) if data is None else (data.digest, data.rows)
    if pins.evaluation and digest not in pins.evaluation:
        yield PinViolation("evaluation data", " or ".join(pins.evaluation), digest)
    attempt = request.attempt
    sets = (
        () if attempt is None or DatasetRole.EVALUATION.value not in attempt.held else attempt.sets
    )
    if not set(pins.sets) <= set(sets):
        yield PinViolation("sealed sets", ", ".join(pins.sets), ", ".join(sets) or "none")
    if rows < pins.least_rows:
        yield PinViolation("evaluation rows", f"{pins.least_rows:,} at least", f"{rows:,}")
    if pins.settings is not None:
        if request.declared is None:
            yield PinViolation(
                "settings", format_settings(pins.settings), "a record that does not say all of them"
            )
        elif encode_canonical(drop_default_settings(pins.settings)) != encode_canonical(
            drop_default_settings(request.declared)
        ):
            yield PinViolation(
                "settings", format_settings(pins.settings), format_settings(request.declared)
            )
