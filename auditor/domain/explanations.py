"""Explanations of findings for readers who are not engineers: causes, evidence and cures.

A check explains its own findings (``Check.explain``); the report shows each topic once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditor.domain.findings import Finding
from auditor.domain.json import Json
from auditor.domain.number_text import format_count, format_scalar
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.report_panels import BlockPanel, interval_ends
from auditor.domain.targets import TargetSpec


@dataclass(frozen=True, slots=True)
class SuggestedCure:
    """One thing to do; ``code`` is what to write, and where it goes is in ``text``."""

    text: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationPart:
    """One topic: paragraphs and drawings. A topic is told once; later cards point at it."""

    topic: str
    name: str
    told: tuple[str, ...]
    panels: tuple[BlockPanel, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplanationContext:
    """What a finding is explained from: it, its target, and all readings of the record."""

    finding: Finding
    spec: TargetSpec | None
    readings: Sequence[Reading]

    @property
    def target(self) -> str:
        """The target's name."""
        return self.finding.target

    def of(self, check: str) -> list[Reading]:
        """Return the readings of one check on the target."""
        return [it for it in self.readings if (it.target, it.check) == (self.target, check)]

    def figure(self, check: str, metric: str) -> Measurement | None:
        """Return a whole-sample figure without coordinates."""
        found = self.measured(check, metric)
        return next((m for m in found if not m.params and not m.slice), None)

    def measured(self, check: str, metric: str) -> list[Measurement]:
        """Return the figures of one metric, at all its coordinates."""
        return [m for m in self.of(check) if isinstance(m, Measurement) and m.metric == metric]

    def gap(self, check: str, metric: str) -> Gap | None:
        """Return why a figure is missing."""
        found = (m for m in self.of(check) if isinstance(m, Gap))
        return next((m for m in found if m.metric in {"", metric}), None)


Explanation: TypeAlias = tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]
"""The parts of what is told, and what to do if there is anything to do."""
NOTHING_TOLD: Explanation = ((), ())


def read_number(m: Measurement | None) -> float | None:
    """Return a figure's value as a number."""
    found = None if m is None else interval_ends(m)
    return None if found is None else found[0]


def read_count(details: Mapping[str, object], name: str) -> int:
    """Return a count of the details, 0 where there is none."""
    value = details.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


MOST_TOLD = 10


def tell_details(
    scene: ExplanationContext, name: str, words: Callable[[Measurement], Iterator[str]]
) -> Explanation:
    """Tell what ``words`` say of the first reading of a finding of which they say anything."""
    for place in scene.finding.readings:
        m = scene.readings[place]
        told = tuple(words(m)) if isinstance(m, Measurement) else ()
        if told:
            topic = f"{scene.finding.measure}:{scene.target}"
            return (ExplanationPart(topic=topic, name=name, told=told),), ()
    return NOTHING_TOLD


def list_entries(value: Json) -> list[Mapping[str, Json]]:
    """Return the mappings of a list in a reading's details."""
    listed = value if isinstance(value, list) else []
    return [item for item in listed if isinstance(item, Mapping)]


def entry_text(item: Mapping[str, Json], name: str) -> str:
    """Return one member of an entry in words; nothing where there is none."""
    value = item.get(name)
    return "" if value is None else format_scalar(value)


def count_rest(total: int) -> Iterator[str]:
    """Yield how many more entries the record lists."""
    if total > MOST_TOLD:
        yield f"And {format_count(total - MOST_TOLD)} more, which the record lists."
