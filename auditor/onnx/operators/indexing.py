"""Operators that take entries out by their places. Gradients flow to entries, not to places."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator


@operator("Gather")
def gather(attributes: Attributes, x: Tensor, indices: Tensor) -> Tensor:
    """Take the entries at ``indices`` along one axis; the shape of ``indices`` replaces it."""
    axis = attributes.integer("axis") % x.dim()
    wanted = indices.to(torch.int64).reshape(-1) % x.shape[axis]
    taken = torch.index_select(x, axis, wanted)
    return taken.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@operator("GatherElements")
def gather_elements(attributes: Attributes, x: Tensor, indices: Tensor) -> Tensor:
    """Take one entry along one axis for each element of ``indices``."""
    axis = attributes.integer("axis") % x.dim()
    return torch.gather(x, axis, indices.to(torch.int64) % x.shape[axis])


@operator("GatherND")
def gather_nd(attributes: Attributes, x: Tensor, indices: Tensor) -> Tensor:
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


@operator("Compress")
def compress(attributes: Attributes, x: Tensor, condition: Tensor) -> Tensor:
    """Keep the entries along one axis, or of the whole, where a condition holds."""
    line = x if attributes.has("axis") else x.reshape(-1)
    axis = attributes.integer("axis")
    return torch.index_select(line, axis, condition.nonzero().reshape(-1))


@operator("NonZero")
def non_zero(_: Attributes, x: Tensor) -> Tensor:
    """Return the places of what is not zero, one row an axis; no gradient flows through it."""
    return x.nonzero().t().contiguous()


@operator("TopK")
def top_k_by_attribute(attributes: Attributes, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest entries along one axis and their places (before opset 10)."""
    return _best(attributes, x, attributes.integer("k"))


@operator("TopK", since=10)
def top_k(attributes: Attributes, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest or smallest entries along one axis and their places.

    Of equal entries the first come first. Gradients flow to the entries.
    """
    return _best(attributes, x, listed(k)[0])


def _best(attributes: Attributes, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    axis = attributes.integer("axis", -1)
    largest = bool(attributes.integer("largest", 1))
    order = torch.argsort(x.detach(), dim=axis, descending=largest, stable=True)
    places = order.narrow(axis, 0, count)
    return torch.gather(x, axis, places), places


@operator("OneHot")
def one_hot(attributes: Attributes, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """Return the second value at the places told, else the first, along a new axis."""
    length = listed(depth)[0]
    rank = indices.dim() + 1
    axis = attributes.integer("axis", -1) % rank
    places = indices.to(torch.int64)
    places = torch.where(places < 0, places + length, places).unsqueeze(axis)
    line = torch.arange(length).reshape([-1 if at == axis else 1 for at in range(rank)])
    return torch.where(places == line, values[1], values[0])


@operator("ReverseSequence")
def reverse_sequence(attributes: Attributes, x: Tensor, lengths: Tensor) -> Tensor:
    """Turn around the first entries of each sequence of a batch, as many as it is long."""
    time, batch = attributes.integer("time_axis", 0), attributes.integer("batch_axis", 1)
    line = torch.arange(x.shape[time]).reshape(-1, 1)
    ends = lengths.to(torch.int64).reshape(1, -1)
    places = torch.where(line < ends, ends - 1 - line, line)
    shape = [1] * x.dim()
    shape[time], shape[batch] = places.shape
    places = places if time < batch else places.t()
    return torch.gather(x, time, places.reshape(shape).expand(x.shape))


@operator("Unique")
def unique(attributes: Attributes, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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
