"""Two runs over the same rows, compared one by one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.shares import share_of
from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.datasets import Dataset
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Scalar, Unit
from auditor.domain.tasks import Floats
from auditor.stats.paired import paired_difference

GROUP = "group:"
MOST_WORST_ROWS = 10
FLIPS: Mapping[str, Metric] = {
    "flip_rate": Metric("Decisions that differ", Unit.SHARE, higher_is_better=False),
    "class_flip_rate": Metric(
        "Decisions of a class that differ", Unit.SHARE, higher_is_better=False
    ),
    "group_flip_rate": Metric(
        "Decisions about a group that differ", Unit.SHARE, higher_is_better=False
    ),
    "right_to_wrong": Metric(
        "Rows that were right and became wrong", Unit.SHARE, higher_is_better=False
    ),
    "accuracy_change": Metric("Change of accuracy", Unit.NONE, higher_is_better=True),
    "max_logit_diff": Metric(
        "Largest difference of a score", Unit.NONE, higher_is_better=False, exact=True, number=True
    ),
    "mean_logit_diff": Metric(
        "Mean difference of a score", Unit.NONE, higher_is_better=False, exact=True, number=True
    ),
}
"""What a comparison of two runs emits."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pairs:
    """Two decisions and two rows of scores for each row; the second run is the one in question.

    ``before`` and ``after`` are ``[n, classes]`` scores, ``expected`` and ``decided`` the
    decisions that they come to; ``groups`` maps a column to one group a row. ``stated`` are the
    probabilities of both, while they are at hand: evidence leaves them out.
    """

    classes: tuple[str, ...]
    ids: NDArray[np.str_]
    before: Floats
    after: Floats
    expected: NDArray[np.int64]
    decided: NDArray[np.int64]
    labels: NDArray[np.int64] | None = None
    stated: tuple[Floats, Floats] | None = None
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    @property
    def flipped(self) -> NDArray[np.bool_]:
        """Rows that are decided otherwise."""
        flipped: NDArray[np.bool_] = self.decided != self.expected
        return flipped

    @property
    def difference(self) -> Floats:
        """How far each score moved, ``[n, classes]``."""
        moved: Floats = np.abs(self.after - self.before)
        return moved

    def figures(self, confidence: float) -> tuple[Reading, ...]:
        """Return every reading of ``FLIPS``; joint rates over classes and over groups."""
        return (
            self.rate(confidence),
            *self.by_class(confidence),
            *self.by_group(confidence),
            *self.truth(confidence),
            *self.scores(),
        )

    def rate(self, confidence: float) -> Measurement:
        """Return the share of rows that flip, with the rows that flip hardest."""
        details: dict[str, Json] = {
            "flips": int(self.flipped.sum()),
            "to": self._counted(self.decided[self.flipped]),
            "from": self._counted(self.expected[self.flipped]),
            "worst_rows": self.worst(),
        }
        return share_of("flip_rate", self.flipped, confidence, details=details)

    def by_class(self, confidence: float) -> Iterator[Measurement]:
        """Return the flip rate among the rows that the first run gives each class."""
        present = [index for index in range(len(self.classes)) if (self.expected == index).any()]
        level = 1 - (1 - confidence) / max(1, len(present))
        for index in present:
            part = self.flipped[self.expected == index]
            yield share_of("class_flip_rate", part, level, params={"class": self.classes[index]})

    def by_group(self, confidence: float) -> Iterator[Measurement]:
        """Return the flip rate of each group of each column."""
        cells = [(name, group) for name, held in self.groups.items() for group in np.unique(held)]
        level = 1 - (1 - confidence) / max(1, len(cells))
        for name, group in cells:
            part = self.flipped[self.groups[name] == group]
            where: dict[str, Scalar] = {"column": name, "group": str(group)}
            yield share_of("group_flip_rate", part, level, params=where)

    def truth(self, confidence: float) -> Iterator[Reading]:
        """Return what the flips do to accuracy, where the truth is known."""
        if self.labels is None:
            yield from (unlabelled("right_to_wrong"), unlabelled("accuracy_change"))
            return
        was, now = self.expected == self.labels, self.decided == self.labels
        lost, gained = was & ~now, now & ~was
        yield share_of("right_to_wrong", lost, confidence)
        change = paired_difference(int(gained.sum()), int(lost.sum()), len(was), confidence)
        details: dict[str, Json] = {
            "before": float(was.mean()),
            "after": float(now.mean()),
            "gained": int(gained.sum()),
            "lost": int(lost.sum()),
        }
        yield Measurement.of(change, "accuracy_change", Unit.NONE, details=details)

    def scores(self) -> Iterator[Measurement]:
        """Return how far scores are apart, and how many rows are equal to the last bit."""
        moved = self.difference
        equal = float((moved == 0).all(axis=1).mean())
        for metric, value in (
            ("max_logit_diff", float(moved.max())),
            ("mean_logit_diff", float(moved.mean())),
        ):
            yield Measurement(
                metric=metric,
                value=value,
                method="comparison of scores",
                n=len(moved),
                details={"bit_equal_rows": equal},
            )

    def worst(self) -> list[Json]:
        """Return the flipped rows whose scores moved most."""
        moved = self.difference.max(axis=1)
        order = [int(row) for row in np.argsort(-moved, kind="stable") if self.flipped[row]]
        return [
            {
                "id": str(self.ids[row]),
                "before": self.classes[self.expected[row]],
                "after": self.classes[self.decided[row]],
                "moved": float(moved[row]),
            }
            for row in order[:MOST_WORST_ROWS]
        ]

    def _counted(self, decisions: NDArray[np.int64]) -> dict[str, Json]:
        counts = np.bincount(decisions, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True) if count}


def write_pairs(pairs: Pairs) -> Evidence:
    """Return the evidence form of two runs."""
    labels: Evidence = {} if pairs.labels is None else {"labels": pairs.labels}
    return {
        "ids": pairs.ids,
        "before": pairs.before,
        "after": pairs.after,
        "expected": pairs.expected,
        "decided": pairs.decided,
        "classes": list(pairs.classes),
        **labels,
        **{f"{GROUP}{name}": held for name, held in pairs.groups.items()},
    }


def read_pairs(evidence: Evidence) -> Pairs:
    """Read two runs back from evidence."""
    return Pairs(
        classes=tuple(cast("list[str]", evidence["classes"])),
        ids=cast("NDArray[np.str_]", evidence["ids"]),
        before=cast("Floats", evidence["before"]),
        after=cast("Floats", evidence["after"]),
        expected=cast("NDArray[np.int64]", evidence["expected"]),
        decided=cast("NDArray[np.int64]", evidence["decided"]),
        labels=cast("NDArray[np.int64] | None", evidence.get("labels")),
        groups={
            name.removeprefix(GROUP): cast("NDArray[np.str_]", item)
            for name, item in evidence.items()
            if name.startswith(GROUP)
        },
    )


def groups_of(dataset: Dataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.str_]]:
    """Return the groups of some rows, by column."""
    return {name: np.array(held.names)[held.codes[rows]] for name, held in dataset.groups.items()}


def unlabelled(metric: str) -> Gap:
    """Return the gap of a figure that needs the truth, where nobody told it."""
    return Gap(
        reason=Reason.NEEDS_LABELS,
        detail=f"{metric} needs the truth, and the evaluation data have no labels.",
        cure="Name the label column under data.evaluation.labels in the audit file.",
        metric=metric,
    )
