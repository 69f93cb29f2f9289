"""What is told to technical documentation: the record, its findings, and what owners declare."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from auditor.domain.readings import Measurement
from auditor.domain.systems import System
from auditor.rendering.cells import Cell, Spoken, Table, findings_table
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import figure
from auditor.rendering.phrases import bound_words, check_title, coordinates, metric_title

MOST_ROWS = 60


@dataclass(frozen=True, slots=True)
class Told:
    """A record as it is told, with its findings as others point at them."""

    inputs: RenderedInputs
    found: tuple[Spoken, ...]

    @property
    def system(self) -> System | None:
        """What owners declare of the system, if they do."""
        paper = self.inputs.dossier.system
        return None if paper is None else paper.system

    def findings(self, families: Collection[str]) -> Table | None:
        """Return the findings of some families of checks, or of some checks, as a table."""
        chosen = [item for item in self.found if _among(item.finding.measure, families)]
        return findings_table(chosen, MOST_ROWS)

    def measured(self, families: Collection[str]) -> tuple[Measurement, ...]:
        """Return the figures of some families of checks, or of some checks."""
        readings = self.inputs.record.readings
        figures = [item for item in readings if isinstance(item, Measurement)]
        return tuple(item for item in figures if _among(item.check, families))

    def figures(self, chosen: Sequence[Measurement], *, by_check: bool = False) -> Table | None:
        """Return figures with their intervals as a table, or nothing without any.

        Each is called by its metric, or by its check where all are of one metric.
        """
        if not chosen:
            return None
        name = self._check if by_check else self._metric
        rows = tuple((Cell(name(item)), *self._row(item)) for item in chosen[:MOST_ROWS])
        header = ("Check" if by_check else "Figure", "Where", "Value", "Interval")
        return Table(header, rows, len(chosen) - len(rows))

    def _check(self, item: Measurement) -> str:
        return check_title(self.inputs, item.check)

    def _metric(self, item: Measurement) -> str:
        return metric_title(self.inputs, item.check, item.metric)

    def _row(self, item: Measurement) -> tuple[Cell, ...]:
        words, several = figure(item), len(self.inputs.record.request.targets) > 1
        where = [coordinates(item.params, item.slice), f"on {item.target}" if several else ""]
        doubt = " (doubted)" if item.doubted else ""
        return (
            Cell(", ".join(part for part in where if part) or "all rows"),
            Cell(f"{bound_words(item)}{words.value}{doubt}"),
            Cell(words.interval or "exact"),
        )


def _among(measure: str, families: Collection[str]) -> bool:
    check = measure.partition("/")[0]
    return check in families or check.partition(".")[0] in families
