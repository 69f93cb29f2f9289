"""Maxima of windows, between one of their inputs and a ceiling."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from auditor.errors import TwinError
from auditor.twins.graphs import Node
from auditor.twins.operators.windows import paddings

AXES = 4
"""Of a batch of pictures: rows, channels, height, width."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """For each window the input that is surely largest from below, and whether from above too.

    ``place`` ``[n, ...]`` is the input's number within its channel, ``ceiling`` the upper limit of
    each maximum that no single input decides (0 elsewhere), ``decided`` which ones are decided.
    """

    place: Tensor
    decided: Tensor
    ceiling: Tensor
    plane: tuple[int, ...]

    def pull(self, up: Tensor, down: Tensor) -> Tensor:
        """Pull positive and negative weights ``[k, n, channels, ...]`` back to the inputs.

        A maximum is at least any of its inputs; at most the one that beats all others.
        """
        weight = (up + down * self.decided).flatten(3)
        spread = torch.zeros((*weight.shape[:3], torch.Size(self.plane).numel()))
        place = self.place.flatten(2).expand(weight.shape)
        return spread.scatter_add(3, place, weight).reshape(*weight.shape[:3], *self.plane)


def choose(node: Node, low: Tensor, high: Tensor) -> Choice:
    """Return the choices of a maximum whose inputs lie in limits ``[n, channels, height, width]``.

    Raises ``TwinError`` for other shapes, and for windows that round up.
    """
    if low.dim() != AXES or node.attributes.integer("ceil_mode"):
        raise TwinError(
            f"no bounds can be propagated through the operator {node.label}: its windows are not "
            "those of plain pictures",
            cure="Judge by evasion.linf what attacks find, or export without it.",
        )
    plane = tuple(low.shape[2:])
    numbers = torch.arange(float(torch.Size(plane).numel())).reshape(1, 1, *plane)
    bottoms, tops = _windows(node, low, -torch.inf), _windows(node, high, -torch.inf)
    places = _windows(node, numbers, 0.0).expand(bottoms.shape)
    best = bottoms.max(2, keepdim=True)
    others = tops.scatter(2, best.indices, -torch.inf).amax(2)
    decided = best.values.squeeze(2) >= others
    place = places.gather(2, best.indices).squeeze(2).to(torch.int64)
    return Choice(place, decided, torch.where(decided, 0.0, tops.amax(2)), plane)


def contested(node: Node, low: Tensor, high: Tensor) -> Tensor:
    """Return which inputs may be the largest of a window that no single input decides."""
    bottoms, tops = _windows(node, low, -torch.inf), _windows(node, high, -torch.inf)
    best = bottoms.max(2, keepdim=True)
    rivals = tops >= best.values
    among = rivals & (rivals.sum(2, keepdim=True) > 1)
    plane = tuple(low.shape[2:])
    numbers = torch.arange(float(torch.Size(plane).numel())).reshape(1, 1, *plane)
    places = _windows(node, numbers, 0.0).to(torch.int64).expand(bottoms.shape)
    found = torch.zeros(*low.shape[:2], torch.Size(plane).numel())
    found = found.scatter_reduce(2, places.flatten(2), among.flatten(2).to(found), "amax")
    return found.reshape(low.shape) > 0


def _windows(node: Node, x: Tensor, beyond: float) -> Tensor:
    """Return what each window sees, ``[n, channels, inputs, height, width]``."""
    if node.operator == "GlobalMaxPool":
        return x.flatten(2)[..., None, None]
    kernel = node.attributes.integers("kernel_shape")
    before, after = paddings(node.attributes, x, kernel)
    padded = functional.pad(x, (before[1], after[1], before[0], after[0]), value=beyond)
    strides = node.attributes.integers("strides", [1, 1])
    dilations = node.attributes.integers("dilations", [1, 1])
    sizes = [
        (length - (size - 1) * gap - 1) // step + 1
        for length, size, gap, step in zip(
            padded.shape[2:], kernel, dilations, strides, strict=True
        )
    ]
    columns = functional.unfold(
        padded, tuple(kernel), dilation=tuple(dilations), stride=tuple(strides)
    )
    return columns.reshape(*x.shape[:2], -1, *sizes)
