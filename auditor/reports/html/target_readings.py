"""Pairs of the same reading on different targets, for the comparison in the report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.number_text import format_change_size, format_coordinates
from auditor.domain.readings import Gap, Measurement, Unit
from auditor.domain.report_blocks import Headline, HeadlineKind
from auditor.domain.report_panels import first_coordinate, interval_ends
from auditor.reports.figures.panel import series_name
from auditor.reports.figures.robustness import LEAST, MOST
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import REASONS, metric_title

Key = tuple[str, str, tuple[tuple[str, object], ...]]


@dataclass(frozen=True, slots=True)
class TargetComparison:
    """One figure on each target: by name, or why it is missing there.

    ``higher`` says whether more is better; ``place`` is where the figure holds.
    """

    title: str
    place: str
    unit: Unit
    higher: bool
    found: Mapping[str, Measurement]
    missing: Mapping[str, str]

    @property
    def name(self) -> str:
        """Title and place in one phrase."""
        return f"{self.title} ({self.place})" if self.place else self.title

    def sure(self, target: str) -> Measurement | None:
        """Return the figure on a target where it is not doubted."""
        found = self.found.get(target)
        return None if found is None or found.doubted else found


def list_target_comparisons(inputs: ReportInputs) -> Iterator[TargetComparison]:
    """Yield what a change of chip may move, each that at least one target has."""
    for item in (
        find_headline(inputs, HeadlineKind.QUALITY),
        find_headline(inputs, HeadlineKind.CERTAINTY),
        find_worst_gap(inputs),
        find_robust_accuracy(inputs),
        find_headline(inputs, HeadlineKind.SAMENESS),
    ):
        if item is not None:
            yield item


def find_headline(inputs: ReportInputs, kind: HeadlineKind) -> TargetComparison | None:
    """Return the first figure of a kind that any target has, of the whole sample."""
    for check, metric, headline in _headlines(inputs, kind):
        found = _of(inputs, (check, metric, ()), headline.title, headline.place)
        if found is not None:
            return found
    return None


def _headlines(inputs: ReportInputs, kind: HeadlineKind) -> Iterator[tuple[str, str, Headline]]:
    for name, check in sorted(inputs.checks.items()):
        for metric, headline in check.headlines.items():
            if headline.kind is kind:
                yield name, metric, headline


def find_worst_gap(inputs: ReportInputs) -> TargetComparison | None:
    """Return the gap between groups that is widest on any target, the same one on each."""
    told = {(check, metric): it for check, metric, it in _headlines(inputs, HeadlineKind.GROUPS)}
    key = _chosen(
        inputs,
        lambda m: (m.check, m.metric) in told,
        lambda group: (max((interval_ends(m) or (0.0,))[0] for m in group),),
    )
    if key is None:
        return None
    check, metric, where = key
    what = metric_title(inputs, check, metric).lower()
    column = dict(where).get("group_column")
    return _of(inputs, key, told[check, metric].title, f"{what}{f' by {column}' * bool(column)}")


def find_robust_accuracy(inputs: ReportInputs) -> TargetComparison | None:
    """Return accuracy under one attack at one budget: what a rule bounds, or what tells most."""
    bounded = [rule for rule in inputs.policy.rules if rule.metric == "robust_accuracy"]

    def telling(group: Sequence[Measurement]) -> tuple[float, ...]:
        first = group[0]
        asked = any(
            rule.check == first.check and rule.where.items() <= first.params.items()
            for rule in bounded
        )
        between = sum(LEAST < (interval_ends(m) or (0.0,))[0] < MOST for m in group)
        return asked, between, first_coordinate(first, "eps") or 0.0

    attacked = _chosen(
        inputs,
        lambda m: m.check.startswith("evasion.") and m.metric == "robust_accuracy",
        telling,
    )
    if attacked is None:
        return None
    check, _, where = attacked
    places = dict(where)
    eps, norm = places.get("eps"), str(places.get("norm", ""))
    at = format_coordinates(
        {name: v for name, v in where if isinstance(v, bool | int | float | str)}
    )
    if isinstance(eps, int | float) and norm:
        at = f"a change of {format_change_size(norm, eps)}"
    return _of(
        inputs, attacked, "Accuracy under attack",
        ", ".join(part for part in (at, series_name(inputs, check)) if part),
    )  # fmt: skip


def _key(m: Measurement) -> Key:
    return m.check, m.metric, tuple(sorted(m.params.items()))


def _whole(inputs: ReportInputs) -> Iterator[Measurement]:
    for item in inputs.record.readings:
        if isinstance(item, Measurement) and not item.slice and interval_ends(item) is not None:
            yield item


def _chosen(
    inputs: ReportInputs,
    wanted: Callable[[Measurement], bool],
    weight: Callable[[Sequence[Measurement]], tuple[float, ...]],
) -> Key | None:
    """Return the coordinates that most targets have, and of those the weightiest."""
    groups: dict[Key, dict[str, Measurement]] = {}
    for m in _whole(inputs):
        if wanted(m):
            groups.setdefault(_key(m), {}).setdefault(m.target, m)
    if not groups:
        return None
    most = max(len(group) for group in groups.values())
    full = {key: list(group.values()) for key, group in groups.items() if len(group) == most}
    ranked = {key: weight(group) for key, group in full.items()}
    best = max(ranked.values())
    return min((key for key, rank in ranked.items() if rank == best), key=repr)


def _of(inputs: ReportInputs, key: Key, title: str, place: str = "") -> TargetComparison | None:
    found: dict[str, Measurement] = {}
    for m in _whole(inputs):
        if _key(m) == key:
            found.setdefault(m.target, m)
    if not found:
        return None
    check, metric, _ = key
    known = inputs.metric(check, metric)
    unit = next(iter(found.values())).unit
    names = [spec.name for spec in inputs.record.request.targets]
    missing = {}
    for name in names:
        if name not in found:
            gaps = [
                item
                for item in inputs.record.readings
                if isinstance(item, Gap) and item.target == name and item.check == check
                if item.metric in {"", metric}
            ]
            missing[name] = REASONS[gaps[0].reason] if gaps else "not measured here"
    return TargetComparison(
        title, place, unit, bool(known and known.higher_is_better), found, missing
    )
