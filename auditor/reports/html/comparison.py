"""Comparison of two audit records in words, shared by terminal, Markdown and HTML output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.checks import Check
from auditor.domain.findings import Verdict
from auditor.domain.json import Json
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.number_text import (
    MOST_DIGITS,
    find_scale,
    format_coordinates,
    format_counted,
    format_measurement,
    format_percent,
)
from auditor.domain.readings import FAR, BoundKind, ConfidenceInterval, Gap, Measurement, Unit
from auditor.domain.report_panels import BOUNDS
from auditor.policy.record_comparison_result import (
    ChangeBasis,
    ComparisonConclusion,
    ComparisonDirection,
    FindingChange,
    MetricChange,
    RecordComparison,
)
from auditor.reports.html.run_details import shorten_digest
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import OUTCOMES, REASONS, gap_name, metric_title

WAYS: Mapping[ComparisonDirection, str] = MappingProxyType(
    {
        ComparisonDirection.WORSE: "Got worse",
        ComparisonDirection.BETTER: "Got better",
        ComparisonDirection.OTHER: "Moved",
        ComparisonDirection.SAME: "Did not move",
    }
)
BASES: Mapping[ChangeBasis, str] = MappingProxyType(
    {
        ChangeBasis.ROWS: "compared row by row on the same rows",
        ChangeBasis.INTERVALS: "compared by both intervals",
        ChangeBasis.EXACT: "exact figures, compared as they are",
        ChangeBasis.DOUBTED: "doubted, so that no change of it counts",
        ChangeBasis.MOMENT: "depends on the machine, so that no change of it counts as worse",
    }
)
NOT_COMPARABLE = "Figures that depend on a changed setting are not comparable."
DECLARED = "Declarations that changed"
OF_MACHINE = "Depends on the machine"
SHOWN_NAMES = 4
SIGNIFICANT = 2
"""Digits of an interval's width that are shown."""
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """A comparison with what is needed to show it: both records, and what was not recomputed.

    ``unverified`` says whom nobody vouched for, and is empty where a key or a policy did.
    """

    comparison: RecordComparison
    before: ReportInputs
    after: ReportInputs
    taken: tuple[str, ...] = ()
    unverified: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the comparison, and what of it was verified and recomputed."""
        told: dict[str, Json] = {**self.comparison.to_json(), "verified": not self.unverified}
        return {**told, "not_recomputed": list(self.taken)}


@dataclass(frozen=True, slots=True)
class MetricChangeRow:
    """One figure before and after in words."""

    moved: MetricChange
    title: str
    where: str
    before: str
    after: str
    change: str
    basis: str

    @property
    def name(self) -> str:
        """The title with its place."""
        return f"{self.title} ({self.where})" if self.where else self.title

    @property
    def measure(self) -> str:
        """The check and the metric with its place: two checks may measure what has one title."""
        m = self.moved.after
        return f"{m.check}/{m.metric}" + (f" ({self.where})" if self.where else "")


def is_of_machine(moved: MetricChange) -> bool:
    """Whether a figure depends on the machine and the moment, and both runs are near enough."""
    return moved.basis is ChangeBasis.MOMENT and moved.way is ComparisonDirection.SAME


def list_metric_changes(shown: ComparisonView) -> tuple[MetricChangeRow, ...]:
    """Return every figure that both records have, the worse first."""
    return tuple(_row(shown.after, item) for item in shown.comparison.moved)


def _row(inputs: ReportInputs, moved: MetricChange) -> MetricChangeRow:
    m = moved.after
    far = moved.basis is ChangeBasis.MOMENT and moved.way is not ComparisonDirection.SAME
    return MetricChangeRow(
        moved,
        metric_title(inputs, m.check, m.metric),
        format_coordinates(m.params, m.slice),
        _figure(moved.before),
        _figure(m),
        f"more than {FAR:g} times apart"
        if far
        else format_change(moved.change, m.unit, largest_size(moved)),
        BASES[moved.basis],
    )


def _figure(measurement: Measurement) -> str:
    words = format_measurement(measurement)
    bound = "" if isinstance(measurement.value, str) else BOUNDS[measurement.bound]
    doubt = ", doubted" if measurement.doubted else ""
    return bound + (f"{words.value} ({words.interval})" if words.interval else words.value) + doubt


def largest_size(moved: MetricChange) -> float:
    """Return the greater size of the two figures, by which their unit is chosen."""
    values = (moved.before.value, moved.after.value)
    return max((abs(item) for item in values if isinstance(item, float | int)), default=0.0)


def format_change(change: ConfidenceInterval | None, unit: Unit, size: float) -> str:
    """Write a change with its interval; shares change by points, not by a share of themselves."""
    if change is None:
        return ""
    scale = find_scale(unit, size)
    width = abs(change.high - change.low) * float(scale.factor)
    wanted = 10 ** (SIGNIFICANT - 1)
    digits = next((n for n in range(MOST_DIGITS) if width * 10**n >= wanted), MOST_DIGITS)
    ends = [_signed(scale.write(end, digits), end) for end in (change.low, change.high)]
    value = _signed(scale.write(change.value, digits), change.value)
    if unit is Unit.SHARE:
        value, *ends = (item.replace(" %", "") for item in (value, *ends))
        return f"{value} points ({ends[0]} to {ends[1]})"
    return f"{value} ({ends[0]} to {ends[1]})"


def _signed(text: str, value: float) -> str:
    bare = text.replace("-", "\N{MINUS SIGN}")
    nothing = not any(sign in bare for sign in "123456789")
    return f"+{bare}" if value > 0 and not nothing else bare.replace("\N{MINUS SIGN}", "", nothing)


def build_headline(comparison: RecordComparison) -> str:
    """Say what a comparison comes to: what got worse is said of figures that moved alone."""
    before, after = comparison.verdicts
    match comparison.conclusion:
        case ComparisonConclusion.FIGURES:
            if all(item.change is None for item in comparison.worse):
                return "A figure that has no interval got worse"
            return "Something got worse beyond its interval"
        case ComparisonConclusion.VERDICT:
            return f"The verdict changed from {before} to {after}; no figure got worse"
        case ComparisonConclusion.RULES:
            if not any(item.lost for item in comparison.findings):
                return "A required rule that was undecided fails now; no figure got worse"
            return "A required rule is not kept any more; no figure got worse"
        case ComparisonConclusion.DECLARED:
            named = format_name_list([item.name for item in comparison.declared], SHOWN_NAMES)
            return f"Declarations changed ({named}); nothing comparable got worse"
        case ComparisonConclusion.NOTHING:
            return "Nothing got worse beyond its interval"


def choose_tone(comparison: RecordComparison) -> Verdict:
    """Return the verdict in whose colour a comparison is shown: never a pass for what has none."""
    after = comparison.verdicts[1]
    if comparison.got_worse:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if comparison.declared and after is Verdict.PASS else after


def compare_verdicts(comparison: RecordComparison) -> str:
    """Say in a sentence how the verdicts of both records stand to each other."""
    before, after = comparison.verdicts
    both = before is after
    return (
        f"Both verdicts are {after}." if both else f"The verdict was {before} and is {after} now."
    )


def summarize_comparison(comparison: RecordComparison) -> tuple[str, ...]:
    """Say in sentences what moved, and over how many figures chance was corrected."""
    worse, better = (
        sum(item.way is way for item in comparison.moved)
        for way in (ComparisonDirection.WORSE, ComparisonDirection.BETTER)
    )
    other = sum(item.way is ComparisonDirection.OTHER for item in comparison.moved)
    lost = sum(item.lost for item in comparison.findings)
    counts = [(worse, "got worse"), (better, "got better"), (other, "moved otherwise")]
    told = ", ".join(f"{count} {words}" for count, words in counts if count)
    first = f"Of {len(comparison.moved)} figures that both records have, {told or 'none moved'}."
    confidence = format_percent(comparison.confidence)
    second = (
        f"{comparison.compared} of them have intervals: {comparison.alone} would count as moved "
        f"each on its own at {confidence}, and {comparison.proven} after correction for all "
        f"{comparison.compared} (Holm)."
    )
    machine = sum(item.basis is ChangeBasis.MOMENT for item in comparison.moved)
    timed = f"{format_counted(machine, 'figure')} of the machine and the moment cannot get worse."
    third = (
        f"{lost} required {'rule that was kept is' if lost == 1 else 'rules that were kept are'}"
    )
    last = [f"{third} not kept any more."] if lost else []
    if failed := sum(item.newly_failed for item in comparison.findings):
        rules = "rule that was undecided fails" if failed == 1 else "rules that were undecided fail"
        last.append(f"{failed} required {rules} now.")
    return (
        *_summarize_declared(comparison), first, second, *([timed] if machine else []), *last
    )  # fmt: skip


def _summarize_declared(comparison: RecordComparison) -> tuple[str, ...]:
    if not comparison.declared:
        return ()
    named = format_name_list(list_declared(comparison), SHOWN_NAMES)
    return (f"Declarations changed: {named}. {NOT_COMPARABLE}",)


@dataclass(frozen=True, slots=True)
class FindingChangeRow:
    """One finding before and after in words."""

    turned: FindingChange
    where: str
    before: str
    after: str
    note: str


def list_finding_changes(comparison: RecordComparison) -> tuple[FindingChangeRow, ...]:
    """Return the findings that came out otherwise."""
    found = []
    for item in comparison.findings:
        if item.changed:
            old, new = (NOTHING if it is None else OUTCOMES[it] for it in (item.before, item.after))
            other = item.asked_before and item.asked_after and item.asked_before != item.asked_after
            note = f"asked {item.asked_before} before, {item.asked_after} now" if other else ""
            slice_ = item.slice
            place = ", ".join(
                [item.target, *[f"{name} = {value}" for name, value in slice_.items()]]
            )
            found.append(FindingChangeRow(item, place, old, new, note))
    return tuple(found)


def list_declared(comparison: RecordComparison) -> tuple[str, ...]:
    """Name each declaration that changed, with both values."""
    return tuple(
        f"{item.name} {_short(item.before)} \N{RIGHTWARDS ARROW} {_short(item.after)}"
        for item in comparison.declared
    )


def tabulate_declared(comparison: RecordComparison) -> tuple[tuple[str, str, str], ...]:
    """Return each declaration that changed, with both values, digests shortened."""
    return tuple(
        (item.name, _short(item.before), _short(item.after)) for item in comparison.declared
    )


def list_differences(comparison: RecordComparison) -> tuple[tuple[str, str, str], ...]:
    """Return what else differs, digests shortened."""
    return tuple(
        (item.name[:1].upper() + item.name[1:], _short(item.before), _short(item.after))
        for item in comparison.differences
    )


def _short(text: str) -> str:
    words = [
        shorten_digest(word) if word.startswith("sha256:") else word for word in text.split(" ")
    ]
    return " ".join(words) or NOTHING


def list_gaps(inputs: ReportInputs, gaps: Sequence[Gap]) -> tuple[str, ...]:
    """Say what is missing, where, and why."""
    named = {
        f"{gap_name(inputs, gap)} on {gap.target}": REASONS.get(gap.reason, gap.reason.value)
        for gap in gaps
    }
    return tuple(f"{name}: {reason}" for name, reason in named.items())


def list_unpaired_measurements(
    inputs: ReportInputs, found: Sequence[Measurement]
) -> tuple[str, ...]:
    """Name measurements that one record has alone."""
    return tuple(
        f"{metric_title(inputs, m.check, m.metric)}{_place(m)} on {m.target}: {_figure(m)}"
        for m in found
    )


def _place(m: Measurement) -> str:
    where = format_coordinates(m.params, m.slice)
    return f" ({where})" if where else ""


def is_bound(rows: Sequence[MetricChangeRow]) -> bool:
    """Whether a figure that moved is a bound, which says what was found and not what is true."""
    return any(
        row.moved.after.bound is not BoundKind.ESTIMATE
        and row.moved.way is not ComparisonDirection.SAME
        for row in rows
    )


def name_check(checks: Mapping[str, type[Check]], check: str) -> str:
    """Return a check's title, or its id where it is not installed."""
    found = checks.get(check)
    return check if found is None else found.title


BOUND = (
    "Figures under attack are bounds. That one moved says that this attack found more or less "
    "than before; it is not an estimate of how much the model itself changed."
)


def list_skipped_checks(comparison: RecordComparison) -> tuple[str, ...]:
    """Name the checks that are not comparable, those of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in comparison.incomparable:
        found.setdefault((item.target, item.reason), []).append(item.check)
    return tuple(
        f"{', '.join(checks)} on {target}: {_short(reason)}"
        for (target, reason), checks in found.items()
    )


def list_unpaired_items(shown: ComparisonView) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return under a heading each what one of two records lacks, or has alone."""
    found = shown.comparison
    return (
        ("Missing now", list_gaps(shown.after, found.gaps_opened)),
        ("No longer missing", list_gaps(shown.before, found.gaps_closed)),
        ("Measured only before", list_unpaired_measurements(shown.before, found.only_before)),
        ("Measured only after", list_unpaired_measurements(shown.after, found.only_after)),
    )
