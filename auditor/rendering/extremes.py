"""Which groups a gap or a ratio lies between."""

from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Unit
from auditor.rendering.numbers import number, scalar


def between(m: Measurement) -> str:
    """Say which two groups differ most and their figures; nothing for other measurements."""
    highest, lowest = m.details.get("highest"), m.details.get("lowest")
    if not isinstance(highest, str) or not isinstance(lowest, str):
        return ""
    counts = m.details.get("counts")
    named = counts if isinstance(counts, Mapping) else {}
    return f" Highest: {_group(highest, named)}; lowest: {_group(lowest, named)}."


def _group(name: str, counts: Mapping[str, Json]) -> str:
    held = counts.get(name)
    if not isinstance(held, Mapping):
        return name
    k, n = held.get("k"), held.get("n")
    if not isinstance(k, int | float) or not isinstance(n, int | float) or not n:
        return name
    return f"{name} ({number(k / n, Unit.SHARE)} of {scalar(n)})"
