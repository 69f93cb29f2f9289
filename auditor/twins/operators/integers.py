"""Products of integers whose sums stay integers."""

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.quantised_values import accumulating, centre
from auditor.twins.operators.windows import conv
from auditor.twins.registry import operator


@operator("MatMulInteger", since=10)
def matmul_integer(
    _: Attributes,
    a: Tensor,
    b: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
) -> Tensor:
    """Return the exact product of ``a - a_zero`` (one or one a row) and ``b - b_zero``."""
    return product(centre(a, by_row(a_zero)), centre(b, b_zero))


@operator("ConvInteger", since=10)
def conv_integer(
    attributes: Attributes,
    x: Tensor,
    weight: Tensor,
    x_zero: Tensor | None = None,
    weight_zero: Tensor | None = None,
) -> Tensor:
    """Return the exact convolution of ``x - x_zero``, padded with zeros, by the weights."""
    return correlation(attributes, centre(x, x_zero), centre(weight, weight_zero, 0))


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product of whole numbers, exact, in float64."""
    return _exact(torch.matmul, a, b, a.shape[-1])


def correlation(attributes: Attributes, x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution of whole numbers, exact, in float64."""

    def convolve(values: Tensor, kernel: Tensor) -> Tensor:
        return conv(attributes, values, kernel)

    return _exact(convolve, x, weight, weight[0].numel())


def by_row(zero: Tensor | None) -> Tensor | None:
    """Return zero points of a matrix' rows as a column."""
    return zero.unsqueeze(-1) if zero is not None and zero.dim() == 1 and len(zero) > 1 else zero


def _exact(
    function: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, terms: int
) -> Tensor:
    kind = accumulating(a, b, terms)
    return function(a.to(kind), b.to(kind)).to(torch.float64)
