"""Check of group fairness: whether the model treats groups of people alike."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import (
    BlockPlace,
    Headline,
    HeadlineKind,
    Reads,
    ReportBlock,
    ReportSection,
    ReportTopic,
)
from auditor.domain.tasks import FAVOURABLE, POSITIVE, ClassificationTask
from auditor.metrics.performance.group_fairness import (
    ODDS,
    RATES,
    RATIO,
    TO_REFERENCE,
    WORST,
    Flags,
    GroupReadings,
    GroupRows,
    GroupTable,
    compute_row_flags,
    count_rows_without_group,
    list_compared_groups,
    read_beside_unknown,
    read_groups,
    write_groups,
)
from auditor.metrics.performance.group_panels import build_group_panels
from auditor.metrics.stats.group_gaps import gap_half_width, ratio_half_width
from auditor.metrics.stats.proportions import expected_trials

TITLES = {
    "selection_rate": ("selection rate", None),
    "tpr": ("true positive rate", True),
    "fpr": ("false positive rate", False),
    "ppv": ("positive predictive value", True),
    "npv": ("negative predictive value", True),
    "accuracy": ("accuracy", True),
}
"""Each rate's title, and whether more of it is better."""
OF_SELECTION = frozenset({"selection_rate", "selection_rate_gap", RATIO, TO_REFERENCE})
SCORING = "scored above the median of all rows"
DRAWN = ("selection_rate", "tpr", "fpr", "ppv", "accuracy")
"""The rates that are drawn group by group; what else there is stands in the list of readings."""


