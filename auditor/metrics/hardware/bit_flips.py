"""From the decisions under faults to figures: over all bits, by place, and by layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.models import Model
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Scalar, Unit
from auditor.domain.tasks import Classification, Floats
from auditor.stats.means import LEAST, mean_loss
from auditor.stats.proportions import clopper_pearson

BROKEN = -1
"""No decision: the model did not open, did not answer, or its scores are no numbers."""
MOST_WORST = 10
NOTHING: Mapping[str, Json] = {}
Flags = NDArray[np.bool_]


def decide(scores: Floats, task: Classification, model: Model | Gap) -> NDArray[np.int16]:
    """Return the decision of each row of scores ``[n, classes]``; ``BROKEN`` is none."""
    usable = np.isfinite(scores).all(axis=1)
    found = np.full(len(scores), BROKEN, dtype=np.int16)
    if usable.any() and not isinstance(model, Gap):
        found[usable] = task.decide(model.probabilities(scores[usable])).astype(np.int16)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Decisions ``[faults, rows]``, and what each fault was; the first ``spread`` stand for all."""

    labels: NDArray[np.int64]
    clean: NDArray[np.int16]
    decided: NDArray[np.int16]
    faults: Sequence[Mapping[str, Json]]
    spread: int
    above: Sequence[float]
    bits: int
    said: Mapping[int, str]

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """Read the evidence."""
        about = cast("Mapping[str, Json]", evidence["about"])
        said = cast("Sequence[Mapping[str, Json]]", about["said"])
        return cls(
            cast("NDArray[np.int64]", evidence["labels"]),
            cast("NDArray[np.int16]", evidence["clean"]),
            cast("NDArray[np.int16]", evidence["decided"]),
            cast("Sequence[Mapping[str, Json]]", evidence["faults"]),
            cast("int", about["spread"]),
            cast("Sequence[float]", about["above"]),
            cast("int", about["bits"]),
            {cast("int", item["fault"]): str(item["said"]) for item in said},
        )

    @property
    def mismatch(self) -> Floats:
        """Share of the decisions that each fault changes."""
        return _row_means(self.decided != self.clean)

    @property
    def wrong(self) -> Floats:
        """Share of the decisions that are wrong under each fault."""
        return _row_means(self.decided != self.labels)

    @property
    def broken(self) -> Flags:
        """Whether a fault left no decision, or scores that are no numbers."""
        flags: Flags = (self.decided == BROKEN).any(axis=1)
        return flags

    def worst(self) -> list[Json]:
        """Return the faults that change the most decisions."""
        order = np.argsort(-self.mismatch, kind="stable")[:MOST_WORST].tolist()
        return [
            {
                **self.faults[index],
                "mismatch": float(self.mismatch[index]),
                "broken": bool(self.broken[index]),
                "said": self.said.get(index, ""),
            }
            for index in order
        ]


def fault_readings(trials: Trials, confidence: float) -> tuple[Reading, ...]:
    """Return the figures over all bits, then by the bit's place, then by layer."""
    part = slice(0, trials.spread)
    about: dict[str, Json] = {
        "bits": trials.bits,
        "rows": len(trials.labels),
        "clean_accuracy": float((trials.clean == trials.labels).mean()),
    }
    harmful = trials.mismatch[part]
    return (
        _accuracy(trials.wrong[part], confidence, about),
        _mean(
            "mismatch_rate",
            trials.mismatch[part],
            confidence,
            {},
            {**about, "worst": trials.worst()},
        ),
        *(
            _share(harmful > share, "harmful_share", confidence, {"above": share})
            for share in trials.above
        ),
        _share(trials.broken[part], "broken_share", confidence, {}),
        _worst(trials),
        *_parts(trials, confidence),
    )


def _parts(trials: Trials, confidence: float) -> Iterator[Reading]:
    """Yield the mismatch by place (of the bits that stand for all) and by layer (of all bits)."""
    places: dict[tuple[str, int], list[int]] = {}
    layers: dict[str, list[int]] = {}
    for index, fault in enumerate(trials.faults):
        if index < trials.spread:
            places.setdefault((str(fault["dtype"]), cast("int", fault["bit"])), []).append(index)
        layers.setdefault(str(fault["layer"]), []).append(index)
    for (dtype, bit), rows in sorted(places.items()):
        if len(rows) >= LEAST:
            yield _mean(
                "bit_mismatch_rate", trials.mismatch[rows], confidence, {"bit": bit, "dtype": dtype}
            )
    for layer, rows in layers.items():
        if len(rows) >= LEAST:
            yield _mean("layer_mismatch_rate", trials.mismatch[rows], confidence, {"layer": layer})


def _accuracy(wrong: Floats, confidence: float, about: Mapping[str, Json]) -> Measurement:
    found = mean_loss(wrong, 1.0, confidence)
    right = Interval(
        1 - found.value, 1 - found.high, 1 - found.low, confidence, found.method, found.n
    )
    return Measurement.of(right, "accuracy", Unit.SHARE, details=about)


def _mean(
    metric: str, mismatch: Floats, confidence: float, params: Mapping[str, Scalar],
    about: Mapping[str, Json] = NOTHING,
) -> Measurement:  # fmt: skip
    if mismatch.any():
        found = mean_loss(mismatch, 1.0, confidence)
    else:  # the mean is at most the share of bits that change anything at all
        found = clopper_pearson(0, mismatch.size, confidence)
    return Measurement.of(found, metric, Unit.SHARE, params=params, details=about)


def _share(
    hits: Flags, metric: str, confidence: float, params: Mapping[str, Scalar]
) -> Measurement:
    found = clopper_pearson(int(hits.sum()), len(hits), confidence)
    return Measurement.of(found, metric, Unit.SHARE, params=params)


def _worst(trials: Trials) -> Measurement:
    return Measurement(
        metric="worst_mismatch",
        value=float(trials.mismatch.max()),
        bound=Bound.AT_LEAST,
        method="the worst of the bits tried",
        n=len(trials.faults),
        unit=Unit.SHARE,
        details={"worst": trials.worst()[:1]},
    )


def _row_means(flags: Flags) -> Floats:
    means: Floats = flags.mean(axis=1, dtype=np.float64)
    return means
