"""The evidence of several ART attacks on the same rows, and the readings that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from auditor.attacks.arenas import Bout
from auditor.attacks.art.claims import Campaign, untouched
from auditor.attacks.art.objections import Objection, read_objection
from auditor.attacks.art.settings import Settings
from auditor.attacks.art.tools import Sight
from auditor.attacks.curves import readings as curve
from auditor.attacks.trials import describe
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence, Item
from auditor.domain.models import Twin
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit

OWN = (
    "settings",
    "adversarial_probabilities",
    "distance",
    "crafted",
    "crafted_rows",
    "mean_change",
    "moved_share",
    "features",
)
"""What the evidence holds of each attack, under ``attack.name``; all else is of the rows."""
CRAFTED = ("crafted", "crafted_rows")
LEFT_OUT = ("by_class", "by_group")
"""Details that would be repeated for every attack; ``evasion.linf`` gives them."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One attack that was tried: what it saw, with which settings, and what came of it."""

    name: str
    sight: Sight | None
    settings: Settings
    outcome: Campaign | Objection


def write_down(
    bout: Bout, tried: Sequence[Tried], budgets: tuple[float, ...], *, twin: Twin | None, art: str
) -> Evidence:
    """Return the evidence of all attacks."""
    shared = dict(describe(bout, untouched(bout.arena, budgets), most_examples=0, twin=None))
    found: dict[str, Item] = {name: item for name, item in shared.items() if name not in CRAFTED}
    settings = cast("Mapping[str, Json]", shared["settings"])
    found["settings"] = {**settings, "art": art, "attacks": [item.name for item in tried]}
    for item in tried:
        told: dict[str, Json] = {
            "sight": None if item.sight is None else item.sight.value,
            "given": dict(item.settings),
        }
        if isinstance(item.outcome, Objection):
            found[f"{item.name}.settings"] = {**told, "objection": item.outcome.to_json()}
            continue
        seen = twin if item.sight is Sight.TWIN else None
        own = describe(bout, item.outcome.sweep, most_examples=0, twin=seen)
        told["claims"] = [asdict(tally) for tally in item.outcome.tallies]
        found.update({f"{item.name}.{name}": own[name] for name in OWN if name in own})
        own_settings = cast("Mapping[str, Json]", own["settings"])
        found[f"{item.name}.settings"] = {**own_settings, **told}
    return found


NONE_ASKED = Gap(
    metric="robust_accuracy",
    reason=Reason.OVER_BUDGET,
    detail="No attack of the Adversarial Robustness Toolbox is asked for at this budget.",
    cure="Name some in the policy, checks: {evasion.art: {attacks: [FastGradientMethod]}}.",
)


def readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return clean accuracy, and each attack's curve at growing budgets, or why there is none.

    Successes are counted anew from the target's probabilities and the size of each change.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    shared = {name: item for name, item in evidence.items() if "." not in name}
    rows = len(cast("Sequence[str]", evidence["ids"]))
    clean = curve(shared, confidence, {})[0]
    if isinstance(clean, Gap):
        return (clean,)
    found: list[Reading] = [replace(clean, details={"rows": rows})]
    for name in cast("Sequence[str]", settings["attacks"]):
        found.extend(_of(name, evidence, shared, confidence))
    return tuple(found) if len(found) > 1 else (*found, NONE_ASKED)


def _of(name: str, evidence: Evidence, shared: Evidence, confidence: float) -> Sequence[Reading]:
    told = cast("Mapping[str, Json]", evidence[f"{name}.settings"])
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if "objection" in told:
        objection = read_objection(cast("Mapping[str, Json]", told["objection"]))
        return [objection.gap("robust_accuracy", {"attack": name, "norm": str(settings["norm"])})]
    own = {item: evidence[f"{name}.{item}"] for item in OWN if f"{name}.{item}" in evidence}
    effort: dict[str, Json] = {
        "library": f"adversarial-robustness-toolbox {settings['art']}",
        "sees": told["sight"],
        "settings": told["given"],
    }
    claims = cast("Sequence[Mapping[str, Json]]", told["claims"])
    by_eps = {cast("float", item["eps"]): dict(item) for item in claims}
    return [
        _placed(reading, name, by_eps)
        for reading in curve({**shared, **own}, confidence, effort)
        if isinstance(reading, Measurement) and reading.metric != "clean_accuracy"
    ]


def _placed(
    reading: Measurement, name: str, claims: Mapping[float, Mapping[str, Json]]
) -> Measurement:
    details = {key: item for key, item in reading.details.items() if key not in LEFT_OUT}
    tally = claims.get(cast("float", reading.params.get("eps", 0.0)))
    if tally is not None:
        details["claims"] = dict(tally)
    # One unit for all norms: a change is counted in ranges, which only in L-infinity is a share.
    unit = reading.unit if reading.metric == "robust_accuracy" else Unit.NONE
    params = {"attack": name, **reading.params}
    return replace(reading, params=params, unit=unit, details=details)
