"""Evidence of ART evasion attacks on shared rows, and the readings computed from it.

An attack's claims are counted apart from the successes that the target confirms.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol, cast

from auditor.attacks.art.configured_attack import CraftingJob, ModelAccess
from auditor.attacks.art.failure_reasons import FailureReason
from auditor.attacks.art.settings import AttackSettings
from auditor.attacks.evasion.attack_setup import AttackRun, AttackSetup
from auditor.attacks.evasion.evidence import describe_attack_run
from auditor.attacks.evasion.judge import BestSoFar
from auditor.attacks.evasion.query_costs import QueryCost, SweepResult
from auditor.attacks.evasion.readings import build_robustness_readings
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json, read_json
from auditor.domain.models import Twin
from auditor.domain.readings import Gap, GapReason, Reading, Unit


class CraftingTool(Protocol):
    """Something that returns changed rows, as ART's attacks do."""

    @property
    def name(self) -> str:
        """How readings call it."""
        ...

    @property
    def sight(self) -> ModelAccess:
        """Which model it sees."""
        ...

    @property
    def bounded(self) -> bool:
        """Whether it takes a budget."""
        ...

    @property
    def single(self) -> bool:
        """Whether it takes one row at a time."""
        ...

    def craft(self, job: CraftingJob) -> object:
        """Return ``[n, *shape]`` changed rows, or whatever else it makes of them."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimTally:
    """What came of an attack's claims at one budget, in rows.

    ``attacked`` rows stood before it. ``claimed`` of those that it returned are wrong for the model
    that it sees, ``outside`` of these leave the threat as they were returned, and ``confirmed`` are
    wrong on the target once they are brought back into the threat.
    """

    eps: float
    attacked: int
    claimed: int
    outside: int
    confirmed: int


@dataclass(frozen=True, slots=True, eq=False)
class ArtAttackResult:
    """What one attack found at growing budgets, and what became of its claims."""

    sweep: SweepResult
    tallies: tuple[ClaimTally, ...]


@dataclass(frozen=True, slots=True)
class AttackLimits:
    """What an attack may spend: rows and gradients a row and budget, and seconds altogether."""

    most_queries: int
    seconds: float
    tick: Callable[[], None]


def unattacked_result(arena: AttackSetup, budgets: tuple[float, ...]) -> SweepResult:
    """Return what is known before any attack."""
    return build_sweep_result(arena, budgets, initial_best(arena), ())


def initial_best(arena: AttackSetup) -> BestSoFar:
    """Return what is known of the rows before any attack."""
    return BestSoFar.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)


def build_sweep_result(
    arena: AttackSetup, budgets: tuple[float, ...], standing: BestSoFar, log: tuple[QueryCost, ...]
) -> SweepResult:
    """Return what is known of the rows by now."""
    crafted = standing.crafted
    return SweepResult(
        budgets=budgets,
        probabilities=standing.probabilities,
        crafted=crafted,
        distance=arena.threat(budgets[-1]).distance(arena.rows, crafted),
        breaking=standing.breaking,
        movable=tuple(int(arena.threat(eps).movable.sum()) for eps in budgets),
        log=log,
    )


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
class ArtAttempt:
    """One attack that was tried: what it saw, with which settings, and what came of it."""

    name: str
    sight: ModelAccess | None
    settings: AttackSettings
    outcome: ArtAttackResult | FailureReason


def describe_attempts(
    bout: AttackRun,
    tried: Sequence[ArtAttempt],
    budgets: tuple[float, ...],
    *,
    twin: Twin | None,
    art: str,
) -> Evidence:
    """Return the evidence of all attacks."""
    shared = dict(
        describe_attack_run(
            bout, unattacked_result(bout.arena, budgets), most_examples=0, twin=None
        )
    )
    found: dict[str, Item] = {name: item for name, item in shared.items() if name not in CRAFTED}
    settings = cast("Mapping[str, Json]", shared["settings"])
    found["settings"] = {**settings, "art": art, "attacks": [item.name for item in tried]}
    for item in tried:
        told: dict[str, Json] = {
            "sight": None if item.sight is None else item.sight.value,
            "given": dict(item.settings),
        }
        if isinstance(item.outcome, FailureReason):
            found[f"{item.name}.settings"] = {**told, "objection": item.outcome.to_json()}
            continue
        seen = twin if item.sight is ModelAccess.TWIN else None
        own = describe_attack_run(bout, item.outcome.sweep, most_examples=0, twin=seen)
        told["claims"] = [asdict(tally) for tally in item.outcome.tallies]
        found.update({f"{item.name}.{name}": own[name] for name in OWN if name in own})
        own_settings = cast("Mapping[str, Json]", own["settings"])
        found[f"{item.name}.settings"] = {**own_settings, **told}
    return found


NONE_ASKED = Gap(
    metric="robust_accuracy",
    reason=GapReason.OVER_BUDGET,
    detail="No attack of the Adversarial Robustness Toolbox is asked for at this budget.",
    cure="Name some in the policy, checks: {evasion.art: {attacks: [FastGradientMethod]}}.",
)


def build_art_readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return clean accuracy, and each attack's curve at growing budgets, or why there is none.

    Successes are counted anew from the target's probabilities and the size of each change.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    shared = {name: item for name, item in evidence.items() if "." not in name}
    rows = len(cast("Sequence[str]", evidence["ids"]))
    clean = build_robustness_readings(shared, confidence, {})[0]
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
        objection = read_json(FailureReason, told["objection"], "objection")
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
        for reading in build_robustness_readings({**shared, **own}, confidence, effort)
        if reading.metric != "clean_accuracy"
    ]


def _placed(reading: Reading, name: str, claims: Mapping[float, Mapping[str, Json]]) -> Reading:
    if isinstance(reading, Gap):
        return replace(reading, params={"attack": name, **reading.params})
    details = {key: item for key, item in reading.details.items() if key not in LEFT_OUT}
    tally = claims.get(cast("float", reading.params.get("eps", 0.0)))
    if tally is not None:
        details["claims"] = dict(tally)
    # One unit for all norms: a change is counted in ranges, which only in L-infinity is a share.
    unit = reading.unit if reading.metric == "robust_accuracy" else Unit.NONE
    params = {"attack": name, **reading.params}
    return replace(reading, params=params, unit=unit, details=details)
