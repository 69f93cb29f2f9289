"""Quantised pooling and activations."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.operators.quantised import MICROSOFT
from auditor.twins.operators.quantised_logistic import logistic
from auditor.twins.operators.quantised_values import (
    Limits,
    centre,
    limits_of,
    settle,
)
from auditor.twins.operators.windows import average_pool, max_pool
from auditor.twins.registry import operator
from auditor.twins.rounding import straight_through

LAST_WITH_FLAT_SOFTMAX = 12
RESERVED = 5.0
"""How far below the largest float ONNX Runtime keeps the sums of its softmax, in nats."""


@operator("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised mean of each window; the zero point is added before rounding."""
    last = bool(attributes.integer("channels_last"))
    values = centre(x, x_zero) * x_scale
    values = values.movedim(-1, 1) if last else values
    found = _added(average_pool(attributes, values) / y_scale, y_zero, limits_of(y_zero, x_zero))
    return found.movedim(1, -1) if last else found


@operator("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised mean over all spatial axes: an exact sum, scaled once."""
    last = bool(attributes.integer("channels_last"))
    axes = tuple(range(1, x.dim() - 1)) if last else tuple(range(2, x.dim()))
    sums = centre(x, x_zero).to(torch.float64).sum(dim=axes, keepdim=True)
    size = x[0].numel() // x.shape[-1 if last else 1]
    factor = x_scale / (y_scale * torch.tensor(float(size)))
    zero = 0 if y_zero is None else y_zero
    return settle(sums.to(torch.float32) * factor, limits_of(y_zero, x_zero), zero)


def _claim(name: str, function: Callable[[Attributes, Tensor], Tensor]) -> None:
    @operator(name, domain=MICROSOFT)
    def looked_up(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
        attributes: Attributes,
        x: Tensor,
        x_scale: Tensor,
        x_zero: Tensor | None,
        y_scale: Tensor,
        y_zero: Tensor | None = None,
    ) -> Tensor:
        value = function(attributes, centre(x, x_zero) * x_scale)
        return settle(value / y_scale, limits_of(y_zero, x_zero), 0 if y_zero is None else y_zero)


def _leaky(attributes: Attributes, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, attributes.number("alpha", 0.01))


def _sigmoid(_: Attributes, x: Tensor) -> Tensor:
    return straight_through(logistic(x), torch.sigmoid(x))


_claim("QLinearLeakyRelu", _leaky)
_claim("QLinearSigmoid", _sigmoid)


@operator("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised softmax, in whole steps of ``1 / floor(1 / y_scale)``.

    Before opset 13 it runs over all axes from ``axis`` on. The gradient is that of the softmax.
    """
    flat = attributes.integer("opset", LAST_WITH_FLAT_SOFTMAX + 1) <= LAST_WITH_FLAT_SOFTMAX
    axis = attributes.integer("axis", 1 if flat else -1) % x.dim()
    rows = centre(x.flatten(axis) if flat else x.movedim(axis, -1), None)
    steps = torch.floor(1.0 / y_scale.reshape(()))
    smooth = torch.softmax(rows * x_scale.reshape(()), -1) * steps
    with torch.no_grad():
        powers = _powers(rows, x_scale.reshape(()))
        # Summed one by one in float32 (torch keeps more digits), divided in float64: as measured.
        sums = torch.from_numpy(np.add.accumulate(powers.numpy(), axis=-1, dtype=np.float32))
        shares = powers.to(torch.float64) * steps / sums[..., -1:].to(torch.float64)
        whole = torch.round(shares).to(torch.float32)
        shift = 0 if y_zero is None else y_zero.to(torch.float32)
        limits = limits_of(y_zero, x_zero)
        found = torch.clamp(whole + shift, limits.low, limits.high)
    found = straight_through(found, smooth)
    return found.reshape(x.shape) if flat else found.movedim(-1, axis)


def _powers(rows: Tensor, scale: Tensor) -> Tensor:
    """Return ``exp(scale * (x - max))`` times a constant, as the table of ONNX Runtime holds it."""
    most = torch.tensor(torch.finfo(torch.float32).max) / rows.shape[-1]
    shift = (torch.log(most).to(torch.float64) - RESERVED) / scale.to(torch.float64)
    below = (rows - rows.amax(-1, keepdim=True)).to(torch.float64)
    return torch.exp((below + shift) * scale.to(torch.float64)).to(torch.float32)


@operator("NhwcMaxPool", domain=MICROSOFT)
def nhwc_max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the largest value in each window of an image whose channels come last."""
    return max_pool(attributes, x.movedim(-1, 1)).movedim(1, -1)


def _added(value: Tensor, zero: Tensor | None, limits: Limits) -> Tensor:
    return settle(value if zero is None else value + zero.to(torch.float32), limits, 0)
