"""A forest as a differentiable function: exact sums of votes, smooth slopes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from auditor.twins.operators.trees_reading import Trees
from auditor.twins.operators.trees_slopes import Grove, make_groves
from auditor.twins.operators.trees_walking import Walk, make_walk

ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees whose votes are summed; only the first ``columns`` of a row are asked for."""

    walk: Walk
    groves: tuple[Grove, ...]
    columns: int

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``[n, targets]`` sums, and which of them got a vote at all."""
        sums, voted = _Sums.apply(x, self)  # type: ignore[no-untyped-call]  # as torch has it
        return sums, voted

    def slope(self, x: Tensor, pulled: Tensor) -> Tensor:
        """Return the ``[n, features]`` slopes of ``sum(pulled * sums)``."""
        found = torch.zeros_like(x)
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            values = x[rows, : self.columns].t().to(torch.float32).contiguous()
            wanted = pulled[rows].to(torch.float32).t().contiguous()
            total = torch.zeros_like(values)
            for grove in self.groves:
                total += grove.slope(values, wanted)
            found[rows, : self.columns] = total.t()
        return found


def make_forest(trees: Trees, targets: int) -> Forest:
    """Return trees ready to run. Raises ``ValueError`` where they are broken."""
    columns = int(trees.questions.feature.max(initial=0)) + 1
    groves = make_groves(trees, targets, columns)
    depth = max(len(grove.levels) for grove in groves) - 1
    return Forest(make_walk(trees, targets, depth), groves, columns)


class _Sums(torch.autograd.Function):
    """Sums of votes: forward as the trees stand, backward as if each node were a sigmoid."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forest: Forest) -> tuple[Tensor, Tensor]:  # noqa: ANN401 -- torch's own context
        leaves = forest.walk.leaves(x)
        ctx.save_for_backward(x)
        ctx.forest = forest
        sums, voted = forest.walk.votes(leaves), forest.walk.voted(leaves)
        ctx.mark_non_differentiable(voted)
        return sums, voted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pulled: Tensor, _: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 -- torch's own context
        (x,) = ctx.saved_tensors
        return ctx.forest.slope(x, pulled), None
