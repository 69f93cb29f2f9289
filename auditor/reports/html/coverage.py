"""Coverage of an audit: gaps, control coverage, manual obligations, and doubtful figures.

Each gap appears once, with all the checks that it stopped. A suspicion concerns the audit file or
the data (for example a wrong class order) and not the model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.findings import Finding, Outcome
from auditor.domain.number_text import format_number
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.tasks import FILLED, LEAST_FILLED
from auditor.reports.html.control_names import format_control_name
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import REASONS, check_title, gap_name

MOST_FIGURES = 3
"""Of one check that a gap names one by one; of more it says how many."""


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


def build_gap_rows(
    inputs: ReportInputs, chosen: Iterable[Reading] | None = None
) -> tuple[GapRow, ...]:
    """Return the Gaps of the record, or chosen ones, those of equal reason, detail and cure as one.

    Of one target, what was too costly is one row too: each check has its own sum, one cure helps.
    """
    grouped: dict[tuple[str, ...], list[Gap]] = {}
    gaps = inputs.record.readings if chosen is None else chosen
    for gap in (item for item in gaps if isinstance(item, Gap)):
        why = gap.target if gap.reason is GapReason.OVER_BUDGET else gap.detail
        grouped.setdefault((gap.reason.value, why, gap.cure), []).append(gap)
    return tuple(_row(inputs, alike) for alike in grouped.values())


def _row(inputs: ReportInputs, gaps: Sequence[Gap]) -> GapRow:
    named: dict[str, dict[str, None]] = {}
    for gap in gaps:
        named.setdefault(gap.check, {})[gap_name(inputs, gap)] = None
    where: dict[str, dict[str, None]] = {}
    for gap in gaps:
        many = len(named[gap.check])
        counted = f"{check_title(inputs, gap.check)}: {many} figures"
        name = gap_name(inputs, gap) if many <= MOST_FIGURES else counted
        where.setdefault(name, {})[gap.target] = None
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


class ControlCoverage(StrEnum):
    """How far the audit's figures speak to a control; never whether it is met.

    It is not examined where a declaration of the audit file switches off all rules about it.
    """

    WHOLE = "Touched"
    PART = "Touched in part"
    NONE = "Not evidenced"
    UNEXAMINED = "Not examined"
    NOT_APPLICABLE = "Not applicable"
    WAIVED = "Waived"


def fold_control_coverage(outcomes: Sequence[Outcome]) -> ControlCoverage:
    """Fold the outcomes of the rules about one control.

    A failed rule is evidence too: it speaks against the model. What an attack did not break, and
    what is not decided, is evidence only in part; leave for one rule hides no other that failed.
    """
    seen = frozenset(outcomes) - {Outcome.NOT_APPLICABLE}
    if not seen:
        return ControlCoverage.NOT_APPLICABLE
    if seen <= {Outcome.PASSED, Outcome.FAILED}:
        return ControlCoverage.WHOLE
    if seen == {Outcome.UNKNOWN}:
        return ControlCoverage.NONE
    if Outcome.WAIVED in seen and not seen & {Outcome.UNKNOWN, Outcome.FAILED}:
        return ControlCoverage.WAIVED
    return ControlCoverage.PART


def list_doubted_figures(inputs: ReportInputs) -> tuple[Measurement, ...]:
    """Return the figures that were measured but cannot be believed."""
    return tuple(
        item for item in inputs.record.readings if isinstance(item, Measurement) and item.doubted
    )


@dataclass(frozen=True, slots=True)
class OpenObligation:
    """What a policy says that no rule of it can evidence, and who must."""

    ref: str
    asks: str
    owner: str


def list_open_obligations(inputs: ReportInputs) -> tuple[OpenObligation, ...]:
    """Return what the policy says that no measurement can show."""
    return tuple(
        OpenObligation(format_control_name(duty.control), duty.asks, duty.owner)
        for duty in inputs.policy.cannot_evidence
    )


MOST_NAMED = 12
"""Classes beyond which nobody reads a whole order in a sentence."""


def find_suspicion(record: AuditRecord, reading: Reading) -> str:
    """Say what a reading suspects of the classes, the scores or the ranges, or nothing."""
    if not isinstance(reading, Measurement):
        return ""
    filled = reading.details.get(FILLED)
    if isinstance(filled, int | float):
        return describe_fill(filled)
    other = reading.details.get("other_order")
    if not isinstance(other, Mapping):
        rows = reading.details.get("decided_otherwise")
        if not isinstance(rows, int | float) or not rows:
            return ""
        return (
            f"In {rows:,.0f} of {reading.n:,} rows the prediction is not the one that the scores "
            "make: check task.positive, task.threshold and the order of data.evaluation.scores."
        )
    accuracy, classes = other.get("accuracy"), other.get("classes")
    if not isinstance(accuracy, int | float) or not isinstance(classes, Sequence):
        return ""
    order_classes = [str(name) for name in classes]
    if len(order_classes) == 2:  # noqa: PLR2004 -- they can only be swapped
        order = "the other way round"
    elif len(order_classes) > MOST_NAMED:
        order = "in another order"
    else:
        order = f"in the order {', '.join(order_classes)}"
    return (
        f"Were the classes {order}, accuracy would be "
        f"{format_number(round(accuracy, 3), Unit.SHARE)}: check {_where(record, reading.target)}."
    )


def describe_fill(filled: float) -> str:
    """Say that the rows fill a small share of the declared ranges, or nothing."""
    if not 0 <= filled < LEAST_FILLED:
        return ""
    share = format_number(float(f"{filled:.2g}"), Unit.SHARE)
    return (
        f"The evaluation rows fill {share} of the declared ranges. Every eps is a share of these "
        "ranges and means more than it seems: check input.domain or input.features."
    )


def list_suspicions(record: AuditRecord) -> tuple[str, ...]:
    """Return what all readings of a record suspect, each once."""
    said = (find_suspicion(record, reading) for reading in record.readings)
    return tuple(dict.fromkeys(text for text in said if text))


def _where(record: AuditRecord, target: str) -> str:
    """Name the line of the audit file: of one score alone, the order is that of `positive`."""
    found = record.fingerprints.get(target)
    if found is None or found.interface is None:
        return "task.classes and task.positive"
    one = found.interface.scores.startswith("binary_")
    return "task.positive" if one else "task.classes"


BROKE = frozenset(
    {
        GapReason.MODEL_CRASHED,
        GapReason.MODEL_HUNG,
        GapReason.MODEL_OUT_OF_MEMORY,
        GapReason.MODEL_FAILED,
        GapReason.ENDPOINT_LOST,
        GapReason.TARGET_CHANGED,
        GapReason.CHECK_CRASHED,
        GapReason.FELL_BACK,
        GapReason.TWIN_DIFFERS,
    }
)
"""Reasons that nobody chose: told in any case."""
POLICY = "policy"
"""What the policy's own preconditions measure, which no check does."""


def split_requested_gaps(record: AuditRecord) -> tuple[list[Gap], list[Gap]]:
    """Return the Gaps that a rule waits for, that broke, or that were asked for by name; the rest.

    A rule that does not apply waits for nothing.
    """
    asking = [item for item in record.findings if item.outcome is not Outcome.NOT_APPLICABLE]
    measured = {finding.measure for finding in asking}
    checks = {measure.partition("/")[0] for measure in measured}
    asked: list[Gap] = []
    others: list[Gap] = []
    for gap in record.readings:
        if isinstance(gap, Gap):
            waited = f"{gap.check}/{gap.metric}" in measured if gap.metric else gap.check in checks
            told = waited or gap.reason in BROKE or gap.check in record.request.only
            (asked if told else others).append(gap)
    return asked, others


def is_left_out(record: AuditRecord, finding: Finding) -> bool:
    """Return whether a rule has no reading because somebody asked for other checks only."""
    only, check = record.request.only, finding.measure.partition("/")[0]
    unanswered = finding.outcome is Outcome.UNKNOWN and not finding.readings
    return unanswered and bool(only) and check not in (*only, POLICY)
