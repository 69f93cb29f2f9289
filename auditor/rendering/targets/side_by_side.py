"""All that compares targets, where there is more than one."""

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.rendering.cards import Card
from auditor.rendering.figures.panel import Panel
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.targets.chips import chip_panel
from auditor.rendering.targets.choosing import Choice, choice
from auditor.rendering.targets.matrix import Matrix, matrix


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The matrix of rules and targets, what a change of chip does, and which target to choose."""

    matrix: Matrix | None
    chips: Panel | None
    choice: Choice

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Return the drawings, those that there are."""
        return tuple(panel for panel in (self.chips, self.choice.panel) if panel is not None)


def side_by_side(inputs: RenderedInputs, shown: Sequence[Card]) -> SideBySide | None:
    """Return nothing where the record has but one target."""
    if len({spec.name for spec in inputs.record.request.targets}) < 2:  # noqa: PLR2004 -- one alone
        return None
    return SideBySide(
        matrix=matrix(inputs, shown),
        chips=chip_panel(inputs, "chips"),
        choice=choice(inputs, "choice"),
    )
