"""Whether an attack shows a leak, shows none that it could have seen, or does not count."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.conclusions import NOT_SEEN, OPEN, SHOWN, WEAK
from auditor.domain.readings import Astray
from auditor.domain.tasks import Floats
from auditor.exposing.attacks import ATTACKS
from auditor.exposing.gates import FPR, HIDING, Area, Gate, area, neither, one_sided, tail
from auditor.exposing.gates import LEVEL as GATE
from auditor.exposing.thresholds import Cut, area_of, cut, rank_test, smallest_auc, smallest_tpr
from auditor.exposing.witnesses import Attack, Witness
from auditor.stats.losses import CURE

LEVEL = 0.001
"""The chance that a clean audit is said to leak, all its attacks together."""
TESTS = 2
"""Tests of each attack: of ranks, and of the rows above a limit."""
BEYOND = 0.95
SAW_NEITHER = "models that saw neither"
ONE_SIDED = "models of training data alone that saw neither, as where labels drifted"
_TOO_FEW = (
    f"too few rows: even an advantage of {WEAK} (an area of {area_of(WEAK):.2f}) could be missed"
)
_EXPLAINED = (
    "chance does not explain the scores, but the attack does not do better than on models that saw "
    "neither"
)
_SATURATED = (
    "the model gives many rows probabilities of 0 and 1 alone, so that it may leak "
    f"more than is seen; {CURE}"
)


class Said(StrEnum):
    """What may be said of a leak."""

    SHOWN = SHOWN
    NO_EVIDENCE = NOT_SEEN
    INCONCLUSIVE = OPEN


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
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
    cut: Cut
    area: Area
    tail: Area
    unseen: Gate | None
    sided: Gate | None
    blind: Area
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
        found = _reasons(self.unseen, self.sided, self.blind) + (_SATURATED,) * self.saturated
        return (*found, _EXPLAINED) if self.found and not self.beyond else found

    @property
    def weak(self) -> bool:
        """Whether its tests would not even see a leak that nobody could miss."""
        members = self.cut.members
        return smallest_auc(members, len(self.member) - members, self.level) > area_of(WEAK)

    @property
    def said(self) -> Said:
        """What may be said by this attack."""
        if self.found and self.beyond and not self.gated:
            return Said.SHOWN
        return Said.INCONCLUSIVE if self.reasons or self.weak else Said.NO_EVIDENCE

    @property
    def doubted(self) -> bool:
        """Whether the figures rest on a gate that failed."""
        return self.said is Said.INCONCLUSIVE and bool(self.reasons)

    @property
    def astray(self) -> Astray | None:
        """On which side of the truth the figures may lie, by the gates that failed."""
        if not self.doubted:
            return None
        gates = (self.unseen, self.sided)
        hides = any(gate is not None and gate.area.lowered for gate in gates)
        if not (hides or self.saturated):
            return Astray.TOO_HIGH
        return Astray.EITHER if self.gated or self.found else Astray.TOO_LOW

    @property
    def reason(self) -> str:
        """Why nothing can be said by this attack; empty where something can."""
        too_few = (_TOO_FEW,) if self.weak else ()
        return "; ".join((*self.reasons, *too_few)) if self.said is Said.INCONCLUSIVE else ""

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

    def _gate(self, gate: Gate | None, alone: str, beyond: str) -> dict[str, Json]:
        if gate is None:
            return {alone: None, beyond: None}
        return {alone: gate.area.to_json(), beyond: list(self.area.beyond(gate.area, BEYOND))}


def examine(witness: Witness, attack: Attack, looks: int | None = None) -> Finding:
    """Make one attack on what was seen, and judge it by its gates and tests.

    ``looks`` is how many attacks share the level; all that the witness allows, if left out.
    """
    name, kind = attack
    shadows = witness.shadows(kind)
    scores = ATTACKS[name](witness.target, shadows)
    own = witness.one_sided(kind)
    return Finding(
        attack,
        scores,
        witness.member,
        rank_test(scores, witness.member),
        cut(scores, witness.member, FPR),
        area(scores, witness.member),
        tail(scores, witness.member),
        neither(name, shadows, witness.member),
        None if own is None else one_sided(name, own, shadows, witness.member),
        witness.blind,
        LEVEL / (TESTS * (looks or len(witness.attacks))),
        witness.temperature,
        witness.saturated,
    )


def overall(findings: tuple[Finding, ...]) -> Said:
    """Fold what attacks say: one leak that counts is a leak; else the strongest attack speaks, the
    last, whose own gates say whether its silence counts.
    """
    if any(finding.said is Said.SHOWN for finding in findings):
        return Said.SHOWN
    return findings[-1].said


def power(finding: Finding) -> dict[str, Json]:
    """Return the smallest leaks that the tests would have seen nineteen times in twenty."""
    members, others = finding.cut.members, len(finding.member) - finding.cut.members
    return {
        "smallest_auc": smallest_auc(members, others, finding.level),
        "smallest_tpr_at_fpr_0_01": smallest_tpr(members, finding.cut.judged, FPR, finding.level),
        "chance": 0.95,
        "auc_that_must_be_seen": area_of(WEAK),
    }


def at_risk(finding: Finding, count: int) -> NDArray[np.int64]:
    """Return the members that lie above the limit, the most exposed first."""
    order = np.argsort(-finding.scores, kind="stable")
    exposed = finding.member[order] & (finding.scores[order] > finding.cut.at)
    return order[exposed][:count].astype(np.int64)


def _reasons(unseen: Gate | None, sided: Gate | None, blind: Area) -> tuple[str, ...]:
    found = []
    if blind.raised:
        found.append(
            "a classifier that asks no model tells members from non-members (area "
            f"{_ends(blind)}), so that they are not of one kind"
        )
    for gate, models in ((unseen, SAW_NEITHER), (sided, ONE_SIDED)):
        if gate is None:
            found.append(f"there are no {models}")
        elif gate.area.raised or gate.area.lowered:
            way = "tells members from" if gate.area.raised else "ranks members below"
            level = GATE if gate.area.raised else HIDING
            found.append(
                f"the attack {way} non-members on {models} (area {_ends(gate.area, level)})"
            )
    return tuple(found)


def _ends(found: Area, level: float = GATE) -> str:
    low, high = found.ends(level)
    return f"{low:.3f} to {high:.3f}"
