"""Attacks by name, as a policy writes them: ``margin:100`` or ``targeted:50x3``."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from auditor.attacks.apgd import Apgd
from auditor.attacks.apgd_l1 import SparseApgd
from auditor.attacks.asking import Attack, Source
from auditor.attacks.decision_l2 import SurFree
from auditor.attacks.exchanging import Exchanges
from auditor.attacks.fab import Fab
from auditor.attacks.fmn import FastMinimumNorm
from auditor.attacks.nes import Nes
from auditor.attacks.norms import Norm
from auditor.attacks.patches_ascent import SlopedPatch
from auditor.attacks.patches_search import RandomPatch
from auditor.attacks.rays import RayS
from auditor.attacks.sigma_zero import SigmaZero
from auditor.attacks.sparse_rs import SparseRs
from auditor.attacks.square import Square
from auditor.attacks.square_l2 import SquareL2
from auditor.errors import PolicyError

Make = Callable[[int, int, Norm], tuple[Attack, ...]]
"""From steps (or queries), a count and a norm to attacks."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A family of attacks: the norms that it works in, and how it is made."""

    norms: frozenset[Norm]
    make: Make


@dataclass(frozen=True, slots=True)
class Suite:
    """What is thrown at the rows: ``minimal`` attacks once, in the widest ball, then ``bounded``
    ones at each budget. Rows that an attack breaks are left out of the next.
    """

    bounded: tuple[Attack, ...]
    minimal: tuple[Attack, ...] = ()

    @property
    def names(self) -> list[str]:
        """The attacks in their order."""
        return [attack.name for attack in (*self.minimal, *self.bounded)]

    @property
    def asks_the_twin(self) -> bool:
        """Whether any of them needs gradients."""
        return any(item.source is Source.TWIN for item in (*self.minimal, *self.bounded))

    def ticks(self, budgets: int) -> int:
        """Return how many questions are asked at most."""
        once = sum(attack.rounds for attack in self.minimal)
        return once + budgets * sum(attack.rounds for attack in self.bounded)

    def queries(self, budgets: int) -> int:
        """Return how often a row is scored on the target at most."""
        once = sum(attack.queries for attack in self.minimal)
        return once + budgets * sum(attack.queries for attack in self.bounded)

    def passes(self, budgets: int) -> int:
        """Return how many gradients of the twin a row costs at most."""
        once = sum(attack.passes for attack in self.minimal)
        return once + budgets * sum(attack.passes for attack in self.bounded)


def suite(stages: tuple[str, ...], norm: Norm) -> Suite:
    """Return the attacks that ``stages`` name, in their order.

    A stage is ``NAME:STEPS`` or ``NAME:STEPSxCOUNT``. Raises ``PolicyError`` that lists the names
    for this norm.
    """
    attacks = _without_repeats(attack for stage in stages for attack in _stage(stage, norm))
    if not attacks:
        raise PolicyError("an attack has no stages", cure=f"Give at least one of {_known(norm)}.")
    minimal = tuple(attack for attack in attacks if attack.minimises)
    return Suite(tuple(attack for attack in attacks if not attack.minimises), minimal)


def _stage(text: str, norm: Norm) -> tuple[Attack, ...]:
    found = re.fullmatch(r"([a-z0-9_]+):([1-9]\d*)(?:x([1-9]\d*))?", text)
    kind = KINDS.get(found[1]) if found else None
    if found is None or kind is None or norm not in kind.norms:
        raise PolicyError(
            f"the stage {text!r} names no attack in the norm {norm.value}",
            cure=f"Write NAME:STEPS or NAME:STEPSxCOUNT with a name of {_known(norm)}.",
        )
    return kind.make(int(found[2]), int(found[3] or 1), norm)


def _without_repeats(attacks: Iterable[Attack]) -> list[Attack]:
    """Tell climbs towards the likeliest class how far others climbed away from the label before."""
    told, climbed = [], 0
    for attack in attacks:
        one = attack
        if isinstance(attack, Apgd | SparseApgd):
            if attack.rank == 1:
                one = replace(attack, climbed=climbed)
            climbed = max(climbed, attack.steps if attack.rank <= 1 else 0)
        told.append(one)
    return told


def _known(norm: Norm) -> str:
    return ", ".join(sorted(name for name, kind in KINDS.items() if norm in kind.norms))


def _climbs(loss: str) -> Make:
    def make(steps: int, count: int, norm: Norm) -> tuple[Attack, ...]:
        return (_climb(steps, norm, loss),) * count

    return make


def _climb(steps: int, norm: Norm, loss: str, rank: int = 0) -> Attack:
    return (SparseApgd if norm is Norm.L1 else Apgd)(steps, loss, rank)


def _targeted(steps: int, count: int, norm: Norm) -> tuple[Attack, ...]:
    return tuple(_climb(steps, norm, "difference", rank) for rank in range(1, count + 1))


def _square(queries: int, count: int, norm: Norm) -> tuple[Attack, ...]:
    return (Square(queries) if norm is Norm.LINF else SquareL2(queries),) * count


def _nes(steps: int, pairs: int, _: Norm) -> tuple[Attack, ...]:
    return (Nes(steps, pairs),)


def _rays(decisions: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return tuple(RayS(decisions, fresh=index > 0) for index in range(count))


def _surfree(decisions: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return (SurFree(decisions),) * count


def _sparse_rs(queries: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return (SparseRs(queries),) * count


def _patch_search(queries: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return (RandomPatch(queries),) * count


def _patch_ascent(steps: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return tuple(SlopedPatch(steps, rank) for rank in range(count))


def _minimum_norm(steps: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return (FastMinimumNorm(steps, count),)


def _fab(steps: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return (Fab(steps, count),)


def _sigma_zero(steps: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return (SigmaZero(steps, count),)


def _exchange(steps: int, count: int, _: Norm) -> tuple[Attack, ...]:
    return (Exchanges(steps),) * count


_ASCENTS = frozenset({Norm.LINF, Norm.L2, Norm.L1})
KINDS: Mapping[str, Kind] = {
    "cross_entropy": Kind(_ASCENTS, _climbs("cross_entropy")),
    "margin": Kind(_ASCENTS, _climbs("margin")),
    "dlr": Kind(_ASCENTS, _climbs("dlr")),
    "targeted": Kind(_ASCENTS, _targeted),
    "fmn": Kind(frozenset(Norm), _minimum_norm),
    "fab": Kind(_ASCENTS, _fab),
    "sigma_zero": Kind(frozenset({Norm.L0}), _sigma_zero),
    "exchange": Kind(frozenset({Norm.L0}), _exchange),
    "square": Kind(frozenset({Norm.LINF, Norm.L2}), _square),
    "nes": Kind(frozenset({Norm.LINF, Norm.L2}), _nes),
    "rays": Kind(frozenset({Norm.LINF}), _rays),
    "surfree": Kind(frozenset({Norm.L2}), _surfree),
    "sparse_rs": Kind(frozenset({Norm.L0}), _sparse_rs),
    "patch_search": Kind(frozenset({Norm.L0}), _patch_search),
    "patch_ascent": Kind(frozenset({Norm.L0}), _patch_ascent),
}
"""Every stage's name. ``dlr`` needs three classes or more."""
