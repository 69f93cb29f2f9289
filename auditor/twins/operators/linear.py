"""Matrix products."""

import torch
from onnx import helper
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator
from auditor.twins.tensors import tensor_type


@operator("MatMul")
def matmul(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product, batched over leading axes."""
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(attributes: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return ``alpha * A @ B + beta * C``, each matrix transposed where asked."""
    left = a.t() if attributes.integer("transA") else a
    right = b.t() if attributes.integer("transB") else b
    alpha, beta = attributes.number("alpha", 1.0), attributes.number("beta", 1.0)
    product = left @ right if alpha == 1 else alpha * (left @ right)
    if c is None:
        return product
    return product + (c if beta == 1 else beta * c)


@operator("Einsum")
def einsum(attributes: Attributes, *inputs: Tensor) -> Tensor:
    """Return the sum of products that the equation writes."""
    return torch.einsum(attributes.text("equation"), *inputs)


@operator("Det")
def determinant(_: Attributes, x: Tensor) -> Tensor:
    """Return the determinant of each matrix in the last two axes."""
    found: Tensor = torch.linalg.det(x)
    return found


@operator("Trilu")
def triangle(attributes: Attributes, x: Tensor, k: Tensor | None = None) -> Tensor:
    """Return the part above or below a diagonal, zeros elsewhere."""
    diagonal = 0 if k is None else int(k.item())
    return torch.triu(x, diagonal) if attributes.integer("upper", 1) else torch.tril(x, diagonal)


@operator("EyeLike")
def eye_like(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ones on a diagonal of a matrix in the shape of ``x``."""
    kind = attributes.values.get("dtype")
    dtype = x.dtype if kind is None else tensor_type(helper.tensor_dtype_to_np_dtype(int(kind)))
    ones = torch.ones(x.shape, dtype=torch.float32)
    diagonal = attributes.integer("k")
    return torch.triu(torch.tril(ones, diagonal), diagonal).to(dtype)
