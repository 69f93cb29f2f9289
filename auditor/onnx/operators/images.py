"""ONNX image operators: resizing, grid sampling, region pooling and non-maximum suppression.

Resizing works on each axis separately. Coordinates are computed in float32, as in runtimes, because
rounding decides between neighbours. No gradient flows through the choice among overlapping boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.shape_operators import to_integers

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ResizeAxis:
    """How one axis is resized; ``roi`` is the part that a crop takes, as shares of its length."""

    length: int
    wanted: int
    scale: np.float32
    roi: tuple[float, float]


@register_operator("Upsample")
def upsample_by_attribute(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Resize by scales that are an attribute (before opset 9)."""
    return _simple(attributes, x, attributes.numbers("scales"))


@register_operator("Upsample", since=9)
def upsample(attributes: NodeAttributes, x: Tensor, scales: Tensor) -> Tensor:
    """Resize by scales (opset 9)."""
    return _simple(attributes, x, scales.tolist())


@register_operator("Resize", since=10)
def resize_by_scales(attributes: NodeAttributes, x: Tensor, scales: Tensor) -> Tensor:
    """Resize by scales, where rows and columns start together (opset 10)."""
    return _simple(attributes, x, scales.tolist())


@register_operator("Resize", since=11)
def resize(
    attributes: NodeAttributes,
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """Resize by scales or to sizes, in the mode and with the coordinates that are told."""
    axes = attributes.integers("axes", range(x.dim()))
    lengths = [x.shape[axis] for axis in axes]
    if sizes is not None and sizes.numel():
        factors, wanted = _to_sizes(attributes, lengths, to_integers(sizes))
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
        plan = ResizeAxis(lengths[place], wanted[place], factors[place], crop)
        x, beyond = _along(attributes, x, axis, plan)
        outside = beyond if outside is None or beyond is None else outside | beyond
    if outside is None:
        return x
    return torch.where(outside, attributes.number("extrapolation_value"), x)


def _simple(attributes: NodeAttributes, x: Tensor, scales: Sequence[float]) -> Tensor:
    mode = {"coordinate_transformation_mode": "asymmetric"}
    for axis, scale in enumerate(np.asarray(scales, dtype=np.float32)):
        rounding = {"nearest_mode": "ceil" if scale < 1 else "floor"}
        told = NodeAttributes({**attributes.values, **mode, **rounding})
        plan = ResizeAxis(x.shape[axis], int(np.floor(x.shape[axis] * scale)), scale, (0.0, 1.0))
        x, _ = _along(told, x, axis, plan)
    return x


def _to_sizes(
    attributes: NodeAttributes, lengths: list[int], sizes: list[int]
) -> tuple[Floats32, list[int]]:
    factors: Floats32 = np.divide(sizes, lengths, dtype=np.float32)
    policy = attributes.text("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return factors, sizes
    scale = factors.min() if policy == "not_larger" else factors.max()
    return np.full_like(factors, scale), [int(np.floor(n * scale + 0.5)) for n in lengths]


def _along(
    attributes: NodeAttributes, x: Tensor, axis: int, plan: ResizeAxis
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
        mode = attributes.text("nearest_mode", "round_prefer_floor")
        rounded: Floats32 = {
            "round_prefer_floor": np.ceil(places - np.float32(0.5)),
            "round_prefer_ceil": np.floor(places + np.float32(0.5)),
            "floor": np.floor(places),
            "ceil": np.ceil(places),
        }[mode]
        nearest = torch.from_numpy(np.clip(rounded, 0, plan.length - 1).astype(np.int64))
        return torch.index_select(x, axis, nearest), beyond
    # `[wanted, length]`: how much each input counts for each result
    cubic = attributes.text("mode") == "cubic"
    antialias = bool(attributes.integer("antialias"))
    shrink = min(float(plan.scale), 1.0) if antialias else 1.0
    reach = int(np.ceil((2 if cubic else 1) / shrink))
    first = np.floor(places).astype(np.int64).reshape(-1, 1)
    taps = first + np.arange(1 - reach, reach + 1)
    distance = np.abs(taps - places.reshape(-1, 1).astype(np.float64)) * shrink
    a = attributes.number("cubic_coeff_a", -0.75)
    if cubic:
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((distance - 5) * distance + 8) * distance * a - 4 * a
        heights = np.where(distance <= 1, near, np.where(distance < 2, far, 0))  # noqa: PLR2004 -- the kernel's support
    else:
        heights = np.clip(1 - distance, 0, None)
    if attributes.integer("exclude_outside"):
        heights = np.where((taps >= 0) & (taps < plan.length), heights, 0)
    heights = heights / heights.sum(1, keepdims=True)
    weights_weights = np.zeros((len(places), plan.length))
    np.add.at(
        weights_weights,
        (np.arange(len(places)).reshape(-1, 1), np.clip(taps, 0, plan.length - 1)),
        heights,
    )
    weights = torch.from_numpy(weights_weights.astype(np.float32))
    return torch.movedim(torch.movedim(x, axis, -1) @ weights.t(), -1, axis), beyond


def _coordinates(attributes: NodeAttributes, plan: ResizeAxis) -> Floats32:
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


MODES = {"linear": "bilinear", "cubic": "bicubic"}


@register_operator("GridSample", since=16)
def grid_sample(attributes: NodeAttributes, x: Tensor, grid: Tensor) -> Tensor:
    """Read ``x`` at the places of a grid, whose coordinates run from -1 to 1."""
    mode = attributes.text("mode", "linear")
    return functional.grid_sample(
        x,
        grid,
        mode=MODES.get(mode, mode),
        padding_mode=attributes.text("padding_mode", "zeros"),
        align_corners=bool(attributes.integer("align_corners")),
    )


@register_operator("AffineGrid", since=20)
def affine_grid(attributes: NodeAttributes, theta: Tensor, size: Tensor) -> Tensor:
    """Return the grid that an affine map makes, for reading a plane or a volume."""
    aligned = bool(attributes.integer("align_corners"))
    return functional.affine_grid(theta, to_integers(size), align_corners=aligned)


@register_operator("RoiAlign", since=10)
def roi_align_by_corners(
    attributes: NodeAttributes, x: Tensor, rois: Tensor, rows: Tensor
) -> Tensor:
    """Pool regions whose coordinates name pixels by their corners (before opset 16)."""
    return _roi_align(attributes, x, rois, rows, "output_half_pixel")


@register_operator("RoiAlign", since=16)
def roi_align(attributes: NodeAttributes, x: Tensor, rois: Tensor, rows: Tensor) -> Tensor:
    """Pool regions, read between pixels, into windows of one shape (He et al. 2017)."""
    return _roi_align(attributes, x, rois, rows, "half_pixel")


def _roi_align(
    attributes: NodeAttributes, x: Tensor, rois: Tensor, rows: Tensor, default: str
) -> Tensor:
    half = attributes.text("coordinate_transformation_mode", default) == "half_pixel"
    scale = attributes.number("spatial_scale", 1.0)
    shape = (attributes.integer("output_height", 1), attributes.integer("output_width", 1))
    found = []
    for roi, row in zip(rois, to_integers(rows), strict=True):
        left, top, right, bottom = (roi * scale - (0.5 if half else 0.0)).unbind()
        down = _samples(attributes, top, bottom, shape[0], half=half)
        across = _samples(attributes, left, right, shape[1], half=half)
        # One region's `[channels, height, width]`
        plane = x[row]
        low_y, high_y, part_y, in_y = _neighbours(down, plane.shape[1])
        low_x, high_x, part_x, in_x = _neighbours(across, plane.shape[2])
        corners = []
        for y, share_y in ((low_y, 1 - part_y), (high_y, part_y)):
            for pooled_x, share_x in ((low_x, 1 - part_x), (high_x, part_x)):
                read = plane[:, y[:, :, None, None], pooled_x]
                share = (share_y * in_y)[:, :, None, None] * (share_x * in_x)
                corners.append(read * share)
        weighted = torch.stack(corners)  # [4, channels, height, samples, width, samples]
        if attributes.text("mode", "avg") == "avg":
            pooled = weighted.sum(0).mean((2, 4))
        else:
            pooled = weighted.amax((0, 3, 5))
        found.append(pooled)
    return torch.stack(found) if found else x.new_zeros((0, x.shape[1], *shape))


def _samples(
    attributes: NodeAttributes, first: Tensor, last: Tensor, parts: int, *, half: bool
) -> Tensor:
    """Return ``[parts, samples]`` coordinates along one axis of a region."""
    span = last - first if half else torch.clamp(last - first, min=1.0)
    count = attributes.integer("sampling_ratio") or int(torch.ceil(span.detach() / parts))
    inside = (torch.arange(count) + 0.5) / count
    return first + (torch.arange(parts).reshape(-1, 1) + inside) * span / parts


def _neighbours(places: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inside = ((places >= -1) & (places <= length)).to(torch.float32)
    clipped = places.clamp(0, length - 1)
    low = clipped.detach().floor().to(torch.int64)
    return low, (low + 1).clamp(max=length - 1), clipped - low, inside


@register_operator("MaxRoiPool")
def max_roi_pool(attributes: NodeAttributes, x: Tensor, rois: Tensor) -> Tensor:
    """Return the largest value in each window of regions (Girshick 2015)."""
    height, width = attributes.integers("pooled_shape")
    scale = attributes.number("spatial_scale", 1.0)
    found = []
    for roi in rois:
        left, top, right, bottom = to_integers(torch.floor(roi[1:] * scale + 0.5))
        rows = _windows(top, bottom, height, x.shape[2])
        columns = _windows(left, right, width, x.shape[3])
        plane = x[int(roi[0])]
        cells = [_largest(plane[:, row, column]) for row in rows for column in columns]
        found.append(torch.stack(cells, 1).reshape(-1, height, width))
    return torch.stack(found)


def _windows(first: int, last: int, parts: int, length: int) -> list[slice]:
    share = max(last - first + 1, 1) / parts
    starts = [min(max(int(part * share // 1) + first, 0), length) for part in range(parts)]
    ends = [min(max(int(-(-(part + 1) * share // 1)) + first, 0), length) for part in range(parts)]
    return [slice(start, end) for start, end in zip(starts, ends, strict=True)]


def _largest(window: Tensor) -> Tensor:
    return window.flatten(1).amax(1) if window.numel() else window.new_zeros(window.shape[0])


@register_operator("DeformConv", since=19)
def deform_conv(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Convolve, each window's entries read where offsets move them (Dai et al. 2017)."""
    rows, channels, height, width = x.shape
    taps = weight.shape[2] * weight.shape[3]
    sets, groups = attributes.integer("offset_group", 1), attributes.integer("group", 1)
    down, across = offset.shape[2:]
    moved = offset.reshape(rows * sets, taps, 2, down, across)
    # `[taps, 2, height, width]`: where a window's entries lie without offsets
    kernel = list(weight.shape[2:])
    shape = (down, across)
    strides = attributes.integers("strides", [1, 1])
    dilations = attributes.integers("dilations", [1, 1])
    pads = attributes.integers("pads", [0] * 4)
    lines = [
        (torch.arange(kernel[axis]) * dilations[axis]).reshape(-1, 1)
        + torch.arange(shape[axis]) * strides[axis]
        - pads[axis]
        for axis in range(2)
    ]
    y = lines[0].reshape(kernel[0], 1, shape[0], 1).expand(*kernel, *shape)
    grid_x = lines[1].reshape(1, kernel[1], 1, shape[1]).expand(*kernel, *shape)
    base = torch.stack([y, grid_x], 2).reshape(-1, 2, *shape).to(torch.float32)
    places = (moved + base).permute(0, 1, 3, 4, 2)
    size = torch.tensor([height, width], dtype=torch.float32)
    grid = ((2 * places + 1) / size - 1).flip(-1).reshape(rows * sets, taps * down, across, 2)
    planes = x.reshape(rows * sets, channels // sets, height, width)
    read = functional.grid_sample(planes, grid, align_corners=False)
    columns = read.reshape(rows, sets, channels // sets, taps, down * across)
    if mask is not None:
        columns = columns * mask.reshape(rows, sets, 1, taps, down * across)
    columns = columns.reshape(rows, groups, -1, down * across)
    found = weight.reshape(groups, weight.shape[0] // groups, -1) @ columns
    found = found.reshape(rows, weight.shape[0], down, across)
    return found if bias is None else found + bias.reshape(1, -1, 1, 1)


@register_operator("NonMaxSuppression", since=10)
def non_max_suppression(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: NodeAttributes,
    boxes: Tensor,
    scores: Tensor,
    most: Tensor | None = None,
    overlap: Tensor | None = None,
    least: Tensor | None = None,
) -> Tensor:
    """Return ``[chosen, 3]``: batch, class and box, best first, none overlapping a better one."""
    limit = 0 if most is None else to_integers(most)[0]
    share = 0.0 if overlap is None else float(overlap.item())
    corners_boxes = boxes.detach()
    first, second = corners_boxes[..., :2], corners_boxes[..., 2:]
    if attributes.integer("center_point_box"):
        first, second = first - second / 2, first + second / 2
    corners = torch.cat([torch.minimum(first, second), torch.maximum(first, second)], -1)
    chosen: list[list[int]] = []
    for row in range(scores.shape[0]):
        for kind in range(scores.shape[1]):
            line = scores[row, kind].detach()
            order = torch.argsort(line, descending=True, stable=True)
            if least is not None:
                order = order[line[order] > least.reshape(())]
            kept_corners = corners[row]
            kept: list[int] = []
            for box in to_integers(order):
                if len(kept) == limit:
                    break
                if not kept or not bool(
                    (_overlaps(kept_corners[box], kept_corners[kept]) > share).any()
                ):
                    kept.append(box)
            chosen.extend([row, kind, box] for box in kept)
    return torch.tensor(chosen, dtype=torch.int64).reshape(-1, 3)


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    low = torch.maximum(box[:2], others[:, :2])
    high = torch.minimum(box[2:], others[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return common / (areas - common).clamp(min=1e-12)
