"""Trigonometric and hyperbolic functions, and their inverses."""

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
}


def _claim(name: str, function: Callable[[Tensor], Tensor]) -> None:
    @operator(name)
    def apply(_: Attributes, x: Tensor) -> Tensor:
        return function(x)


for _name, _function in FUNCTIONS.items():
    _claim(_name, _function)
