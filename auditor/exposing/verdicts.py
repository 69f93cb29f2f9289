"""Whether an attack shows a leak, shows none that it could have seen, or does not count."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.tasks import Floats
from auditor.exposing.attacks import ATTACKS
from auditor.exposing.gates import Area, area, neither
from auditor.exposing.thresholds import Cut, cut, rank_test, smallest_auc, smallest_tpr
from auditor.exposing.witnesses import Attack, Witness

FPR = 0.01
LEVEL = 0.001
"""The chance that a clean audit is said to leak, all its attacks together."""
TESTS = 2
"""Tests of each attack: of ranks, and of the rows above a limit."""
BEYOND = 0.95


class Said(StrEnum):
    """What may be said of a leak."""

    SHOWN = "shown"
    NO_EVIDENCE = "no evidence at this power"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One attack: its scores ``[n]``, and what the gates and the tests make of them.

    ``ranks`` and ``cut`` test whether members score higher by chance; ``unseen`` is the area that
    the same attack has on models that saw neither kind of rows, ``beyond`` how much larger its
    area is on this one.
    """

    attack: Attack
    scores: Floats
    member: NDArray[np.bool_]
    ranks: float
    cut: Cut
    area: Area
    unseen: Area | None
    blind: Area
    level: float
    reasons: tuple[str, ...] = field(default=())

    @property
    def found(self) -> bool:
        """Whether a test says that chance does not explain the scores, nor other models do."""
        by_chance = min(self.ranks, self.cut.p_value) > self.level
        if by_chance or self.unseen is None:
            return False
        return self.area.beyond(self.unseen, BEYOND)[1] > 0

    @property
    def said(self) -> Said:
        """What may be said by this attack."""
        raised = self.unseen is None or self.unseen.raised or self.blind.raised
        if self.found and not raised:
            return Said.SHOWN
        return Said.INCONCLUSIVE if self.reasons else Said.NO_EVIDENCE

    @property
    def doubted(self) -> bool:
        """Whether the figures rest on a gate that failed."""
        return self.said is Said.INCONCLUSIVE

    @property
    def params(self) -> dict[str, str]:
        """The coordinates of its readings."""
        return dict(zip(("attack", "shadows"), self.attack, strict=True))

    def details(self) -> dict[str, Json]:
        """Return the tests and gates in plain numbers."""
        unseen = None if self.unseen is None else self.unseen.to_json()
        beyond = None if self.unseen is None else list(self.area.beyond(self.unseen, BEYOND))
        doubt: dict[str, Json] = {"doubt": "; ".join(self.reasons)} if self.doubted else {}
        return {
            "p_ranks": self.ranks,
            "p_threshold": self.cut.p_value,
            "level": self.level,
            "blind_auc": self.blind.to_json(),
            "auc_on_models_that_saw_neither": unseen,
            "auc_beyond_them": beyond,
            **doubt,
        }


def examine(witness: Witness, attack: Attack, looks: int | None = None) -> Finding:
    """Make one attack on what was seen, and judge it by its gates and tests.

    ``looks`` is how many attacks share the level; all that the witness allows, if left out.
    """
    name, kind = attack
    shadows = witness.shadows(kind)
    scores = ATTACKS[name](witness.target, shadows)
    unseen = neither(name, shadows, witness.member)
    return Finding(
        attack,
        scores,
        witness.member,
        rank_test(scores, witness.member),
        cut(scores, witness.member, FPR),
        area(scores, witness.member),
        unseen,
        witness.blind,
        LEVEL / (TESTS * (looks or len(witness.attacks))),
        _reasons(unseen, witness.blind),
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
    }


def at_risk(finding: Finding, count: int) -> NDArray[np.int64]:
    """Return the members that lie above the limit, the most exposed first."""
    order = np.argsort(-finding.scores, kind="stable")
    exposed = finding.member[order] & (finding.scores[order] > finding.cut.at)
    return order[exposed][:count].astype(np.int64)


def _reasons(unseen: Area | None, blind: Area) -> tuple[str, ...]:
    found = []
    if blind.raised:
        found.append(
            "a classifier that asks no model tells members from non-members (area "
            f"{_ends(blind)}), so that they are not of one kind"
        )
    if unseen is None:
        found.append("no stand-in has unseen rows of both kinds")
    elif unseen.raised or unseen.lowered:
        way = "tells" if unseen.raised else "mistakes"
        found.append(
            f"the attack {way} members from non-members on models that saw neither (area "
            f"{_ends(unseen)})"
        )
    return tuple(found)


def _ends(found: Area) -> str:
    low, high = found.ends()
    return f"{low:.3f} to {high:.3f}"