@dataclass(frozen=True, slots=True)
class GroupFairnessCheck(Check):
    """Measures the rates of each group, the largest gaps between groups, and the ratios of
    selection rates.

    Gaps of all metrics and columns, and impact ratios, hold jointly. The equalised-odds gap is the
    larger of two of them, without further correction. Intervals are exact (Clopper-Pearson),
    because they must hold at any rate and any number of rows; details show Wilson's. Rows of one
    cluster are treated as alike. For a regression use ``fairness.errors``.

    - ``compare_unknown``: includes rows of unknown group in gaps and ratios. A few such rows make
      every gap undecidable, and they are not a group that could be treated alike. The report shows
      them in any case, and a comparison that they would surely make worse is doubted.
    - ``least_share``: leaves groups with a smaller share of the rows out of gaps, ratios and the
      worst group. The report shows them, with counts.
    - ``reference``: the groups that others are compared with (``sex=Male``), instead of the group
      with the highest selection rate.
    - ``rate``: set ``scoring`` if your model ranks people by a score and does not decide. Selected
      rows are then those with a score above the median of all rows.

    For New York City's Local Law 144 (6 RCNY 5-300 ff.), declare sex, race and ``sex, race`` as
    groups, set ``least_share`` to 0.02, and set ``rate`` by your tool's purpose. Impact ratios are
    then relative to the group with the highest selection rate; small categories may be left out but
    are shown, and unknown ones are counted. The law sets no bound, and neither does this check.

    Evidence holds each row's groups and four flags, in the order of your data file.
    """

    compare_unknown: bool = False
    least_share: float = 0.0
    reference: tuple[str, ...] = ()
    rate: Literal["selection", "scoring"] = "selection"

    id: ClassVar[str] = "fairness.groups"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Differences in treatment between groups"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.GROUPS, Need.CLASSIFICATION}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        **{
            name: Metric(title.capitalize(), Unit.SHARE, higher_is_better=better)
            for name, (title, better) in TITLES.items()
        },
        **{
            f"{name}_gap": Metric(f"Largest gap in {title}", Unit.SHARE, higher_is_better=False)
            for name, (title, _) in TITLES.items()
        },
        ODDS: Metric("Equalised-odds gap", Unit.SHARE, higher_is_better=False),
        RATIO: Metric("Impact ratio", Unit.NONE, higher_is_better=True),
        TO_REFERENCE: Metric("Selection rate divided by that of the reference group", Unit.NONE),
        WORST: Metric("Accuracy for the worst-served group", Unit.SHARE, higher_is_better=True),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("eu-ai-act", "10(2)(g)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(v)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.11"),
        FrameworkControl("iso-42001", "A.5.4"),
    )
    headlines: ClassVar[Mapping[str, Headline]] = {
        name: Headline(HeadlineKind.GROUPS, "Largest gap between groups")
        for name in emits
        if name.endswith("_gap")
    }
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.GROUPS})
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DAILY, 2)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not 0 <= self.least_share < 1 or self.rate not in ("selection", "scoring"):
            message = f"least_share {self.least_share} is a share below 1, and rate {self.rate!r} "
            message += "is selection or scoring"
            raise ValueError(message)
        if not all("=" in name for name in self.reference):
            message = f"reference names groups as column=group, not {', '.join(self.reference)}"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, clean=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half widths of the widest column if rates are one half and half of the rows selected."""
        family = _family(len(size.groups))
        found: dict[str, float] = {}
        for groups in size.groups.values():
            rows = [sum(labels.values()) for labels in groups.values()]
            chosen = list_compared_groups(
                tuple(groups), rows, self.least_share, unknown=self.compare_unknown
            )
            trials = expected_trials([groups[name] for name in chosen], size.favourable)
            widths = {
                f"{rate}_gap": gap_half_width(rows, confidence, family)
                for rate, rows in trials.items()
            }
            if {"tpr", "fpr"} <= set(trials):
                widths[ODDS] = max(widths["tpr_gap"], widths["fpr_gap"])
            widths[RATIO] = ratio_half_width(trials["selection_rate"], confidence, family)
            found = {name: max(width, found.get(name, 0.0)) for name, width in widths.items()}
        return found

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data; keep the groups of each row, and what came of it."""
        task, dataset = subject.task, subject.datasets[DatasetRole.EVALUATION]
        if not isinstance(task, ClassificationTask) or dataset.labels is None:
            message = "groups need a classification and labels, and the frame asks for both"
            raise TypeError(message)
        favourable = task.classes.index(task.favourable)
        decided = subject.decisions(DatasetRole.EVALUATION)
        selected = given = decided == favourable
        told: dict[str, Json] = {FAVOURABLE: task.favourable}
        if task.binary:
            told[POSITIVE] = task.positive
        if self.rate == "scoring":
            scores = subject.probabilities(DatasetRole.EVALUATION)[:, favourable]
            median = float(np.median(scores))
            selected = scores > median
            told |= {"selected": SCORING, "median": median}
            if np.isin(scores, (0.0, 1.0)).all():
                told["unranked"] = True
        right = decided == dataset.labels
        flags = compute_row_flags(dataset.labels == favourable, given, right, selected)
        return {
            "flags": flags,
            **write_groups(dataset),
            "task": told,
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count each group, and compare groups column by column."""
        columns, without = list(read_groups(evidence)), count_rows_without_group(evidence)
        flags = cast("Flags", evidence["flags"])
        clusters = read_clusters(evidence)
        told = dict(cast("Mapping[str, Json]", evidence["task"]))
        named = {name: told.pop(name) for name in (FAVOURABLE, POSITIVE) if name in told}
        found: list[Reading] = []
        for name, groups, codes in columns:
            rows = np.bincount(codes, minlength=len(groups)).tolist()
            chosen = list_compared_groups(
                groups, rows, self.least_share, unknown=self.compare_unknown
            )
            table = GroupTable.of(name, groups, chosen, GroupRows(flags, codes, clusters))
            family, reference = _family(len(columns)), self.reference_of(name)
            reader = GroupReadings(table, confidence, family, reference, told, named)
            found += read_beside_unknown(reader, self.emits, without.get(name))
        if "unranked" in told:
            found = [_ranked(reading) for reading in found]
        return (*found, *self.unplaced([name for name, _, _ in columns]))

    def unplaced(self, columns: Sequence[str]) -> Iterator[Gap]:
        """Yield a Gap for each declared reference of a column that the data do not have."""
        for name in self.reference:
            if not any(name.startswith(f"{column}=") for column in columns):
                yield Gap(
                    reason=GapReason.NOT_DEFINED,
                    detail=f"The reference {name!r} is of no column of groups that the data have.",
                    cure=f"Name a group of one of these columns: {', '.join(columns)}.",
                    metric=TO_REFERENCE,
                )

    def reference_of(self, column: str) -> str:
        """Return the declared reference group of a column, empty where none is."""
        named = (name for name in self.reference if name.startswith(f"{column}="))
        return next((name.removeprefix(f"{column}=") for name in named), "")

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show, grouping by grouping, the gaps between groups and the rates of each."""
        return ReportBlock(parts=build_group_panels(cls, DRAWN, measurements))


def _ranked(reading: Reading) -> Reading:
    """Return a reading, or the Gap of one that speaks of who is ranked above the median."""
    if isinstance(reading, Gap) or reading.metric not in OF_SELECTION:
        return reading
    return Gap(
        reason=GapReason.NEEDS_SCORES,
        detail="Nobody is ranked: the scores are decisions, which have no median to stand above.",
        cure="Name the model's scores, or measure the rate of selection.",
        metric=reading.metric,
        params=reading.params,
    )


def _family(columns: int) -> int:
    """Count the intervals that hold jointly: every gap and the ratio, for every column."""
    return (len(RATES) + 1) * max(1, columns)


CHECK: type[Check] = GroupFairnessCheck
