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
from auditor.twins.graphs import Attributes, Node
from auditor.twins.normalising import STANDARD

Value: TypeAlias = torch.Tensor | list[torch.Tensor] | None
"""A tensor, a sequence of tensors, or an optional that holds nothing."""
Outputs: TypeAlias = Value | tuple[Value, ...]


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


@dataclass(frozen=True, slots=True)
class Prepared:
    """Makes an operator out of a node's attributes, once a node: for large tables, as of trees."""

    make: Callable[[Attributes], Callable[..., Outputs]]

    def __call__(self, attributes: Attributes, /, *inputs: torch.Tensor) -> Outputs:
        """Apply the operator to inputs, made for this once."""
        return self.make(attributes)(*inputs)

    def once(self, node: Node) -> Operator:
        """Return the operator of ``node``. Raises ``TwinError`` where its attributes contradict."""
        try:
            made = self.make(node.attributes)
        except (ValueError, IndexError, KeyError, TypeError, RuntimeError) as mistake:
            raise TwinError(
                f"the operator {node.label} cannot be read: {mistake}",
                cure="Attack the target directly (evasion.linf_query), or export without it.",
            ) from mistake

        def apply(_: Attributes, /, *inputs: torch.Tensor) -> Outputs:
            return made(*inputs)

        return apply


F = TypeVar("F", bound=Callable[..., Outputs])
P = TypeVar("P", bound=Callable[[Attributes], Callable[..., Outputs]])
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


def prepared(name: str, *, domain: str = STANDARD, since: int = 1) -> Callable[[P], P]:
    """Mark a function that takes a node's attributes once and returns a function of its inputs."""

    def claim(make: P) -> P:
        operator(name, domain=domain, since=since)(Prepared(make))
        return make

    return claim


@cache
def known() -> dict[Claim, Callable[..., Outputs]]:
    """Return every operator that the modules under ``operators`` claim."""
    for module in pkgutil.iter_modules(operators.__path__, operators.__name__ + "."):
        importlib.import_module(module.name)
    return dict(_CLAIMS)


def find(node: Node) -> Operator:
    """Return what ``node`` means in its opset, prepared where the operator has large tables.

    Raises ``TwinError`` where we do not know it, or where its attributes contradict each other.
    """
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
    found = known()[max(since, key=lambda claim: claim.since)]
    return found.once(node) if isinstance(found, Prepared) else found
