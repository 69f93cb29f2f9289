"""Rows walking down trees: which leaf each reaches, and what the leaves' votes add up to."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from auditor.twins.operators.trees_reading import Trees


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Trees as tensors, for rows that go one way at each node."""

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    children: Tensor
    nan_yes: Tensor
    asks_set: Tensor
    members: Tensor
    target: Tensor
    weight: Tensor
    covers: Tensor
    depth: int
    targets: int

    def leaves(self, x: Tensor) -> Tensor:
        """Return ``[n, trees]`` leaves, by comparisons as exact as the thresholds are."""
        at = self.roots.expand(len(x), -1)
        wide = x.to(torch.promote_types(x.dtype, self.threshold.dtype))
        holes = bool(torch.isnan(wide).any())
        for _ in range(self.depth):
            value = wide.gather(1, self.feature[at])
            yes = value <= self.threshold[at]
            if self.members.shape[1]:
                inside = (value.double().unsqueeze(-1) == self.members[at]).any(-1)
                yes = torch.where(self.asks_set[at], inside, yes)
            if holes:
                yes = torch.where(torch.isnan(value), self.nan_yes[at], yes)
            at = self.children[2 * at + yes]
        return at

    def votes(self, leaves: Tensor) -> Tensor:
        """Return ``[n, targets]`` sums of votes, added tree by tree as ONNX Runtime does."""
        sums = torch.zeros(len(leaves), self.targets, dtype=self.weight.dtype)
        for leaf in leaves.t():
            sums.scatter_add_(1, self.target[leaf], self.weight[leaf])
        return sums

    def voted(self, leaves: Tensor) -> Tensor:
        """Say ``[n, targets]`` for which targets a leaf on the way votes, be it for 0."""
        if bool(self.covers.all()):
            return torch.ones(len(leaves), self.targets, dtype=torch.bool)
        found = torch.zeros(len(leaves), self.targets, dtype=torch.bool)
        for leaf in leaves.t():
            found |= self.covers[leaf]
        return found


def make_walk(trees: Trees, targets: int, depth: int) -> Walk:
    """Return trees ready to be walked. Raises ``ValueError`` for a vote for no target."""
    asked, votes = trees.questions, trees.votes
    outside = (votes.target < 0) | (votes.target >= targets)
    if outside[votes.given].any():
        message = f"a leaf votes for a target that is none of the {targets}"
        raise ValueError(message)
    covers = np.zeros((len(asked.leaf), targets), dtype=np.bool_)
    rows, columns = np.nonzero(votes.given)
    covers[rows, votes.target[rows, columns]] = True
    covers[~asked.leaf] = covers[asked.leaf].all(axis=0)
    return Walk(
        roots=torch.from_numpy(trees.roots),
        feature=torch.from_numpy(asked.feature),
        threshold=torch.from_numpy(asked.threshold),
        children=torch.from_numpy(np.stack([asked.no, asked.yes], axis=1).reshape(-1)),
        nan_yes=torch.from_numpy(asked.nan_yes),
        asks_set=torch.from_numpy(asked.asks_set),
        members=torch.from_numpy(asked.members),
        target=torch.from_numpy(votes.target),
        weight=torch.from_numpy(votes.weight),
        covers=torch.from_numpy(covers),
        depth=depth,
        targets=targets,
    )
