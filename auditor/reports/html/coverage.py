"""What could not be measured: each reason once, however many checks it stopped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.readings import Gap, Reading, Reason
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import REASONS, gap_name


@dataclass(frozen=True, slots=True)
class GapRow:
    """What one reason stopped, why, and what would change that.

    ``targets`` is empty where the names say the target themselves, since it is not the same for
    all. ``details`` has one line for all, or one for each name where they differ.
    """

    names: tuple[str, ...]
    targets: str
    reason: str
    details: tuple[str, ...]
    cure: str

    @property
    def where(self) -> str:
        """The targets, as they follow the names."""
        several = ", all" if len(self.names) > 1 else ""
        return f"{several} on {self.targets}" if self.targets else ""


def gap_rows(inputs: RenderedInputs, chosen: Iterable[Reading] | None = None) -> tuple[GapRow, ...]:
    """Return the Gaps of the record, or chosen ones, those of equal reason, detail and cure as one.

    Of one target, what was too costly is one row too: each check has its own sum, one cure helps.
    """
    grouped: dict[tuple[str, ...], list[Gap]] = {}
    gaps = inputs.record.readings if chosen is None else chosen
    for gap in (item for item in gaps if isinstance(item, Gap)):
        grouped.setdefault(_alike(gap), []).append(gap)
    return tuple(_row(inputs, alike) for alike in grouped.values())


def _alike(gap: Gap) -> tuple[str, ...]:
    why = gap.target if gap.reason is Reason.OVER_BUDGET else gap.detail
    return gap.reason.value, why, gap.cure


def _row(inputs: RenderedInputs, gaps: Sequence[Gap]) -> GapRow:
    where: dict[str, dict[str, None]] = {}
    for gap in gaps:
        where.setdefault(gap_name(inputs, gap), {})[gap.target] = None
    same = len({tuple(targets) for targets in where.values()}) == 1
    return GapRow(
        names=tuple(where) if same else tuple(f"{n} on {', '.join(t)}" for n, t in where.items()),
        targets=", ".join(next(iter(where.values()))) if same else "",
        reason=REASONS[gaps[0].reason],
        details=_details({gap_name(inputs, gap): gap.detail for gap in gaps}),
        cure=gaps[0].cure,
    )


def _details(told: Mapping[str, str]) -> tuple[str, ...]:
    alike = dict.fromkeys(detail for detail in told.values() if detail)
    if len(alike) < 2:  # noqa: PLR2004 -- one detail is that of all
        return tuple(alike)
    return tuple(f"{name}: {detail}" for name, detail in told.items())
