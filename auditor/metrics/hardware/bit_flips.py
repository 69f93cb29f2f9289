"""Bit-flip faults in model weights: random sampling of bits, and accuracy under faults."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import BitFlip, GraphWeight
from auditor.domain.models import Model
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    Measurement,
    Reading,
    Scalar,
    Unit,
)
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.stats.means import LEAST, mean_loss
from auditor.metrics.stats.proportions import clopper_pearson

BROKEN = -1
"""No decision: the model did not open, did not answer, or its scores are no numbers."""
MOST_WORST = 10
NOTHING: Mapping[str, Json] = {}
Flags = NDArray[np.bool_]


def decide_labels(
    scores: Floats, task: ClassificationTask, model: Model | Gap
) -> NDArray[np.int16]:
    """Return the decision of each row of scores ``[n, classes]``; ``BROKEN`` is none."""
    usable = np.isfinite(scores).all(axis=1)
    found = np.full(len(scores), BROKEN, dtype=np.int16)
    if usable.any() and not isinstance(model, Gap):
        found[usable] = task.decide(model.probabilities(scores[usable])).astype(np.int16)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class FaultOutcomes:
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


def build_fault_readings(trials: FaultOutcomes, confidence: float) -> tuple[Reading, ...]:
    """Return the figures over all bits, then by the bit's place, then by layer."""
    part = slice(0, trials.spread)
    about: dict[str, Json] = {
        "bits": trials.bits,
        "rows": len(trials.labels),
        "clean_accuracy": float((trials.clean == trials.labels).mean()),
    }
    harmful = trials.mismatch[part]
    found = mean_loss(trials.wrong[part], 1.0, confidence)
    right = ConfidenceInterval(
        1 - found.value, 1 - found.high, 1 - found.low, confidence, found.method, found.n
    )
    return (
        Measurement.of(right, "accuracy", Unit.SHARE, details=about),
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
        Measurement(
            metric="worst_mismatch",
            value=float(trials.mismatch.max()),
            bound=BoundKind.AT_LEAST,
            method="the worst of the bits tried",
            n=len(trials.faults),
            unit=Unit.SHARE,
            details={"worst": trials.worst()[:1]},
        ),
        *_parts(trials, confidence),
    )


def _parts(trials: FaultOutcomes, confidence: float) -> Iterator[Reading]:
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


def _row_means(flags: Flags) -> Floats:
    means: Floats = flags.mean(axis=1, dtype=np.float64)
    return means


BITS: Mapping[str, int] = {
    "bool": 8, "int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16,
    "int32": 32, "uint32": 32, "int64": 64, "uint64": 64, "float16": 16, "bfloat16": 16,
    "float32": 32, "float64": 64, "float8e4m3fn": 8, "float8e4m3fnuz": 8, "float8e5m2": 8,
    "float8e5m2fnuz": 8,
}  # fmt: skip


def count_elements(weight: GraphWeight) -> int:
    """Return how many numbers a weight has."""
    return math.prod(weight.shape)


def count_stored_bits(weights: Sequence[GraphWeight]) -> int:
    """Return how many bits all weights have."""
    return sum(count_elements(weight) * BITS[weight.dtype] for weight in weights)


def sample_bits(
    weights: Sequence[GraphWeight], count: int, generator: np.random.Generator
) -> list[BitFlip]:
    """Return ``count`` bits, each bit as likely as any other, one out of each equal part.

    All bits are laid in a row, by place within a number and then by layer, so that every place
    and every layer has its share: a stratified sample whose mean scatters no more than that of
    bits drawn at random (Cochran 1977, Sampling Techniques, 5.6). Empty where there are none.
    """
    blocks = [
        (weight, bit)
        for bit in range(max((BITS[weight.dtype] for weight in weights), default=0))
        for weight in weights
        if bit < BITS[weight.dtype]
    ]
    ends = np.cumsum([count_elements(weight) for weight, _ in blocks], dtype=np.int64)
    if not blocks:
        return []
    places = (np.arange(count) + generator.random(count)) / count * float(ends[-1])
    found = []
    for place in np.minimum(places.astype(np.int64), ends[-1] - 1).tolist():
        block = int(np.searchsorted(ends, place, side="right"))
        weight, bit = blocks[block]
        found.append(BitFlip(weight.name, int(place - ends[block] + count_elements(weight)), bit))
    return found


def sample_layer_bits(
    weights: Sequence[GraphWeight], chosen: Sequence[BitFlip], least: int, most_layers: int,
    generator: np.random.Generator,
) -> list[BitFlip]:  # fmt: skip
    """Return more bits, so that each of the largest layers has at least ``least`` of them."""
    layer = {weight.name: weight.node for weight in weights}
    found: list[BitFlip] = []
    for node in find_largest_layers(weights, most_layers):
        own = [weight for weight in weights if weight.node == node]
        missing = least - sum(layer[flip.weight] == node for flip in chosen)
        found += sample_bits(own, max(0, missing), generator) if missing > 0 else []
    return found


def find_largest_layers(weights: Sequence[GraphWeight], most: int) -> list[str]:
    """Return the nodes with the most stored bits, in the graph's order."""
    sizes: dict[str, int] = {}
    for weight in weights:
        sizes[weight.node] = sizes.get(weight.node, 0) + count_elements(weight) * BITS[weight.dtype]
    kept = sorted(sizes, key=lambda node: -sizes[node])[:most]
    return [node for node in sizes if node in kept]
