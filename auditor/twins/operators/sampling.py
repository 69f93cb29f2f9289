"""Operators that read a plane between its pixels: grids, regions of interest, deformed windows."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator

MODES = {"linear": "bilinear", "cubic": "bicubic"}


@operator("GridSample", since=16)
def grid_sample(attributes: Attributes, x: Tensor, grid: Tensor) -> Tensor:
    """Read ``x`` at the places of a grid, whose coordinates run from -1 to 1."""
    mode = attributes.text("mode", "linear")
    return functional.grid_sample(
        x,
        grid,
        mode=MODES.get(mode, mode),
        padding_mode=attributes.text("padding_mode", "zeros"),
        align_corners=bool(attributes.integer("align_corners")),
    )


@operator("AffineGrid", since=20)
def affine_grid(attributes: Attributes, theta: Tensor, size: Tensor) -> Tensor:
    """Return the grid that an affine map makes, for reading a plane or a volume."""
    aligned = bool(attributes.integer("align_corners"))
    return functional.affine_grid(theta, listed(size), align_corners=aligned)


@operator("RoiAlign", since=10)
def roi_align_by_corners(attributes: Attributes, x: Tensor, rois: Tensor, rows: Tensor) -> Tensor:
    """Pool regions whose coordinates name pixels by their corners (before opset 16)."""
    return _roi_align(attributes, x, rois, rows, "output_half_pixel")


@operator("RoiAlign", since=16)
def roi_align(attributes: Attributes, x: Tensor, rois: Tensor, rows: Tensor) -> Tensor:
    """Pool regions, read between pixels, into windows of one shape (He et al. 2017)."""
    return _roi_align(attributes, x, rois, rows, "half_pixel")


def _roi_align(
    attributes: Attributes, x: Tensor, rois: Tensor, rows: Tensor, default: str
) -> Tensor:
    half = attributes.text("coordinate_transformation_mode", default) == "half_pixel"
    scale = attributes.number("spatial_scale", 1.0)
    shape = (attributes.integer("output_height", 1), attributes.integer("output_width", 1))
    found = []
    for roi, row in zip(rois, listed(rows), strict=True):
        left, top, right, bottom = (roi * scale - (0.5 if half else 0.0)).unbind()
        down = _samples(attributes, top, bottom, shape[0], half=half)
        across = _samples(attributes, left, right, shape[1], half=half)
        found.append(_pooled(attributes, x[row], down, across))
    return torch.stack(found) if found else x.new_zeros((0, x.shape[1], *shape))


def _samples(
    attributes: Attributes, first: Tensor, last: Tensor, parts: int, *, half: bool
) -> Tensor:
    """Return ``[parts, samples]`` coordinates along one axis of a region."""
    span = last - first if half else torch.clamp(last - first, min=1.0)
    count = attributes.integer("sampling_ratio") or int(torch.ceil(span.detach() / parts))
    inside = (torch.arange(count) + 0.5) / count
    return first + (torch.arange(parts).reshape(-1, 1) + inside) * span / parts


def _pooled(attributes: Attributes, plane: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Return one region's ``[channels, height, width]``."""
    low_y, high_y, part_y, in_y = _neighbours(down, plane.shape[1])
    low_x, high_x, part_x, in_x = _neighbours(across, plane.shape[2])
    corners = []
    for y, share_y in ((low_y, 1 - part_y), (high_y, part_y)):
        for x, share_x in ((low_x, 1 - part_x), (high_x, part_x)):
            read = plane[:, y[:, :, None, None], x]
            share = (share_y * in_y)[:, :, None, None] * (share_x * in_x)
            corners.append(read * share)
    weighted = torch.stack(corners)  # [4, channels, height, samples, width, samples]
    if attributes.text("mode", "avg") == "avg":
        return weighted.sum(0).mean((2, 4))
    return weighted.amax((0, 3, 5))


def _neighbours(places: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inside = ((places >= -1) & (places <= length)).to(torch.float32)
    clipped = places.clamp(0, length - 1)
    low = clipped.detach().floor().to(torch.int64)
    return low, (low + 1).clamp(max=length - 1), clipped - low, inside


@operator("MaxRoiPool")
def max_roi_pool(attributes: Attributes, x: Tensor, rois: Tensor) -> Tensor:
    """Return the largest value in each window of regions (Girshick 2015)."""
    height, width = attributes.integers("pooled_shape")
    scale = attributes.number("spatial_scale", 1.0)
    found = []
    for roi in rois:
        left, top, right, bottom = listed(torch.floor(roi[1:] * scale + 0.5))
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


@operator("DeformConv", since=19)
def deform_conv(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: Attributes,
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
    base = _grid(attributes, list(weight.shape[2:]), (down, across))
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


def _grid(attributes: Attributes, kernel: list[int], shape: tuple[int, int]) -> Tensor:
    """Return ``[taps, 2, height, width]``: where a window's entries lie without offsets."""
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
    x = lines[1].reshape(1, kernel[1], 1, shape[1]).expand(*kernel, *shape)
    return torch.stack([y, x], 2).reshape(-1, 2, *shape).to(torch.float32)
