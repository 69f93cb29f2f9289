"""Verdicts on membership inference: a leak, no leak that could be seen, or no valid test."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.membership import ATTACKS
from auditor.attacks.privacy.membership_evidence import Attack, MembershipEvidence
from auditor.attacks.privacy.membership_statistics import (
    FPR,
    HIDING,
    AttackAuc,
    NegativeControl,
    ThresholdTest,
    apply_threshold,
    attack_auc,
    auc_of_advantage,
    one_sided_control,
    rank_test,
    smallest_detectable_auc,
    smallest_detectable_tpr,
    tail_advantage,
    unseen_control,
)
from auditor.attacks.privacy.membership_statistics import LEVEL as GATE
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, WEAK
from auditor.domain.json import Json
from auditor.domain.readings import BiasDirection
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import CURE

LEAK_LEVEL = 0.001
"""The chance that a clean audit is said to leak, all its attacks together."""
TESTS = 2
"""Tests of each attack: of ranks, and of the rows above a limit."""
BEYOND = 0.95
SAW_NEITHER = "models that saw neither"
ONE_SIDED = "models of training data alone that saw neither, as where labels drifted"
_TOO_FEW = (
    f"too few rows: even an advantage of {WEAK} (an area of {auc_of_advantage(WEAK):.2f}) could "
    "be missed"
)
_EXPLAINED = (
    "chance does not explain the scores, but the attack does not do better than on models that saw "
    "neither"
)
_SATURATED = (
    "the model gives many rows probabilities of 0 and 1 alone, so that it may leak "
    f"more than is seen; {CURE}"
)


class LeakVerdict(StrEnum):
    """What may be said of a leak."""

    SHOWN = SHOWN
    NO_EVIDENCE = NOT_SEEN
    INCONCLUSIVE = OPEN


@dataclass(frozen=True, slots=True, eq=False)
class MembershipFinding:
    """One attack: its scores ``[n]``, and what the gates and the tests make of them.

    ``ranks`` and ``cut`` test whether members score higher by chance; ``unseen`` is what the same
    attack finds on models that saw neither kind of rows, ``sided`` on models that learnt from
    training data alone and saw neither the members nor the non-members. What ``ranks`` finds has to
    be more than they do by ``area``, what ``cut`` alone finds also by ``tail``. Scores were read at
    a ``temperature``; of ``saturated`` ones another attacker may make more.
    """

    attack: Attack
    scores: Floats
    member: NDArray[np.bool_]
    ranks: float
    cut: ThresholdTest
    area: AttackAuc
    tail: AttackAuc
    unseen: NegativeControl | None
    sided: NegativeControl | None
    blind: AttackAuc
    level: float
    temperature: float = 1.0
    saturated: bool = False

    @property
    def found(self) -> bool:
        """Whether a test says that chance does not explain the scores."""
        return min(self.ranks, self.cut.p_value) <= self.level

    @property
    def beyond(self) -> bool:
        """Whether more is found than on each kind of models that saw none of the rows."""
        by_ranks = self.ranks <= self.level
        return all(
            gate is not None
            and self.area.beyond(gate.area, BEYOND)[1] > 0
            and (by_ranks or (not gate.tail.raised and self.tail.beyond(gate.tail, BEYOND)[1] > 0))
            for gate in (self.unseen, self.sided)
        )

    @property
    def gated(self) -> bool:
        """Whether rows are told apart by what no model has seen, as a leak would do it."""
        gates = (self.unseen, self.sided)
        return self.blind.raised or any(gate is None or gate.area.raised for gate in gates)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What keeps the attack from counting, a gate each."""
        reasons_found = []
        if self.blind.raised:
            reasons_found.append(
                "a classifier that asks no model tells members from non-members (area "
                f"{_ends(self.blind)}), so that they are not of one kind"
            )
        for gate, models in ((self.unseen, SAW_NEITHER), (self.sided, ONE_SIDED)):
            if gate is None:
                reasons_found.append(f"there are no {models}")
            elif gate.area.raised or gate.area.lowered:
                way = "tells members from" if gate.area.raised else "ranks members below"
                level = GATE if gate.area.raised else HIDING
                reasons_found.append(
                    f"the attack {way} non-members on {models} (area {_ends(gate.area, level)})"
                )
        found = tuple(reasons_found) + (_SATURATED,) * self.saturated
        return (*found, _EXPLAINED) if self.found and not self.beyond else found

    @property
    def weak(self) -> bool:
        """Whether its tests would not even see a leak that nobody could miss."""
        members = self.cut.members
        return smallest_detectable_auc(
            members, len(self.member) - members, self.level
        ) > auc_of_advantage(WEAK)

    @property
    def said(self) -> LeakVerdict:
        """What may be said by this attack."""
        if self.found and self.beyond and not self.gated:
            return LeakVerdict.SHOWN
        return LeakVerdict.INCONCLUSIVE if self.reasons or self.weak else LeakVerdict.NO_EVIDENCE

    @property
    def doubted(self) -> bool:
        """Whether the figures rest on a gate that failed."""
        return self.said is LeakVerdict.INCONCLUSIVE and bool(self.reasons)

    @property
    def astray(self) -> BiasDirection | None:
        """On which side of the truth the figures may lie, by the gates that failed."""
        if not self.doubted:
            return None
        gates = (self.unseen, self.sided)
        hides = any(gate is not None and gate.area.lowered for gate in gates)
        if not (hides or self.saturated):
            return BiasDirection.TOO_HIGH
        return BiasDirection.EITHER if self.gated or self.found else BiasDirection.TOO_LOW

    @property
    def reason(self) -> str:
        """Why nothing can be said by this attack; empty where something can."""
        too_few = (_TOO_FEW,) if self.weak else ()
        return "; ".join((*self.reasons, *too_few)) if self.said is LeakVerdict.INCONCLUSIVE else ""

    @property
    def params(self) -> dict[str, str]:
        """The coordinates of its readings."""
        return dict(zip(("attack", "shadows"), self.attack, strict=True))

    def details(self) -> dict[str, Json]:
        """Return the tests and gates in plain numbers."""
        doubt: dict[str, Json] = {"doubt": "; ".join(self.reasons)} if self.doubted else {}
        return {
            "p_ranks": self.ranks,
            "p_threshold": self.cut.p_value,
            "level": self.level,
            "blind_auc": self.blind.to_json(),
            **self._gate(self.unseen, "auc_on_models_that_saw_neither", "auc_beyond_them"),
            **self._gate(self.sided, "auc_on_models_of_one_side", "auc_beyond_those"),
            **({"temperature": self.temperature} if self.temperature != 1 else {}),
            **doubt,
        }

    def _gate(self, gate: NegativeControl | None, alone: str, beyond: str) -> dict[str, Json]:
        if gate is None:
            return {alone: None, beyond: None}
        return {alone: gate.area.to_json(), beyond: list(self.area.beyond(gate.area, BEYOND))}


