"""Operators that put entries into places. Gradients flow to entries, not through places."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator

REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements")
def scatter_elements(attributes: Attributes, x: Tensor, indices: Tensor, new: Tensor) -> Tensor:
    """Put one entry along one axis for each element of ``indices``, or join it to what is there."""
    axis = attributes.integer("axis") % x.dim()
    places = indices.to(torch.int64) % x.shape[axis]
    reduction = attributes.text("reduction", "none")
    if reduction == "none":
        return x.scatter(axis, places, new)
    return x.scatter_reduce(axis, places, new, REDUCTIONS[reduction])


@operator("Scatter")
def scatter(attributes: Attributes, x: Tensor, indices: Tensor, new: Tensor) -> Tensor:
    """Put entries as ``ScatterElements`` does (opset 9)."""
    return scatter_elements(attributes, x, indices, new)


@operator("ScatterND")
def scatter_nd(attributes: Attributes, x: Tensor, indices: Tensor, new: Tensor) -> Tensor:
    """Put slices at places that the last axis of ``indices`` spells out, or join them."""
    depth = indices.shape[-1]
    lengths = list(x.shape[:depth])
    places = (indices.to(torch.int64) % torch.tensor(lengths)).reshape(-1, depth)
    strides = [_product(lengths[axis + 1 :]) for axis in range(depth)]
    rows = (places * torch.tensor(strides, dtype=torch.int64)).sum(1)
    width = _product(list(x.shape[depth:]))
    flat = x.reshape(-1, width)
    entries = new.reshape(-1, width)
    reduction = attributes.text("reduction", "none")
    targets = rows.reshape(-1, 1).expand(entries.shape)
    if reduction == "none":
        return flat.scatter(0, targets, entries).reshape(x.shape)
    return flat.scatter_reduce(0, targets, entries, REDUCTIONS[reduction]).reshape(x.shape)


@operator("TensorScatter")
def tensor_scatter(
    attributes: Attributes, past: Tensor, update: Tensor, first: Tensor | None = None
) -> Tensor:
    """Write an update into a cache along one axis, from a place that each row has."""
    axis = attributes.integer("axis", -2) % past.dim()
    starts = torch.zeros(len(past), dtype=torch.int64) if first is None else first
    line = torch.arange(update.shape[axis])
    places = starts.reshape(-1, 1) + line
    if attributes.text("mode", "linear") == "circular":
        places = places % past.shape[axis]
    shape = [1] * past.dim()
    shape[0], shape[axis] = places.shape
    return past.scatter(axis, places.reshape(shape).expand(update.shape), update)


def _product(lengths: list[int]) -> int:
    product = 1
    for length in lengths:
        product *= length
    return product
