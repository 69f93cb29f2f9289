"""How ONNX Runtime makes two scores out of a forest's votes for two classes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.learning_scores import transformed
from auditor.twins.operators.trees_reading import reals


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The rules for two classes, where leaves may vote for one of them alone.

    ``one_sided``: all votes go to one class. ``shares``: and none of them is negative, so that a
    sum is a share of votes, decided at a half; else it is a margin, decided at 0.
    """

    base: Tensor
    transform: str
    one_sided: bool
    shares: bool

    @staticmethod
    def of(attributes: Attributes, base: Tensor, transform: str) -> "Sides":
        """Read the rules off a classifier's attributes.

        Raises ``ValueError`` where ONNX Runtime leaves one of the two scores unset.
        """
        weights = reals(attributes, "class_weights")
        one_sided = len(set(attributes.integers("class_ids"))) == 1
        if transform == "PROBIT" and one_sided and len(base) < 2:  # noqa: PLR2004 -- one a class
            message = "ONNX Runtime makes no second score out of one PROBIT"
            raise ValueError(message)
        return Sides(base, transform, one_sided, bool((weights >= 0).all()))

    def scores(self, sums: Tensor, voted: Tensor, *, logarithm: bool) -> tuple[Tensor, Tensor]:
        """Return the better class's place and ``[n, 2]`` scores of ``[n, 2]`` sums.

        A class without a vote has the score 0, whatever its base value.
        """
        second = voted[:, 1:]
        pair = torch.where(voted, self._pair(sums, second), 0.0)
        both = transformed(pair, self.transform, logarithm=logarithm)
        decisive = torch.where(second, pair[:, 1:], pair[:, :1])[:, 0]
        if len(self.base) < 2:  # noqa: PLR2004 -- one a class
            both = torch.where(second, both, self._single(pair[:, :1], logarithm=logarithm))
        border = 0.5 if self.one_sided and self.shares else 0.0
        return (decisive > border).to(torch.int64), both

    def _pair(self, sums: Tensor, second: Tensor) -> Tensor:
        if len(self.base) == 2:  # noqa: PLR2004 -- one a class
            # Where the second class has votes, the first one's are its margin.
            margin = self.base[1] + sums[:, :1]
            return torch.where(second, torch.cat([-margin, margin], 1), sums + self.base)
        if len(self.base) == 1:
            return torch.cat([sums[:, :1] + self.base, sums[:, 1:]], 1)
        return sums

    def _single(self, margin: Tensor, *, logarithm: bool) -> Tensor:
        if self.transform == "LOGISTIC" or not (self.one_sided and self.shares):
            pair = torch.cat([-margin, margin], 1)
            transform = self.transform if self.transform == "LOGISTIC" else "NONE"
            return transformed(pair, transform, logarithm=logarithm)
        return transformed(torch.cat([1 - margin, margin], 1), "NONE", logarithm=logarithm)
