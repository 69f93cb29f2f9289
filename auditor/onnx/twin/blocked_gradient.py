"""The operator at which a twin's gradient is blocked."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from auditor.domain.tasks import Array
from auditor.onnx.twin.torch_twin import TorchProgram

SEED = 0
SHAPES = frozenset({"Shape", "Size"})
"""What they make never had a gradient to lose."""


def find_gradient_cut(program: TorchProgram, value: str, rows: Array) -> tuple[str, ...]:
    """Return the labels of the first operators that the gradient of ``value`` does not pass.

    Those are one whose results matter to ``value`` on these rows while none of its inputs does, and
    one that is given something with a gradient and makes what has none. Empty where there is no
    such operator.
    """
    given = torch.from_numpy(np.array(rows, dtype=np.float32)).requires_grad_(True)  # noqa: FBT003 -- as torch
    values = program.run({next(iter(program.graph.inputs)): given})
    # The gradient of a weighted sum of `value` in everything that flows, by identity
    scores = values[value]
    flowing = [item for held in values.values() for item in _flowing(held)]
    if not isinstance(scores, Tensor) or not scores.requires_grad:
        slopes = {}
    else:
        weights = np.random.default_rng(SEED).normal(size=tuple(scores.shape))
        slopes_found = torch.autograd.grad(
            scores, flowing, torch.from_numpy(weights).to(scores.dtype), allow_unused=True
        )
        slopes = {id(item): slope for item, slope in zip(flowing, slopes_found, strict=True)}
    found: dict[str, str] = {}
    for node in program.graph.nodes:
        into = [item for name in node.needs for item in _flowing(values.get(name))]
        out = [item for name in node.outputs for item in _flowing(values.get(name))]
        if into and not out and node.operator not in SHAPES:
            found.setdefault("hard", node.label)
        if into and _moves(out, slopes) and not _moves(into, slopes):
            found.setdefault("soft", node.label)
    return tuple(found.values())


def _flowing(value: object) -> Iterator[Tensor]:
    """Return the tensors in a value that gradients come back to."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, Tensor) and item.requires_grad:
            yield item


def _moves(tensors: list[Tensor], slopes: Mapping[int, Tensor | None]) -> bool:
    found = [slopes.get(id(item)) for item in tensors]
    return any(slope is not None and bool((slope != 0).any()) for slope in found)
