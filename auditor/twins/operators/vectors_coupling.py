"""One probability a class out of one probability a pair of classes.

Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling",
JMLR 5 (2004), algorithm 2: the ``p`` that minimises ``p' Q p`` over probabilities, where ``Q`` is
made of the pairs. libsvm and ONNX Runtime stop early, so their steps are repeated here for the
value; the slope is that of the minimum itself, which a linear system gives.
"""

import torch
from torch import Tensor

MOST_LOOPS = 100
TOLERANCE = 0.005


def coupled(pairs: Tensor) -> Tensor:
    """Return ``[n, k]`` probabilities of ``[n, k, k]``: how likely ``i`` is against ``j``."""
    with torch.no_grad():
        value = _iterated(pairs)
    minimum = _minimum(pairs)
    return value + (minimum - minimum.detach())


def _quadratic(pairs: Tensor) -> Tensor:
    """Return ``[n, k, k]`` with sums of squares on the diagonal, as ONNX Runtime adds them."""
    flipped = pairs.transpose(1, 2)
    classes = pairs.shape[1]
    off = 1 - torch.eye(classes, dtype=pairs.dtype)
    diagonal = torch.zeros(pairs.shape[:2], dtype=pairs.dtype)
    for other in range(classes):
        diagonal = diagonal + off[other] * flipped[:, :, other] ** 2
    return -pairs * flipped * off + torch.diag_embed(diagonal)


def _minimum(pairs: Tensor) -> Tensor:
    quadratic = _quadratic(pairs.double())
    rows, classes = pairs.shape[:2]
    ones = torch.ones(rows, classes, 1, dtype=torch.float64)
    corner = torch.zeros(rows, 1, 1, dtype=torch.float64)
    upper = torch.cat([quadratic, ones], 2)
    lower = torch.cat([ones.transpose(1, 2), corner], 2)
    wanted = torch.zeros(rows, classes + 1, dtype=torch.float64)
    wanted[:, -1] = 1
    solved: Tensor = torch.linalg.solve(torch.cat([upper, lower], 1), wanted)
    return solved[:, :classes].to(pairs.dtype)


def _iterated(pairs: Tensor) -> Tensor:
    quadratic = _quadratic(pairs)
    rows, classes = pairs.shape[:2]
    found = torch.full((rows, classes), 1.0 / classes, dtype=pairs.dtype)
    moving = torch.arange(rows)
    for _ in range(MOST_LOOPS):
        part, p = quadratic[moving], found[moving]
        product, total = _products(part, p)
        off = (product - total[:, None]).abs().amax(1)
        keep = off >= TOLERANCE / classes
        if not bool(keep.any()):
            break
        moving = moving[keep]
        found[moving] = _swept(part[keep], p[keep], product[keep], total[keep])
    return found


def _products(quadratic: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``Q p`` and ``p' Q p``, added from the first class on as ONNX Runtime does."""
    product = torch.zeros_like(p)
    total = torch.zeros_like(p[:, 0])
    for at in range(p.shape[1]):
        product = product + quadratic[:, :, at] * p[:, at : at + 1]
    for at in range(p.shape[1]):
        total = total + p[:, at] * product[:, at]
    return product, total


def _swept(quadratic: Tensor, p: Tensor, product: Tensor, total: Tensor) -> Tensor:
    """Move one class after the other."""
    for at in range(p.shape[1]):
        own = quadratic[:, at, at]
        step = (-product[:, at] + total) / own
        p = p.clone()
        p[:, at] += step
        total = (total + step * (step * own + 2 * product[:, at])) / (1 + step) / (1 + step)
        scale = (1 + step)[:, None]
        product = (product + step[:, None] * quadratic[:, at]) / scale
        p = p / scale
    return p
