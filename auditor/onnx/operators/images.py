"""Resizing along each axis by itself: each result is a weighted sum of a few neighbours.

Coordinates are computed in float32, as runtimes do, because rounding decides between neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Axis:
    """How one axis is resized; ``roi`` is the part that a crop takes, as shares of its length."""

    length: int
    wanted: int
    scale: np.float32
    roi: tuple[float, float]


@operator("Upsample")
def upsample_by_attribute(attributes: Attributes, x: Tensor) -> Tensor:
    """Resize by scales that are an attribute (before opset 9)."""
    return _simple(attributes, x, attributes.numbers("scales"))


@operator("Upsample", since=9)
def upsample(attributes: Attributes, x: Tensor, scales: Tensor) -> Tensor:
    """Resize by scales (opset 9)."""
    return _simple(attributes, x, scales.tolist())


@operator("Resize", since=10)
def resize_by_scales(attributes: Attributes, x: Tensor, scales: Tensor) -> Tensor:
    """Resize by scales, where rows and columns start together (opset 10)."""
    return _simple(attributes, x, scales.tolist())


@operator("Resize", since=11)
def resize(
    attributes: Attributes,
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """Resize by scales or to sizes, in the mode and with the coordinates that are told."""
    axes = attributes.integers("axes", range(x.dim()))
    lengths = [x.shape[axis] for axis in axes]
    if sizes is not None and sizes.numel():
        factors, wanted = _to_sizes(attributes, lengths, listed(sizes))
    elif scales is not None:
        factors = np.asarray(scales.tolist(), dtype=np.float32)
        wanted = [int(np.floor(n * factor)) for n, factor in zip(lengths, factors, strict=True)]
    else:
        message = "a resize without scales and sizes"
        raise ValueError(message)
    parts = [0.0] * len(axes) + [1.0] * len(axes)
    if roi is not None and roi.numel():
        parts = [float(part) for part in roi.tolist()]
    outside = None
    for place, axis in enumerate(axes):
        crop = (parts[place], parts[place + len(axes)])
        plan = Axis(lengths[place], wanted[place], factors[place], crop)
        x, beyond = _along(attributes, x, axis, plan)
        outside = beyond if outside is None or beyond is None else outside | beyond
    if outside is None:
        return x
    return torch.where(outside, attributes.number("extrapolation_value"), x)


def _simple(attributes: Attributes, x: Tensor, scales: Sequence[float]) -> Tensor:
    mode = {"coordinate_transformation_mode": "asymmetric"}
    for axis, scale in enumerate(np.asarray(scales, dtype=np.float32)):
        rounding = {"nearest_mode": "ceil" if scale < 1 else "floor"}
        told = Attributes({**attributes.values, **mode, **rounding})
        plan = Axis(x.shape[axis], int(np.floor(x.shape[axis] * scale)), scale, (0.0, 1.0))
        x, _ = _along(told, x, axis, plan)
    return x


def _to_sizes(
    attributes: Attributes, lengths: list[int], sizes: list[int]
) -> tuple[Floats32, list[int]]:
    factors: Floats32 = np.divide(sizes, lengths, dtype=np.float32)
    policy = attributes.text("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return factors, sizes
    scale = factors.min() if policy == "not_larger" else factors.max()
    return np.full_like(factors, scale), [int(np.floor(n * scale + 0.5)) for n in lengths]


def _along(
    attributes: Attributes, x: Tensor, axis: int, plan: Axis
) -> tuple[Tensor, Tensor | None]:
    """Return the tensor resized along one axis, and where a crop left the picture."""
    axis %= x.dim()
    cropping = attributes.text("coordinate_transformation_mode") == "tf_crop_and_resize"
    places = _coordinates(attributes, plan)
    beyond = None
    if cropping:
        shape = [-1 if at == axis else 1 for at in range(x.dim())]
        beyond = torch.from_numpy((places < 0) | (places > plan.length - 1)).reshape(shape)
    if not cropping and plan.wanted == plan.length and plan.scale == 1:
        return x, beyond
    if attributes.text("mode", "nearest") == "nearest":
        nearest = torch.from_numpy(_nearest(attributes, places, plan.length))
        return torch.index_select(x, axis, nearest), beyond
    weights = torch.from_numpy(_weights(attributes, places, plan))
    return torch.movedim(torch.movedim(x, axis, -1) @ weights.t(), -1, axis), beyond


def _coordinates(attributes: Attributes, plan: Axis) -> Floats32:
    """Return where each entry of the result lies in the input."""
    line = np.arange(plan.wanted, dtype=np.float32)
    mode = attributes.text("coordinate_transformation_mode", "half_pixel")
    whole = np.float32(plan.length - 1)
    half = np.float32(0.5)
    centred: Floats32 = (line + half) / plan.scale
    if mode == "asymmetric":
        return line / plan.scale
    if mode == "align_corners":
        # The standard's own implementation takes the length before it is cut to whole pixels,
        # ONNX Runtime the whole pixels that its text speaks of.
        return line * whole / np.float32(max(plan.wanted - 1, 1))
    if mode == "tf_crop_and_resize":
        start, end = np.float32(plan.roi[0]), np.float32(plan.roi[1])
        if plan.wanted == 1:
            return np.full_like(line, (start + end) * whole / 2)
        return start * whole + line * (end - start) * whole / np.float32(plan.wanted - 1)
    if mode == "pytorch_half_pixel" and plan.wanted == 1:
        return np.zeros_like(line)
    if mode == "half_pixel_symmetric":
        adjusted = np.float32(plan.wanted) / (plan.scale * np.float32(plan.length))
        return np.float32(plan.length) / 2 * (1 - adjusted) + centred - half
    return centred - half


def _nearest(attributes: Attributes, places: Floats32, length: int) -> NDArray[np.int64]:
    mode = attributes.text("nearest_mode", "round_prefer_floor")
    rounded: Floats32 = {
        "round_prefer_floor": np.ceil(places - np.float32(0.5)),
        "round_prefer_ceil": np.floor(places + np.float32(0.5)),
        "floor": np.floor(places),
        "ceil": np.ceil(places),
    }[mode]
    return np.clip(rounded, 0, length - 1).astype(np.int64)


def _weights(attributes: Attributes, places: Floats32, plan: Axis) -> Floats32:
    """Return ``[wanted, length]``: how much each input counts for each result."""
    cubic = attributes.text("mode") == "cubic"
    antialias = bool(attributes.integer("antialias"))
    shrink = min(float(plan.scale), 1.0) if antialias else 1.0
    reach = int(np.ceil((2 if cubic else 1) / shrink))
    first = np.floor(places).astype(np.int64).reshape(-1, 1)
    taps = first + np.arange(1 - reach, reach + 1)
    distance = np.abs(taps - places.reshape(-1, 1).astype(np.float64)) * shrink
    a = attributes.number("cubic_coeff_a", -0.75)
    heights = _cubic(distance, a) if cubic else np.clip(1 - distance, 0, None)
    if attributes.integer("exclude_outside"):
        heights = np.where((taps >= 0) & (taps < plan.length), heights, 0)
    heights = heights / heights.sum(1, keepdims=True)
    weights = np.zeros((len(places), plan.length))
    np.add.at(
        weights, (np.arange(len(places)).reshape(-1, 1), np.clip(taps, 0, plan.length - 1)), heights
    )
    return weights.astype(np.float32)


def _cubic(distance: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))  # noqa: PLR2004 -- the kernel's support
