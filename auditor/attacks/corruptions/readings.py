"""Readings of a corruption survey: accuracy by kind and severity, on average, at worst."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions import images, tables
from auditor.attacks.corruptions.accuracy_survey import (
    REFUSED,
    build_measurement,
    mean_over_conditions,
    share_interval,
)
from auditor.attacks.corruptions.mean_accuracy import mean_over_rows
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import ConfidenceInterval, Gap, GapReason, Reading
from auditor.domain.tasks import Floats


def build_corruption_readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return clean accuracy, accuracy under each kind at each severity, the mean, and the worst."""
    seen = _CorruptionOutcomes.of(evidence)
    if not seen.kinds:
        why = cast("Mapping[str, str]", seen.settings["not_defined"])
        told = "; ".join(f"{kind}: {reason}" for kind, reason in why.items())
        return (
            Gap(
                reason=GapReason.NOT_DEFINED,
                detail=f"None of the kinds has a meaning for these inputs ({told}).",
                cure=f"Choose kinds for pictures ({', '.join(images.KINDS)}) or for tables "
                f"({', '.join(tables.KINDS)}).",
            ),
        )
    clean = share_interval(seen.clean, "clean_accuracy", confidence, seen.settings)
    return (clean, *seen.cells(confidence), *seen.summaries(confidence))


@dataclass(frozen=True, slots=True, eq=False)
class _CorruptionOutcomes:
    """The evidence, typed: ``right`` is ``[kinds, severities, n]``, ``clean`` is ``[n]``."""

    settings: Mapping[str, Json]
    kinds: Sequence[str]
    severities: Sequence[int]
    clean: NDArray[np.bool_]
    right: NDArray[np.bool_]
    refused: NDArray[np.bool_]

    @classmethod
    def of(cls, evidence: Evidence) -> "_CorruptionOutcomes":
        """Read evidence back."""
        settings = cast("Mapping[str, Json]", evidence["settings"])
        labels = cast("NDArray[np.int64]", evidence["labels"])
        decided = cast("NDArray[np.int32]", evidence["decided"])
        return cls(
            settings,
            cast("Sequence[str]", settings["kinds"]),
            cast("Sequence[int]", settings["severities"]),
            cast("NDArray[np.int32]", evidence["clean_decided"]) == labels,
            decided == labels,
            (decided == REFUSED).any(axis=2),
        )

    def cells(self, confidence: float) -> Iterator[Reading]:
        """Return the accuracy under each kind at each severity."""
        for index, kind in enumerate(self.kinds):
            for step, severity in enumerate(self.severities):
                params: dict[str, str | int] = {"kind": kind, "severity": severity}
                if self.refused[index, step]:
                    yield self.failure("accuracy", params)
                    continue
                right = self.right[index, step]
                details: dict[str, Json] = {
                    **self.against_clean(float(right.mean())),
                    "broken": int((self.clean & ~right).sum()),
                    "mended": int((~self.clean & right).sum()),
                }
                yield share_interval(
                    right, "accuracy", confidence, self.settings, params=params, details=details
                )

    def summaries(self, confidence: float) -> Iterator[Reading]:
        """Return the mean over everything, and the worst kind."""
        metrics = ("mean_accuracy", "worst_kind_accuracy")
        if self.refused.any():
            yield from (self.failure(metric, {}) for metric in metrics)
            return
        rows = self.right.shape[2]
        by_kind = [float(right.mean()) for right in self.right]
        worst = int(np.argmin(by_kind))
        details: dict[str, Json] = {
            **self.against_clean(float(self.right.mean())),
            "kinds": dict(zip(self.kinds, by_kind, strict=True)),
            "severities": list(self.severities),
            "worst_kind": self.kinds[worst],
            "not_defined": self.settings["not_defined"],
        }
        conditions = self.right.reshape(-1, rows)
        mean = mean_over_conditions(
            conditions, metrics[0], confidence, self.settings, details=details
        )
        lowest = _lowest(self.right.mean(axis=1), confidence)
        if mean is None or lowest is None:
            yield from (
                Gap(
                    reason=GapReason.TOO_FEW_ROWS,
                    detail="One row gives no interval of a mean.",
                    cure="Evaluate on more rows.",
                    metric=metric,
                )
                for metric in metrics
            )
            return
        yield mean
        named: dict[str, Json] = {
            **self.against_clean(by_kind[worst]),
            "kind": self.kinds[worst],
        }
        yield build_measurement(lowest, metrics[1], self.settings, details=named)

    def against_clean(self, accuracy: float) -> dict[str, Json]:
        """Return how far an accuracy lies below that on clean rows."""
        clean = float(self.clean.mean())
        return {"clean_accuracy": clean, "drop": clean - accuracy}

    def failure(self, metric: str, params: Mapping[str, str | int]) -> Gap:
        """Say which kinds the model could not answer."""
        failed = cast("Mapping[str, str]", self.settings["failed"])
        kinds = [str(params["kind"])] if params else list(failed)
        return Gap(
            reason=GapReason.MODEL_FAILED,
            detail=f"The model could not score rows under {', '.join(kinds)}: {failed[kinds[0]]}",
            cure="Let the model accept such inputs, or leave these kinds out of the check.",
            metric=metric,
            params=params,
        )


def _lowest(shares: Floats, confidence: float) -> ConfidenceInterval | None:
    """Return the lowest mean of ``[kinds, n]``, over all kinds at once.

    Each kind's interval holds at a level at which all hold together (Bonferroni), so the choice
    of the worst is paid for.
    """
    level = 1 - (1 - confidence) / len(shares)
    found = [mean_over_rows(kind, level) for kind in shares]
    known = [item for item in found if item is not None]
    if len(known) < len(found):
        return None
    return ConfidenceInterval(
        min(item.value for item in known),
        min(item.low for item in known),
        min(item.high for item in known),
        confidence,
        f"least of {len(known)}, bonferroni; {known[0].method}",
        known[0].n,
    )
