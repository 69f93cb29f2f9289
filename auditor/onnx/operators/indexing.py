"""ONNX gather and scatter operators.

Gradients flow to entries, not through their indices.
"""

import torch
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.shape_operators import to_integers


@register_operator("Gather")
def gather(attributes: NodeAttributes, x: Tensor, indices: Tensor) -> Tensor:
    """Take the entries at ``indices`` along one axis; the shape of ``indices`` replaces it."""
    axis = attributes.integer("axis") % x.dim()
    wanted = indices.to(torch.int64).reshape(-1) % x.shape[axis]
    taken = torch.index_select(x, axis, wanted)
    return taken.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@register_operator("GatherElements")
def gather_elements(attributes: NodeAttributes, x: Tensor, indices: Tensor) -> Tensor:
    """Take one entry along one axis for each element of ``indices``."""
    axis = attributes.integer("axis") % x.dim()
    return torch.gather(x, axis, indices.to(torch.int64) % x.shape[axis])


@register_operator("GatherND")
def gather_nd(attributes: NodeAttributes, x: Tensor, indices: Tensor) -> Tensor:
    """Take slices of ``x`` at places that the last axis of ``indices`` spells out."""
    batched = attributes.integer("batch_dims")
    depth = indices.shape[-1]
    lead = x.shape[:batched]
    flat = x.reshape(-1, *x.shape[batched:])
    places = indices.to(torch.int64).reshape(flat.shape[0], -1, depth)
    places = places % torch.tensor(flat.shape[1 : 1 + depth])
    rows = torch.arange(flat.shape[0]).reshape(-1, 1).expand(places.shape[:2])
    taken = flat[(rows, *places.unbind(-1))]
    return taken.reshape(*lead, *indices.shape[batched:-1], *x.shape[batched + depth :])


@register_operator("Compress")
def compress(attributes: NodeAttributes, x: Tensor, condition: Tensor) -> Tensor:
    """Keep the entries along one axis, or of the whole, where a condition holds."""
    line = x if attributes.has("axis") else x.reshape(-1)
    axis = attributes.integer("axis")
    return torch.index_select(line, axis, condition.nonzero().reshape(-1))


@register_operator("NonZero")
def non_zero(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the places of what is not zero, one row an axis; no gradient flows through it."""
    return x.nonzero().t().contiguous()


@register_operator("TopK")
def top_k_by_attribute(attributes: NodeAttributes, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest entries along one axis and their places (before opset 10)."""
    return _best(attributes, x, attributes.integer("k"))


@register_operator("TopK", since=10)
def top_k(attributes: NodeAttributes, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest or smallest entries along one axis and their places.

    Of equal entries the first come first. Gradients flow to the entries.
    """
    return _best(attributes, x, to_integers(k)[0])


def _best(attributes: NodeAttributes, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    axis = attributes.integer("axis", -1)
    largest = bool(attributes.integer("largest", 1))
    order = torch.argsort(x.detach(), dim=axis, descending=largest, stable=True)
    places = order.narrow(axis, 0, count)
    return torch.gather(x, axis, places), places


@register_operator("OneHot")
def one_hot(attributes: NodeAttributes, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """Return the second value at the places told, else the first, along a new axis."""
    length = to_integers(depth)[0]
    rank = indices.dim() + 1
    axis = attributes.integer("axis", -1) % rank
    places = indices.to(torch.int64)
    places = torch.where(places < 0, places + length, places).unsqueeze(axis)
    line = torch.arange(length).reshape([-1 if at == axis else 1 for at in range(rank)])
    return torch.where(places == line, values[1], values[0])


@register_operator("ReverseSequence")
def reverse_sequence(attributes: NodeAttributes, x: Tensor, lengths: Tensor) -> Tensor:
    """Turn around the first entries of each sequence of a batch, as many as it is long."""
    time, batch = attributes.integer("time_axis", 0), attributes.integer("batch_axis", 1)
    line = torch.arange(x.shape[time]).reshape(-1, 1)
    ends = lengths.to(torch.int64).reshape(1, -1)
    places = torch.where(line < ends, ends - 1 - line, line)
    shape = [1] * x.dim()
    shape[time], shape[batch] = places.shape
    places = places if time < batch else places.t()
    return torch.gather(x, time, places.reshape(shape).expand(x.shape))


@register_operator("Unique")
def unique(attributes: NodeAttributes, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return each different entry once, where it first stood, the way back, and the counts.

    Gradients flow to the entries.
    """
    axis = attributes.integer("axis") if attributes.has("axis") else None
    line = x.reshape(-1) if axis is None else x
    along = axis or 0
    _, back, counts = torch.unique(
        line.detach(), return_inverse=True, return_counts=True, dim=along
    )
    first = torch.full((len(counts),), len(back), dtype=torch.int64)
    first = first.scatter_reduce(0, back, torch.arange(len(back)), "amin")
    if not attributes.integer("sorted", 1):
        order = torch.argsort(first)
        back, counts, first = torch.argsort(order)[back], counts[order], first[order]
    return torch.index_select(line, along, first), first, back, counts


REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@register_operator("ScatterElements")
def scatter_elements(attributes: NodeAttributes, x: Tensor, indices: Tensor, new: Tensor) -> Tensor:
    """Put one entry along one axis for each element of ``indices``, or join it to what is there."""
    axis = attributes.integer("axis") % x.dim()
    places = indices.to(torch.int64) % x.shape[axis]
    reduction = attributes.text("reduction", "none")
    if reduction == "none":
        return x.scatter(axis, places, new)
    return x.scatter_reduce(axis, places, new, REDUCTIONS[reduction])


@register_operator("Scatter")
def scatter(attributes: NodeAttributes, x: Tensor, indices: Tensor, new: Tensor) -> Tensor:
    """Put entries as ``ScatterElements`` does (opset 9)."""
    return scatter_elements(attributes, x, indices, new)


@register_operator("ScatterND")
def scatter_nd(attributes: NodeAttributes, x: Tensor, indices: Tensor, new: Tensor) -> Tensor:
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


@register_operator("TensorScatter")
def tensor_scatter(
    attributes: NodeAttributes, past: Tensor, update: Tensor, first: Tensor | None = None
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
