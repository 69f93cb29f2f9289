"""Readings of what a library's attacks on privacy claimed, from what was kept of each alone."""

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.readings import Bound, Gap, Reading, Reason, Unit
from auditor.exposing import claimed_attributes, claimed_copies, claimed_inversions
from auditor.exposing import claimed_membership as membership

ROUNDS, LEVEL = 1999, 0.01
MEMBERSHIP, ATTRIBUTE, INVERSION, EXTRACTION = "membership", "attribute", "inversion", "extraction"
MAIN: Mapping[str, str] = {
    MEMBERSHIP: "auc",
    ATTRIBUTE: "advantage",
    INVERSION: "gain_over_baseline",
    EXTRACTION: "fidelity",
}
"""What is missing where an attack of a kind gives nothing."""


def _share(title: str) -> Metric:
    return Metric(title, Unit.SHARE, Bound.AT_LEAST, higher_is_better=False)


EMITS: Mapping[str, Metric] = {
    "auc": _share("Chance that a member looks more like one than a non-member does"),
    "tpr_at_fpr_0_01": _share("Members found at one false alarm in a hundred"),
    "tpr_at_fpr_0_001": _share("Members found at one false alarm in a thousand"),
    membership.ADVANTAGE: _share("Members that are called members, less others that are"),
    "advantage": _share("Guesses of a member's column that only the model's memory makes right"),
    "fidelity": _share("Rows on which a copy decides as the model does"),
    "gain_over_labels": _share("Fidelity that the model's answers gave beyond true labels"),
    "gain_over_baseline": _share("Made-up rows that look like their class, beyond public ones"),
    "member_proximity": _share("Members less others among the rows nearest to what was made up"),
    "verdict": Metric("Whether a leak is shown", Unit.NONE, Bound.AT_LEAST, exact=True),
}


def readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return the figures of each attack, or why there are none.

    The evidence holds ``attack.told`` of each, with its family or an objection, and what was seen
    under ``attack.name``. Attacks of one family share the level of their verdicts.
    """
    about = cast("Mapping[str, Json]", evidence["about"])
    names = cast("list[str]", about["attacks"])
    told = {name: cast("Mapping[str, Json]", evidence[f"{name}.told"]) for name in names}
    found: list[Reading] = []
    for name in names:
        family = str(told[name]["family"])
        if "objection" in told[name]:
            said = cast("Mapping[str, Json]", told[name]["objection"])
            found.append(read_gap(said, MAIN.get(family, "verdict"), {"attack": name}))
            continue
        looks = sum(it["family"] == family and "objection" not in it for it in told.values())
        start = f"{name}."
        own = {key[len(start) :]: it for key, it in evidence.items() if key.startswith(start)}
        found += _READ[family](own, name, looks, confidence)
    return tuple(found) or (NONE_ASKED,)


_READ: Mapping[str, Callable[[Evidence, str, int, float], Iterable[Reading]]] = {
    MEMBERSHIP: membership.readings,
    ATTRIBUTE: lambda own, name, looks, confidence: claimed_attributes.readings(
        own, name, looks, LEVEL, confidence
    ),
    INVERSION: lambda own, name, looks, confidence: claimed_inversions.readings(
        own, name, ROUNDS, LEVEL / looks, confidence
    ),
    EXTRACTION: lambda own, name, looks, confidence: claimed_copies.told(
        own, name, looks, LEVEL, confidence
    ),
}
NONE_ASKED = Gap(
    reason=Reason.OVER_BUDGET,
    detail="No attack of the Adversarial Robustness Toolbox is asked for at this budget.",
    cure="Name some in the policy, checks: {privacy.art: {attacks: [KnockoffNets]}}.",
)
