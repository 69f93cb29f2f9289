"""Padding, and cutting or padding to a size."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator


@operator("Pad")
def pad_by_attributes(attributes: Attributes, x: Tensor) -> Tensor:
    """Pad by lengths that are attributes (before opset 11)."""
    return _pad(
        x,
        attributes.integers("pads"),
        range(x.dim()),
        attributes.text("mode", "constant"),
        attributes.number("value"),
    )


@operator("Pad", since=11)
def pad(
    attributes: Attributes,
    x: Tensor,
    pads: Tensor,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    """Pad by a constant, by the edge, by reflection or by wrapping around."""
    along = range(x.dim()) if axes is None else listed(axes)
    filler = 0.0 if value is None else float(value.item())
    return _pad(x, listed(pads), along, attributes.text("mode", "constant"), filler)


def _pad(x: Tensor, pads: list[int], axes: range | list[int], mode: str, value: float) -> Tensor:
    for position, axis in enumerate(axes):
        before, after = pads[position], pads[position + len(axes)]
        if before == 0 and after == 0:
            continue
        if mode == "constant":
            widths = [0, 0] * (x.dim() - 1 - axis % x.dim()) + [before, after]
            x = functional.pad(x, widths, value=value)
        else:
            places = _mirrored(x.shape[axis], before, after, mode)
            x = torch.index_select(x, axis, places)
    return x


def _mirrored(length: int, before: int, after: int, mode: str) -> Tensor:
    places = torch.arange(-before, length + after)
    if mode == "edge":
        return places.clamp(0, length - 1)
    if mode == "wrap":
        return places % length
    period = max(2 * length - 2, 1)
    folded = places % period
    return torch.where(folded < length, folded, period - folded)
