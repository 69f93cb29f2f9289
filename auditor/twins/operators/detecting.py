"""The choice among overlapping boxes. No gradient flows through it."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator


@operator("NonMaxSuppression", since=10)
def non_max_suppression(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: Attributes,
    boxes: Tensor,
    scores: Tensor,
    most: Tensor | None = None,
    overlap: Tensor | None = None,
    least: Tensor | None = None,
) -> Tensor:
    """Return ``[chosen, 3]``: batch, class and box, best first, none overlapping a better one."""
    limit = 0 if most is None else listed(most)[0]
    share = 0.0 if overlap is None else float(overlap.item())
    corners = _corners(attributes, boxes.detach())
    chosen: list[list[int]] = []
    for row in range(scores.shape[0]):
        for kind in range(scores.shape[1]):
            line = scores[row, kind].detach()
            order = torch.argsort(line, descending=True, stable=True)
            if least is not None:
                order = order[line[order] > least.reshape(())]
            kept = _kept(corners[row], order, share, limit)
            chosen.extend([row, kind, box] for box in kept)
    return torch.tensor(chosen, dtype=torch.int64).reshape(-1, 3)


def _kept(corners: Tensor, order: Tensor, share: float, limit: int) -> list[int]:
    kept: list[int] = []
    for box in listed(order):
        if len(kept) == limit:
            break
        if not kept or not bool((_overlaps(corners[box], corners[kept]) > share).any()):
            kept.append(box)
    return kept


def _corners(attributes: Attributes, boxes: Tensor) -> Tensor:
    """Return the smaller and the larger corner of each box, whichever way it was told."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if attributes.integer("center_point_box"):
        first, second = first - second / 2, first + second / 2
    return torch.cat([torch.minimum(first, second), torch.maximum(first, second)], -1)


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    low = torch.maximum(box[:2], others[:, :2])
    high = torch.minimum(box[2:], others[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return common / (areas - common).clamp(min=1e-12)
