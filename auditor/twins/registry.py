"""The operators that a twin knows: found by walking ``operators``, chosen by opset."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeAlias, TypeVar

import torch

from auditor.errors import TwinError
from auditor.twins import operators
from auditor.twins.graphs import STANDARD, Attributes, Node

Outputs: TypeAlias = torch.Tensor | tuple[torch.Tensor, ...]


class Operator(Protocol):
    """Computes a node's outputs from its attributes and its inputs, absent ones as ``None``."""

    def __call__(self, attributes: Attributes, /, *inputs: torch.Tensor) -> Outputs:
        """Apply the operator."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A function implements ``name`` of ``domain`` from opset ``since`` on."""

    domain: str
    name: str
    since: int


F = TypeVar("F", bound=Callable[..., Outputs])
_CLAIMS: dict[Claim, Callable[..., Outputs]] = {}


def operator(name: str, *, domain: str = STANDARD, since: int = 1) -> Callable[[F], F]:
    """Mark a function as an operator's meaning from opset ``since`` on, until a later claim."""

    def claim(function: F) -> F:
        key = Claim(domain, name, since)
        if key in _CLAIMS:
            message = f"{key} is claimed twice"
            raise ValueError(message)
        _CLAIMS[key] = function
        return function

    return claim


@cache
def known() -> dict[Claim, Callable[..., Outputs]]:
    """Return every operator that the modules under ``operators`` claim."""
    for module in pkgutil.iter_modules(operators.__path__, operators.__name__ + "."):
        importlib.import_module(module.name)
    return dict(_CLAIMS)


def find(node: Node) -> Operator:
    """Return what ``node`` means in its opset. Raises ``TwinError`` where we do not know it."""
    since = [
        claim
        for claim in known()
        if (claim.domain, claim.name) == (node.domain, node.operator) and claim.since <= node.opset
    ]
    if not since:
        raise TwinError(
            f"the operator {node.label} has no differentiable form here",
            cure="Attack the target directly (evasion.linf_query), or export without it.",
        )
    return known()[max(since, key=lambda claim: claim.since)]
