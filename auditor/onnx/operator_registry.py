"""Registry of the ONNX operators that a twin supports, chosen by opset."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeAlias, TypeVar

import torch

from auditor.errors import TwinError
from auditor.onnx import operators
from auditor.onnx.graph import STANDARD_DOMAIN, GraphNode, NodeAttributes

Value: TypeAlias = torch.Tensor | list[torch.Tensor] | None
"""A tensor, a sequence of tensors, or an optional that holds nothing."""
Outputs: TypeAlias = Value | tuple[Value, ...]


class TorchOperator(Protocol):
    """Computes a node's outputs from its attributes and its inputs, absent ones as ``None``."""

    def __call__(self, attributes: NodeAttributes, /, *inputs: torch.Tensor) -> Outputs:
        """Apply the operator."""
        ...


@dataclass(frozen=True, slots=True)
class OperatorClaim:
    """A function implements ``name`` of ``domain`` from opset ``since`` on."""

    domain: str
    name: str
    since: int


@dataclass(frozen=True, slots=True)
class PreparedOperator:
    """Makes an operator out of a node's attributes, once a node: for large tables, as of trees."""

    make: Callable[[NodeAttributes], Callable[..., Outputs]]

    def __call__(self, attributes: NodeAttributes, /, *inputs: torch.Tensor) -> Outputs:
        """Apply the operator to inputs, made for this once."""
        return self.make(attributes)(*inputs)

    def once(self, node: GraphNode) -> TorchOperator:
        """Return the operator of ``node``. Raises ``TwinError`` where its attributes contradict."""
        try:
            made = self.make(node.attributes)
        except (ValueError, IndexError, KeyError, TypeError, RuntimeError) as mistake:
            raise TwinError(
                f"the operator {node.label} cannot be read: {mistake}",
                cure="Attack the target directly (evasion.linf_query), or export without it.",
            ) from mistake

        def apply(_: NodeAttributes, /, *inputs: torch.Tensor) -> Outputs:
            return made(*inputs)

        return apply


F = TypeVar("F", bound=Callable[..., Outputs])
P = TypeVar("P", bound=Callable[[NodeAttributes], Callable[..., Outputs]])
_CLAIMS: dict[OperatorClaim, Callable[..., Outputs]] = {}


def register_operator(
    name: str, *, domain: str = STANDARD_DOMAIN, since: int = 1
) -> Callable[[F], F]:
    """Mark a function as an operator's meaning from opset ``since`` on, until a later claim."""

    def claim(function: F) -> F:
        key = OperatorClaim(domain, name, since)
        if key in _CLAIMS:
            message = f"{key} is claimed twice"
            raise ValueError(message)
        _CLAIMS[key] = function
        return function

    return claim


def register_prepared(
    name: str, *, domain: str = STANDARD_DOMAIN, since: int = 1
) -> Callable[[P], P]:
    """Mark a function that takes a node's attributes once and returns a function of its inputs."""

    def claim(make: P) -> P:
        register_operator(name, domain=domain, since=since)(PreparedOperator(make))
        return make

    return claim


@cache
def list_operators() -> dict[OperatorClaim, Callable[..., Outputs]]:
    """Return every operator that the modules under ``operators`` claim."""
    for module in pkgutil.iter_modules(operators.__path__, operators.__name__ + "."):
        importlib.import_module(module.name)
    return dict(_CLAIMS)


def find_operator(node: GraphNode) -> TorchOperator:
    """Return what ``node`` means in its opset, prepared where the operator has large tables.

    Raises ``TwinError`` where we do not know it, or where its attributes contradict each other.
    """
    since = [
        claim
        for claim in list_operators()
        if (claim.domain, claim.name) == (node.domain, node.operator) and claim.since <= node.opset
    ]
    if not since:
        raise TwinError(
            f"the operator {node.label} has no differentiable form here",
            cure="Attack the target directly (evasion.linf_query), or export without it.",
        )
    found = list_operators()[max(since, key=lambda claim: claim.since)]
    return found.once(node) if isinstance(found, PreparedOperator) else found
