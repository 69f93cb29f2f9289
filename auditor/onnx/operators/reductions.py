"""Operators that reduce over axes."""

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.shape_operators import to_integers

Reduction = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _prod(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:  # noqa: FBT001 -- as torch
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(dim=axis, keepdim=keep)
    return x


REDUCTIONS: dict[str, tuple[Reduction, int]] = {
    # the reduction, and the opset from which its axes are an input
    "ReduceSum": (lambda x, axes, keep: x.sum(dim=axes, keepdim=keep, dtype=x.dtype), 13),
    "ReduceMean": (lambda x, axes, keep: x.mean(dim=axes, keepdim=keep), 18),
    "ReduceMax": (lambda x, axes, keep: x.amax(dim=axes, keepdim=keep), 18),
    "ReduceMin": (lambda x, axes, keep: x.amin(dim=axes, keepdim=keep), 18),
    "ReduceProd": (_prod, 18),
    "ReduceL1": (lambda x, axes, keep: x.abs().sum(dim=axes, keepdim=keep), 18),
    "ReduceL2": (lambda x, axes, keep: x.square().sum(dim=axes, keepdim=keep).sqrt(), 18),
    "ReduceSumSquare": (lambda x, axes, keep: x.square().sum(dim=axes, keepdim=keep), 18),
    "ReduceLogSum": (lambda x, axes, keep: x.sum(dim=axes, keepdim=keep).log(), 18),
    "ReduceLogSumExp": (lambda x, axes, keep: x.logsumexp(dim=axes, keepdim=keep), 18),
}


def _claim(name: str, reduction: Reduction, since: int) -> None:
    @register_operator(name)
    def by_attribute(attributes: NodeAttributes, x: Tensor) -> Tensor:
        axes = attributes.integers("axes", range(x.dim()))
        return _reduce(reduction, attributes, x, axes)

    @register_operator(name, since=since)
    def by_input(attributes: NodeAttributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        wanted = [] if axes is None else to_integers(axes)
        if not wanted and attributes.integer("noop_with_empty_axes"):
            return x if name not in ELEMENTWISE else ELEMENTWISE[name](x)
        return _reduce(reduction, attributes, x, wanted or list(range(x.dim())))


ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    # what remains of a reduction over no axis at all
    "ReduceL1": torch.abs,
    "ReduceL2": torch.abs,
    "ReduceSumSquare": torch.square,
    "ReduceLogSum": torch.log,
}


def _reduce(reduction: Reduction, attributes: NodeAttributes, x: Tensor, axes: list[int]) -> Tensor:
    if x.dim() == 0:
        return reduction(x.reshape(1), (0,), False).reshape(())  # noqa: FBT003 -- as torch
    return reduction(x, tuple(axes), bool(attributes.integer("keepdims", 1)))


for _name, (_reduction, _since) in REDUCTIONS.items():
    _claim(_name, _reduction, _since)


@register_operator("ArgMax")
def arg_max(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return where the largest value stands; no gradient flows through it."""
    return _where_best(attributes, x)


@register_operator("ArgMin")
def arg_min(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return where the smallest value stands; no gradient flows through it."""
    return _where_best(attributes, -x)


def _where_best(attributes: NodeAttributes, x: Tensor) -> Tensor:
    axis = attributes.integer("axis") % x.dim()
    keep = bool(attributes.integer("keepdims", 1))
    if not attributes.integer("select_last_index"):
        return x.argmax(dim=axis, keepdim=keep)
    return x.shape[axis] - 1 - x.flip(axis).argmax(dim=axis, keepdim=keep)


@register_operator("CumSum")
def cumulative_sum(attributes: NodeAttributes, x: Tensor, axis: Tensor) -> Tensor:
    """Return running sums along one axis."""
    along = int(axis.item())
    backwards = bool(attributes.integer("reverse"))
    line = x.flip(along) if backwards else x
    sums = line.cumsum(along, dtype=x.dtype)
    if attributes.integer("exclusive"):
        sums = sums - line
    return sums.flip(along) if backwards else sums


@register_operator("CumProd")
def cumulative_product(attributes: NodeAttributes, x: Tensor, axis: Tensor) -> Tensor:
    """Return running products along one axis."""
    along = int(axis.item()) % x.dim()
    backwards = bool(attributes.integer("reverse"))
    line = x.flip(along) if backwards else x
    if attributes.integer("exclusive"):
        ones = torch.ones_like(line.narrow(along, 0, 1))
        line = torch.cat([ones, line.narrow(along, 0, line.shape[along] - 1)], along)
    products = line.cumprod(along, dtype=x.dtype)
    return products.flip(along) if backwards else products
