"""Attacks by name, as a policy writes them: ``margin:100`` or ``targeted:50x3``."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_protocol import AttackFeedback, EvasionAttack
from auditor.attacks.evasion.fab import FastAdaptiveBoundary
from auditor.attacks.evasion.minimum_norm import FastMinimumNorm, SigmaZero, SparseExchange
from auditor.attacks.evasion.nes import NesAttack
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.patches import GradientPatch, RandomPatch
from auditor.attacks.evasion.rays_attack import RayS
from auditor.attacks.evasion.sparse_rs import SparseRs
from auditor.attacks.evasion.square import SquareAttack
from auditor.attacks.evasion.surfree import SurFree
from auditor.errors import PolicyError

Make = Callable[[int, int, Norm], tuple[EvasionAttack, ...]]
"""From steps (or queries), a count and a norm to attacks."""


@dataclass(frozen=True, slots=True)
class AttackKind:
    """A family of attacks: the norms that it works in, and how it is made."""

    norms: frozenset[Norm]
    make: Make


@dataclass(frozen=True, slots=True)
class AttackSuite:
    """What is thrown at the rows: ``minimal`` attacks once, in the widest ball, then ``bounded``
    ones at each budget. Rows that an attack breaks are left out of the next.
    """

    bounded: tuple[EvasionAttack, ...]
    minimal: tuple[EvasionAttack, ...] = ()

    @property
    def names(self) -> list[str]:
        """The attacks in their order."""
        return [attack.name for attack in (*self.minimal, *self.bounded)]

    @property
    def asks_the_twin(self) -> bool:
        """Whether any of them needs gradients."""
        return any(item.source is AttackFeedback.TWIN for item in (*self.minimal, *self.bounded))

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


def build_suite(stages: tuple[str, ...], norm: Norm) -> AttackSuite:
    """Return the attacks that ``stages`` name, in their order.

    A stage is ``NAME:STEPS`` or ``NAME:STEPSxCOUNT``. Raises ``PolicyError`` that lists the names
    for this norm.
    """
    attacks = _without_repeats(attack for stage in stages for attack in _stage(stage, norm))
    if not attacks:
        raise PolicyError("an attack has no stages", cure=f"Give at least one of {_known(norm)}.")
    minimal = tuple(attack for attack in attacks if attack.minimises)
    return AttackSuite(tuple(attack for attack in attacks if not attack.minimises), minimal)


def _stage(text: str, norm: Norm) -> tuple[EvasionAttack, ...]:
    found = re.fullmatch(r"([a-z0-9_]+):([1-9]\d*)(?:x([1-9]\d*))?", text)
    kind = KINDS.get(found[1]) if found else None
    if found is None or kind is None or norm not in kind.norms:
        raise PolicyError(
            f"the stage {text!r} names no attack in the norm {norm.value}",
            cure=f"Write NAME:STEPS or NAME:STEPSxCOUNT with a name of {_known(norm)}.",
        )
    return kind.make(int(found[2]), int(found[3] or 1), norm)


def _without_repeats(attacks: Iterable[EvasionAttack]) -> list[EvasionAttack]:
    """Tell climbs towards the likeliest class how far others climbed away from the label before."""
    told, climbed = [], 0
    for attack in attacks:
        one = attack
        if isinstance(attack, AutoPgd):
            if attack.rank == 1:
                one = replace(attack, climbed=climbed)
            climbed = max(climbed, attack.steps if attack.rank <= 1 else 0)
        told.append(one)
    return told


def _known(norm: Norm) -> str:
    return ", ".join(sorted(name for name, kind in KINDS.items() if norm in kind.norms))


def _climbs(loss: str) -> Make:
    def make(steps: int, count: int, norm: Norm) -> tuple[EvasionAttack, ...]:
        return (build_climb(steps, norm, loss),) * count

    return make


def build_climb(
    steps: int, norm: Norm, loss: str = "cross_entropy", rank: int = 0
) -> EvasionAttack:
    """Return an ascent in one of the norms that are ``CLIMBED``."""
    return AutoPgd(steps, loss, rank, sparse=norm is Norm.L1)


CLIMBED = frozenset({Norm.LINF, Norm.L2, Norm.L1})
"""Norms in which a gradient is followed step by step."""
KINDS: Mapping[str, AttackKind] = {
    "cross_entropy": AttackKind(CLIMBED, _climbs("cross_entropy")),
    "margin": AttackKind(CLIMBED, _climbs("margin")),
    "dlr": AttackKind(CLIMBED, _climbs("dlr")),
    "targeted": AttackKind(
        CLIMBED,
        lambda steps, count, norm: tuple(
            build_climb(steps, norm, "difference", rank) for rank in range(1, count + 1)
        ),
    ),
    "fmn": AttackKind(frozenset(Norm), lambda steps, count, _: (FastMinimumNorm(steps, count),)),
    "fab": AttackKind(CLIMBED, lambda steps, count, _: (FastAdaptiveBoundary(steps, count),)),
    "sigma_zero": AttackKind(
        frozenset({Norm.L0}), lambda steps, count, _: (SigmaZero(steps, count),)
    ),
    "exchange": AttackKind(
        frozenset({Norm.L0}), lambda steps, count, _: (SparseExchange(steps),) * count
    ),
    "square": AttackKind(
        frozenset({Norm.LINF, Norm.L2}),
        lambda queries, count, norm: (
            (SquareAttack(queries, euclidean=norm is not Norm.LINF),) * count
        ),
    ),
    "nes": AttackKind(
        frozenset({Norm.LINF, Norm.L2}), lambda steps, pairs, _: (NesAttack(steps, pairs),)
    ),
    "rays": AttackKind(
        frozenset({Norm.LINF}),
        lambda decisions, count, _: tuple(
            RayS(decisions, fresh=index > 0) for index in range(count)
        ),
    ),
    "surfree": AttackKind(
        frozenset({Norm.L2}), lambda decisions, count, _: (SurFree(decisions),) * count
    ),
    "sparse_rs": AttackKind(
        frozenset({Norm.L0}), lambda queries, count, _: (SparseRs(queries),) * count
    ),
    "patch_search": AttackKind(
        frozenset({Norm.L0}), lambda queries, count, _: (RandomPatch(queries),) * count
    ),
    "patch_ascent": AttackKind(
        frozenset({Norm.L0}),
        lambda steps, count, _: tuple(GradientPatch(steps, rank) for rank in range(count)),
    ),
}
"""Every stage's name. ``dlr`` needs three classes or more."""
