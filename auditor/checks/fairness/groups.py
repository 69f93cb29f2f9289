"""Whether the model treats groups of people alike."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import UNKNOWN, Role
from auditor.domain.evidence import Evidence
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.subjects import Shard, Subject
from auditor.domain.tasks import Classification
from auditor.stats.cells import Counts, rates, tabulate
from auditor.stats.counts import expected_trials
from auditor.stats.gaps import (
    gap_half_width,
    max_gap,
    min_ratio,
    ratio_half_width,
)
from auditor.stats.proportions import clopper_pearson

RATES = {
    "selection_rate": ("selection rate", None, "rows"),
    "tpr": ("true positive rate", True, "rows whose label is the favourable class"),
    "fpr": ("false positive rate", False, "rows whose label is another class"),
    "ppv": ("positive predictive value", True, "rows that were given the favourable class"),
}
"""Each rate's title, whether more of it is better, and among what it is counted."""
RATIO = "impact_ratio"
SMALL = 30
DOUBT = "rows of one cluster are not independent, and the interval takes them as if they were"


@dataclass(frozen=True, slots=True)
class Groups:
    """Rates of each group, and the largest gaps between groups.

    ``compare_unknown`` says whether rows of unknown group take part in gaps and ratio: a few rows
    of unknown group make every gap undecidable, and are no group of people that could be treated
    alike. They are shown in any case (New York City's rules for hiring tools do the same).
    """

    compare_unknown: bool = False

    id: ClassVar[str] = "fairness.groups"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Equal treatment of groups"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.GROUPS, Need.CLASSIFICATION}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        **{
            name: Metric(title.capitalize(), Unit.SHARE, higher_is_better=better)
            for name, (title, better, _) in RATES.items()
        },
        **{
            f"{name}_gap": Metric(f"Largest gap in {title}", Unit.SHARE, higher_is_better=False)
            for name, (title, _, _) in RATES.items()
        },
        RATIO: Metric("Impact ratio", Unit.NONE, higher_is_better=True),
    }
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "10(2)(f)"),
        Control("eu-ai-act", "10(2)(g)"),
        Control("eu-ai-act", "13(3)(b)(v)"),
        Control("nist-ai-rmf", "MEASURE 2.11"),
        Control("iso-42001", "A.5.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: Size) -> Cost:
        """Score every row once; other checks of the same audit share the scores."""
        return Cost(queries=size.rows)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
        """Half widths of the widest column if rates are one half and half of the rows selected."""
        family = _family(len(size.groups))
        found: dict[str, float] = {}
        for groups in size.groups.values():
            compared = [rows for name, rows in groups.items() if self.compares(name)]
            trials = expected_trials(compared, size.favourable)
            widths = {
                f"{rate}_gap": gap_half_width(rows, confidence, family)
                for rate, rows in trials.items()
            }
            widths[RATIO] = ratio_half_width(trials["selection_rate"], confidence, family)
            found = {name: max(width, found.get(name, 0.0)) for name, width in widths.items()}
        return found

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Score the evaluation data; keep decisions, labels, and the group of each row."""
        task, dataset = subject.task, subject.datasets[Role.EVALUATION]
        if not isinstance(task, Classification) or dataset.labels is None:
            message = "groups need a classification and labels, and the frame asks for both"
            raise TypeError(message)
        return {
            "ids": np.array(dataset.ids),
            "labels": dataset.labels,
            "decided": subject.decisions(Role.EVALUATION),
            "codes": np.stack([members.codes for members in dataset.groups.values()], axis=1),
            "columns": [
                {"name": name, "groups": list(members.names)}
                for name, members in dataset.groups.items()
            ],
            "task": {
                "favourable": task.classes.index(task.favourable),
                "clusters": None if dataset.cluster is None else len(dataset.cluster.names),
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count each group, and compare groups column by column."""
        codes = cast("Counts", evidence["codes"])
        columns = cast("Sequence[Mapping[str, Json]]", evidence["columns"])
        task = cast("Mapping[str, int | None]", evidence["task"])
        wanted = cast("Counts", evidence["labels"]) == task["favourable"]
        given = cast("Counts", evidence["decided"]) == task["favourable"]
        found: list[Reading] = []
        for index, column in enumerate(columns):
            groups = tuple(cast("Sequence[str]", column["groups"]))
            table = _Table(
                str(column["name"]),
                groups,
                rates(tabulate((codes[:, index], wanted, given), (len(groups), 2, 2))),
                _family(len(columns)),
                (task["clusters"] or len(codes)) < len(codes),
            )
            chosen = [at for at, name in enumerate(groups) if self.compares(name)]
            found += [*table.rates(confidence), *table.gaps(confidence, chosen)]
        return tuple(found)

    def compares(self, group: str) -> bool:
        """Whether a group takes part in gaps and ratio."""
        return self.compare_unknown or group != UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """One column's counts: metric to ``[groups, 2]``, how often, out of how many."""

    column: str
    groups: tuple[str, ...]
    counts: Mapping[str, Counts]
    family: int
    clustered: bool

    @property
    def doubt(self) -> dict[str, Json]:
        """What makes every reading doubted, where rows come in clusters."""
        return {"doubt": DOUBT} if self.clustered else {}

    def rates(self, confidence: float) -> Iterator[Reading]:
        """Return each group's rates, or why a group has none."""
        for index, group in enumerate(self.groups):
            for metric in RATES:
                hits, rows = (int(number) for number in self.counts[metric][index])
                if rows == 0:
                    yield self.undefined(metric, group)
                    continue
                interval = clopper_pearson(hits, rows, confidence)
                yield Measurement.of(
                    interval,
                    metric,
                    Unit.SHARE,
                    params={"group_column": self.column, "group": group},
                    doubted=self.clustered,
                    details={"k": hits, "n": rows, "holds": "for this group alone", **self.doubt},
                )

    def gaps(self, confidence: float, chosen: Sequence[int]) -> Iterator[Reading]:
        """Return the largest gap of each rate between the chosen groups, then the impact ratio."""
        named = [self.groups[index] for index in chosen]
        for rate, name in (*((rate, f"{rate}_gap") for rate in RATES), ("selection_rate", RATIO)):
            counts = self.counts[rate][chosen]
            lacking = self.incomparable(name, counts, named)
            if lacking is not None:
                yield lacking
                continue
            compare = min_ratio if name == RATIO else max_gap
            found = compare(counts[:, 0], counts[:, 1], confidence, self.family)
            pair = {"highest": named[found.highest], "lowest": named[found.lowest]}
            yield Measurement.of(
                found.interval,
                name,
                Unit.NONE if name == RATIO else Unit.SHARE,
                params={"group_column": self.column},
                doubted=self.clustered,
                details={**pair, **_describe(counts, named), **self.doubt},
            )

    def undefined(self, metric: str, group: str) -> Gap:
        """Say why one group has no such rate."""
        place, among = f"{self.column}={group}", RATES[metric][2]
        detail = f"{metric} of {place} is not defined: it has no {among}."
        return self.gap(metric, detail, f"Evaluate on data in which {place} has {among}.", group)

    def gap(self, metric: str, detail: str, cure: str, group: str | None = None) -> Gap:
        """Return the Gap of one metric at its coordinates, so that no rule overlooks it."""
        where = {"group_column": self.column} | ({} if group is None else {"group": group})
        return Gap(reason=Reason.NOT_DEFINED, detail=detail, cure=cure, metric=metric, params=where)

    def incomparable(self, metric: str, counts: Counts, named: Sequence[str]) -> Gap | None:
        """Say why groups cannot be compared, where they cannot."""
        with_rate = [name for name, rows in zip(named, counts[:, 1], strict=True) if rows]
        undefined = f"{metric} over {self.column} is not defined"
        if len(with_rate) < 2:  # noqa: PLR2004 -- a pair
            lacking = ", ".join(name for name in named if name not in with_rate)
            return self.gap(
                metric,
                f"{undefined}: of its groups {', '.join(with_rate) or 'none'} has such a rate"
                f"{f', {lacking} has none' if lacking else ' and there is no other'}.",
                f"Evaluate on data that hold more groups of {self.column}, with enough rows.",
            )
        if metric == RATIO and not counts[:, 0].any():
            return self.gap(
                metric,
                f"{undefined}: no row of any group was given the favourable class.",
                "Look at task.threshold and task.favourable: nobody is selected.",
            )
        return None


def _describe(counts: Counts, named: Sequence[str]) -> dict[str, Json]:
    """Say how often and out of how many in each group, and which groups are small or empty."""
    table = {name: (int(k), int(n)) for name, (k, n) in zip(named, counts, strict=True)}
    return {
        "counts": {name: {"k": k, "n": n} for name, (k, n) in table.items()},
        "small_groups": [name for name, (_, n) in table.items() if 0 < n < SMALL],
        "without_rate": [name for name, (_, n) in table.items() if n == 0],
    }


def _family(columns: int) -> int:
    """Count the intervals that hold jointly: every gap and the ratio, for every column."""
    return (len(RATES) + 1) * max(1, columns)


CHECK: type[Check] = Groups
