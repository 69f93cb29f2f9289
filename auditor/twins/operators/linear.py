"""Matrix products."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator


@operator("MatMul")
def matmul(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product, batched over leading axes."""
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(attributes: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return ``alpha * A @ B + beta * C``, each matrix transposed where asked."""
    left = a.t() if attributes.integer("transA") else a
    right = b.t() if attributes.integer("transB") else b
    product = attributes.number("alpha", 1.0) * (left @ right)
    return product if c is None else product + attributes.number("beta", 1.0) * c


@operator("Einsum")
def einsum(attributes: Attributes, *inputs: Tensor) -> Tensor:
    """Return the sum of products that the equation writes."""
    return torch.einsum(attributes.text("equation"), *inputs)
