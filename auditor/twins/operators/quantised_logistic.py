"""The logistic function as ONNX Runtime's CPU kernels approximate it, to the last bit."""

import torch
from torch import Tensor

WIDEST = 18.0
NUMERATOR = (
    4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03,
    2.48287947061529e-01,
)  # fmt: skip
DENOMINATOR = (
    6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03,
    1.16817656904453e-01, 9.93151921023180e-01,
)  # fmt: skip
"""Coefficients in ``x ** 2`` of a rational function, highest first (onnxruntime MLAS, logistic)."""


def logistic(x: Tensor) -> Tensor:
    """Return the approximation of the logistic function, in float32, without a gradient."""
    near = torch.clamp(x.detach(), -WIDEST, WIDEST)
    square = near * near
    ratio = _polynomial(NUMERATOR, square) * near / _polynomial(DENOMINATOR, square)
    return torch.clamp(ratio + 0.5, 0, 1)


def _polynomial(coefficients: tuple[float, ...], square: Tensor) -> Tensor:
    """Return a polynomial by Horner's rule, in products and sums that are rounded once."""
    found = torch.full_like(square, coefficients[0])
    for coefficient in coefficients[1:]:
        added = torch.tensor(coefficient, dtype=torch.float32).to(torch.float64)
        found = (found.to(torch.float64) * square.to(torch.float64) + added).to(torch.float32)
    return found
