"""What a finding about hardware means, for readers who never heard of the chip's instructions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.findings import Finding
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.targets import TargetSpec
from auditor.reports.figures.panel import FigurePanel, interval_ends
from auditor.reports.inputs import ReportInputs


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
    panels: tuple[FigurePanel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingExplanation:
    """The parts of a card's explanation, links to those told before, and what to do."""

    parts: tuple[ExplanationPart, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    cures: tuple[SuggestedCure, ...] = ()

    @property
    def lists_rows(self) -> bool:
        """Whether rows are listed here, so that the card need not name them again."""
        return any(panel.drawing is None for part in self.parts for panel in part.panels)


@dataclass(frozen=True, slots=True)
class ExplanationContext:
    """What a story is told from: one finding, and the readings of its target."""

    inputs: ReportInputs
    finding: Finding
    key: str

    @property
    def target(self) -> str:
        """The target's name."""
        return self.finding.target

    @property
    def spec(self) -> TargetSpec | None:
        """The target as declared."""
        specs = self.inputs.record.request.targets
        return next((spec for spec in specs if spec.name == self.target), None)

    def readings(self, check: str, metric: str = "") -> list[Reading]:
        """Return the readings of one check on the target, or those of one metric."""
        return [
            item
            for item in self.inputs.record.readings
            if item.target == self.target and item.check == check
            if not metric or item.metric == metric
        ]

    def figure(self, check: str, metric: str) -> Measurement | None:
        """Return a whole-sample figure without coordinates."""
        found = self.measured(check, metric)
        return next((m for m in found if not m.params and not m.slice), None)

    def measured(self, check: str, metric: str) -> list[Measurement]:
        """Return the figures of one metric, at all its coordinates."""
        return [m for m in self.readings(check, metric) if isinstance(m, Measurement)]

    def gap(self, check: str, metric: str) -> Gap | None:
        """Return why a figure is missing."""
        found = self.readings(check)
        return next((m for m in found if isinstance(m, Gap) and m.metric in {"", metric}), None)


Tell = Callable[[ExplanationContext], tuple[Sequence[ExplanationPart], Sequence[SuggestedCure]]]
"""Tells what a check's findings mean: the parts, and what to do if there is anything to do."""


def read_number(m: Measurement | None) -> float | None:
    """Return a figure's value as a number."""
    found = None if m is None else interval_ends(m)
    return None if found is None else found[0]


def read_count(details: Mapping[str, object], name: str) -> int:
    """Return a count of the details, 0 where there is none."""
    value = details.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
