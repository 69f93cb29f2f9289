"""The kernels of support vector machines, computed in float64."""

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes

Kernel = Callable[[Tensor, Tensor], Tensor]
KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")


def read_kernel(attributes: Attributes) -> Kernel:
    """Return the function of ``[n, f]`` rows and ``[m, f]`` vectors that gives ``[n, m]``.

    Raises ``ValueError`` for a kernel that the standard does not name.
    """
    name = attributes.text("kernel_type", "LINEAR")
    gamma, coef0, degree = attributes.numbers("kernel_params") or (0.0, 0.0, 0.0)
    kernels: dict[str, Kernel] = {
        "LINEAR": lambda x, vectors: x @ vectors.t(),
        "POLY": lambda x, vectors: (gamma * (x @ vectors.t()) + coef0) ** degree,
        "RBF": lambda x, vectors: torch.exp(-gamma * _squares(x, vectors)),
        "SIGMOID": lambda x, vectors: torch.tanh(gamma * (x @ vectors.t()) + coef0),
    }
    if name not in kernels:
        message = f"the kernel {name}"
        raise ValueError(message)
    return kernels[name]


def _squares(x: Tensor, vectors: Tensor) -> Tensor:
    """Return squared distances; in float64 the squares may be multiplied out."""
    lengths = (x * x).sum(1, keepdim=True) + (vectors * vectors).sum(1)
    return lengths - 2 * (x @ vectors.t())


def matrix(attributes: Attributes, name: str, rows: int) -> Tensor:
    """Return a list of numbers as ``[rows, ...]`` in float64."""
    return torch.tensor(attributes.numbers(name), dtype=torch.float64).reshape(rows, -1)