def examine_attack(
    witness: MembershipEvidence, attack: Attack, looks: int | None = None
) -> MembershipFinding:
    """Make one attack on what was seen, and judge it by its gates and tests.

    ``looks`` is how many attacks share the level; all that the witness allows, if left out.
    """
    name, kind = attack
    shadows = witness.shadows(kind)
    scores = ATTACKS[name](witness.target, shadows)
    own = witness.one_sided(kind)
    return MembershipFinding(
        attack,
        scores,
        witness.member,
        rank_test(scores, witness.member),
        apply_threshold(scores, witness.member, FPR),
        attack_auc(scores, witness.member),
        tail_advantage(scores, witness.member),
        unseen_control(name, shadows, witness.member),
        None if own is None else one_sided_control(name, own, shadows, witness.member),
        witness.blind,
        LEAK_LEVEL / (TESTS * (looks or len(witness.attacks))),
        witness.temperature,
        witness.saturated,
    )


def overall_leak_verdict(findings: tuple[MembershipFinding, ...]) -> LeakVerdict:
    """Fold what attacks say: one leak that counts is a leak; else the strongest attack speaks, the
    last, whose own gates say whether its silence counts.
    """
    if any(finding.said is LeakVerdict.SHOWN for finding in findings):
        return LeakVerdict.SHOWN
    return findings[-1].said


def detectable_leaks(finding: MembershipFinding) -> dict[str, Json]:
    """Return the smallest leaks that the tests would have seen nineteen times in twenty."""
    members, others = finding.cut.members, len(finding.member) - finding.cut.members
    return {
        "smallest_auc": smallest_detectable_auc(members, others, finding.level),
        "smallest_tpr_at_fpr_0_01": smallest_detectable_tpr(
            members, finding.cut.judged, FPR, finding.level
        ),
        "chance": 0.95,
        "auc_that_must_be_seen": auc_of_advantage(WEAK),
    }


def most_exposed_members(finding: MembershipFinding, count: int) -> NDArray[np.int64]:
    """Return the members that lie above the limit, the most exposed first."""
    order = np.argsort(-finding.scores, kind="stable")
    exposed = finding.member[order] & (finding.scores[order] > finding.cut.at)
    return order[exposed][:count].astype(np.int64)


def _ends(found: AttackAuc, level: float = GATE) -> str:
    low, high = found.ends(level)
    return f"{low:.3f} to {high:.3f}"
