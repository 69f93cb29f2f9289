"""Operators that draw at random. A twin refuses them: the model has no one answer for a row."""

from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator

NAMES = (
    "Bernoulli", "Multinomial",
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
)  # fmt: skip


def _claim(name: str) -> None:
    @operator(name)
    def refuse(_: Attributes, *__: Tensor) -> Tensor:
        message = "the model draws at random when it runs, so that its scores are not a function"
        raise ValueError(message)


for _name in NAMES:
    _claim(_name)
