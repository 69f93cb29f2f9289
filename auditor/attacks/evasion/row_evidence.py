"""The row-level evidence of an evasion attack."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from auditor.attacks.evasion.evidence import RowOutcomes, recount_rows
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.readings import class_coordinates, reading_coordinates
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.readings import Scalar
from auditor.domain.row_evidence import RowEvidence, RowFigures
from auditor.domain.row_limits import ROWS_IN_TIME

SHARED = frozenset({"ids", "labels", "groups", "clean_probabilities"})
"""What several attacks on the same rows hold once."""
SAID = frozenset({"adversarial_probabilities", "distance"})
"""What each of them says of every row; crafted inputs are of some."""


def select_attack_evidence(
    evidence: Evidence, prefix: str, shared: frozenset[str] = SHARED
) -> dict[str, Item]:
    """Return the evidence of one of several attacks under its own names."""
    names = [name for name in evidence if name.startswith(prefix)]
    own = {name.removeprefix(prefix): evidence[name] for name in names}
    return {**{name: evidence[name] for name in shared if name in evidence}, **own}


def split_by_norm(evidence: Evidence) -> Mapping[str, Evidence]:
    """Return the evidence of each norm by its prefix; the first norm's has none."""
    found = {"": evidence}
    for prefix in (f"{norm.value}_" for norm in Norm):
        if f"{prefix}settings" in evidence:
            found[prefix] = select_attack_evidence(evidence, prefix)
    return found


def split_by_attack(evidence: Evidence) -> Mapping[str, Evidence]:
    """Return the evidence of each attack of a toolbox that ran, by its name."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    names = cast("Sequence[str]", settings["attacks"])
    found = {name: select_attack_evidence(evidence, f"{name}.") for name in names}
    return {
        name: own
        for name, own in found.items()
        if "objection" not in cast("Mapping[str, Json]", own["settings"])
    }


def robust_row_figures(
    seen: RowOutcomes, place: Mapping[str, Scalar], params: Mapping[str, Scalar]
) -> Iterator[RowFigures]:
    """Return which rows stay right at each budget, under the coordinates of their readings."""
    for eps, right in zip(seen.budgets, seen.right, strict=True):
        yield RowFigures("robust_accuracy", right, {"eps": eps, **params, **place})


def _adds(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return which rows are right without attack, and which stay right at each budget."""
    place = reading_coordinates(cast("Mapping[str, Json]", evidence["settings"]))
    seen = recount_rows(evidence)
    return (RowFigures("clean_accuracy", ~seen.wrong, place), *robust_row_figures(seen, place, {}))


def _covered(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return which rows are right without a patch; sides are shares that evidence does not say."""
    place = class_coordinates(cast("Mapping[str, Json]", evidence["settings"]))
    return (RowFigures("clean_accuracy", ~recount_rows(evidence).wrong, place),)


def _walked(evidence: Evidence) -> tuple[RowFigures, ...]:
    return tuple(added for own in split_by_norm(evidence).values() for added in _adds(own))


def _tried(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return what rows add under each attack; without any, all attacks saw the same."""
    place = reading_coordinates(cast("Mapping[str, Json]", evidence["settings"]))
    clean = RowFigures("clean_accuracy", ~recount_rows(evidence).wrong, place)
    named = split_by_attack(evidence).items()
    curves = (robust_row_figures(recount_rows(own), place, {"attack": name}) for name, own in named)
    return (clean, *(added for curve in curves for added in curve))


ATTACKED = RowEvidence(
    each=SHARED | SAID,
    apart=frozenset({"features", "fitted", "settings", "taught", ROWS_IN_TIME}),
    counted=frozenset({"clean_accuracy", "robust_accuracy"}),
    adds=_adds,
)
"""What of this evidence goes by the rows that were attacked; crafted inputs are of some."""
COVERED = RowEvidence(
    each=ATTACKED.each,
    apart=frozenset({"attacks", "features", "settings", "shorter_side"}),
    counted=ATTACKED.counted,
    adds=_covered,
)
"""The same of patches, whose readings stand under sides."""
WALKED = RowEvidence(
    each=SHARED | SAID | {f"{norm.value}_{name}" for norm in Norm for name in SAID},
    apart=frozenset({*("features", "settings"), *(f"{norm.value}_settings" for norm in Norm)}),
    counted=frozenset({"clean_accuracy", "robust_accuracy"}),
    adds=_walked,
)
"""The same in several norms."""
TRIED = RowEvidence(each=SHARED | SAID, apart=frozenset({"features", "settings"}), adds=_tried)
"""The same of a toolbox: what each of its attacks made of the rows bears the attack's name, and is
withheld whole.
"""
