"""Audit settings that a policy pins beside its rules: rows, sizes, and audit file settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.json import Json, encode_canonical

EASING = (
    "task.output", "task.threshold", "task.costs", "task.reject", "task.tolerance",
    "input.quantum", "input.immutable", "input.directions", "input.relations",
    "data.evaluation.cluster",
)  # fmt: skip
"""Settings of an audit file that can make rules easier to keep: a record always says them."""
SETTINGS = (
    *EASING, "task.classes", "task.positive", "task.favourable", "input.domain",
    "input.features", "input.text", "data.evaluation.labels", "data.evaluation.groups",
    "data.evaluation.id", "data.evaluation.slices", "data.evaluation.scores",
    "data.evaluation.predictions", "data.evaluation.time", "data.evaluation.as_of",
    "model.tags", "model.twin", "model.key", "model.trust", "reference", "population",
)  # fmt: skip
"""Settings that a policy can pin. Those that name a file are its digest."""
DEFAULTS: Mapping[str, Json] = MappingProxyType(
    {"task.threshold": 0.5, "task.output": "auto", "model.twin": "auto"}
)
"""What settings are where an audit file does not name them; all others are then nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPins:
    """What an audit must have been asked, whatever it then showed; empty where nothing is pinned.

    ``evaluation`` are digests of which the evaluation data have one, ``sets`` names of data that
    the auditor holds, ``settings`` all that the audit file may declare of what is named there.
    """

    evaluation: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    least_rows: int = 0
    settings: Mapping[str, Json] | None = None


def drop_default_settings(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Return the settings that say more than leaving them out: none is nothing or the default."""
    return {
        name: value
        for name, value in settings.items()
        if value is not None and value not in ([], 0) and value != DEFAULTS.get(name)
    }


def format_settings(settings: Mapping[str, Json]) -> str:
    """Return settings of an audit file as people write them."""
    return "; ".join(f"{name}: {_value(settings[name])}" for name in sorted(settings)) or "none"


def _value(value: Json) -> str:
    return value if isinstance(value, str) else encode_canonical(value).decode()
