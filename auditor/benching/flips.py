"""Which bits of a model's weights are turned over: a sample that stands for all of them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from auditor.domain.benches import BitFlip, Weight

BITS: Mapping[str, int] = {
    "bool": 8, "int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16,
    "int32": 32, "uint32": 32, "int64": 64, "uint64": 64, "float16": 16, "bfloat16": 16,
    "float32": 32, "float64": 64, "float8e4m3fn": 8, "float8e4m3fnuz": 8, "float8e5m2": 8,
    "float8e5m2fnuz": 8,
}  # fmt: skip


def elements(weight: Weight) -> int:
    """Return how many numbers a weight has."""
    return math.prod(weight.shape)


def stored_bits(weights: Sequence[Weight]) -> int:
    """Return how many bits all weights have."""
    return sum(elements(weight) * BITS[weight.dtype] for weight in weights)


def spread_sample(
    weights: Sequence[Weight], count: int, generator: np.random.Generator
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
    ends = np.cumsum([elements(weight) for weight, _ in blocks], dtype=np.int64)
    if not blocks:
        return []
    places = (np.arange(count) + generator.random(count)) / count * float(ends[-1])
    found = []
    for place in np.minimum(places.astype(np.int64), ends[-1] - 1).tolist():
        block = int(np.searchsorted(ends, place, side="right"))
        weight, bit = blocks[block]
        found.append(BitFlip(weight.name, int(place - ends[block] + elements(weight)), bit))
    return found


def fill_up(
    weights: Sequence[Weight], chosen: Sequence[BitFlip], least: int, most_layers: int,
    generator: np.random.Generator,
) -> list[BitFlip]:  # fmt: skip
    """Return more bits, so that each of the largest layers has at least ``least`` of them."""
    layer = {weight.name: weight.node for weight in weights}
    found: list[BitFlip] = []
    for node in largest_layers(weights, most_layers):
        own = [weight for weight in weights if weight.node == node]
        missing = least - sum(layer[flip.weight] == node for flip in chosen)
        found += spread_sample(own, max(0, missing), generator) if missing > 0 else []
    return found


def largest_layers(weights: Sequence[Weight], most: int) -> list[str]:
    """Return the nodes with the most stored bits, in the graph's order."""
    sizes: dict[str, int] = {}
    for weight in weights:
        sizes[weight.node] = sizes.get(weight.node, 0) + elements(weight) * BITS[weight.dtype]
    kept = sorted(sizes, key=lambda node: -sizes[node])[:most]
    return [node for node in sizes if node in kept]
