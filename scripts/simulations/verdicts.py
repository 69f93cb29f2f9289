"""Whole audits under the pack ``baseline``: how often the verdict is the wrong one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from auditor.checks.measure import CONFIDENCE, compute_readings, get_check_parameters
from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check
from auditor.domain.evidence import decode_evidence, encode_evidence
from auditor.domain.findings import Verdict
from auditor.domain.json import Json
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.domain.records import CheckObservation
from auditor.policy.check_parameters import make_check, resolve_check_parameters
from auditor.policy.evaluate.context import JudgingContext
from auditor.policy.evaluate.engine import judge_readings
from auditor.policy.plan import PlanningContext, plan_target
from auditor.workflows.wiring import load_named_policy
from simulations.claims import Draw, Simulation
from simulations.populations import GROUPS, Population

PACK, TARGET, ROWS = "baseline", "cpu", 2000
FALSE_PASS, FALSE_FAIL = 0.01, 0.05
MEASURED = (
    "quality.accuracy",
    "quality.calibration",
    "fairness.groups",
    "fairness.calibration",
    "evasion.linf",
    "evasion.linf_query",
)
EXACT = {
    "provenance.signature": ("verified", True),
    "provenance.artifact": ("unsafe_constructs", 0),
}
"""What has no interval: these models are signed, and their files are data."""
LIMITS = {"accuracy": 0.8, "selection": 0.1, "tpr": 0.1, "robust": 0.5}
EASY = {"accuracy": 0.92, "selection": 0.0, "tpr": 0.0, "robust": 0.75}
ROOM = {"accuracy": {"robust": 0.6}, "selection": {"accuracy": 0.86}, "tpr": {"accuracy": 0.86}}
"""What else is less easy where a figure is broken: all figures are of one model."""
ATTACKS: Mapping[str, Mapping[str, Json]] = {
    "evasion.linf": {"eps": [0.02, 0.03, 0.1], "stages": ["cross_entropy:20"]},
    "evasion.linf_query": {"eps": [0.02, 0.03, 0.1], "iterations": 60},
}
"""These models are linear: one climb breaks what can be broken, so that the truth is known."""
RULES = {
    "accuracy": "accuracy",
    "selection": "equal-selection",
    "tpr": "equal-opportunity",
    "robust": "evasion-small",
}
"""The denying rules of the pack that a chance decides, by the figure that they bound."""


def verdicts() -> tuple[Simulation, ...]:
    """2,000 audits of 2,000 rows, each a model of its own: real checks, real judging, no files."""
    kept = (("each at its limit", LIMITS, 500), ("with room", EASY, 500))
    return (
        *(
            Simulation(
                PACK,
                f"every rule is kept, {name}",
                "verdict fail",
                FALSE_FAIL,
                at_least=False,
                repeats=repeats,
                draw=_ends(figures, Verdict.FAIL),
            )
            for name, figures, repeats in kept
        ),
        *(
            Simulation(
                PACK,
                f"{rule} broken by {_margin(figure):.3f}, as far as the plan detects",
                "verdict pass",
                FALSE_PASS,
                at_least=False,
                repeats=250,
                draw=_ends(_broken(figure), Verdict.PASS),
            )
            for figure, rule in RULES.items()
        ),
    )


def _ends(figures: Mapping[str, float], verdict: Verdict) -> Draw:
    """Audit one model with these true figures, and say whether the verdict is that."""
    population = Population.having(**figures)
    return lambda rng: float(_verdict(population.sample(rng, ROWS)) is verdict)


def _broken(figure: str) -> Mapping[str, float]:
    worse = -1 if figure in {"accuracy", "robust"} else 1
    limit = LIMITS[figure] + worse * _margin(figure)
    return {**EASY, **ROOM.get(figure, {}), figure: limit}


def _verdict(subject: Subject) -> Verdict:
    seen = [_seen(check, subject) for check in _checks().values()]
    at = cache(partial(_readings, tuple(seen)))
    context = JudgingContext(
        confidence=CONFIDENCE,
        targets=(TARGET,),
        name="simulated",
        version="1",
        budget=Budget.CI,
        assurance=AssuranceLevel.A0,
    )
    findings = judge_readings(_policy(), at, context)
    return Verdict.of(item.outcome for item in findings if item.effect.value == "deny")


def _seen(check: Check, subject: Subject) -> ObservedCheck:
    evidence = {
        name: encode_evidence(item) for name, item in check.observe(subject, CheckShard()).items()
    }
    digests = {name: blob.digest for name, blob in evidence.items()}
    observation = CheckObservation(
        TARGET, check.id, check.version, get_check_parameters(check), 0, digests
    )
    return ObservedCheck(
        observation, check, {name: decode_evidence(blob.raw) for name, blob in evidence.items()}
    )


def _readings(seen: Sequence[ObservedCheck], confidence: float) -> tuple[Reading, ...]:
    return (*compute_readings(seen, confidence), *(_exact(check) for check in EXACT))


def _exact(check: str) -> Measurement:
    metric, value = EXACT[check]
    unit = Unit.NONE if isinstance(value, bool) else Unit.COUNT
    found = Measurement(
        metric=metric,
        value=value,
        low=None,
        high=None,
        confidence=None,
        bound=BoundKind.ESTIMATE,
        method="exact",
        n=1,
        unit=unit,
    )
    return replace(found, target=TARGET, check=check, version=1)


@cache
def _policy() -> Policy:
    return load_named_policy(PACK, Path(), discover_checks())


@cache
def _checks() -> Mapping[str, Check]:
    known, policy = discover_checks(), _policy()
    return {
        name: make_check(
            known[name],
            {**resolve_check_parameters(known[name], policy, Budget.CI), **ATTACKS.get(name, {})},
        )
        for name in MEASURED
    }


@cache
def _margin(figure: str) -> float:
    """Return how far to each side the plan says that the interval of the figure will reach."""
    labels = {"0": ROWS // 2, "1": ROWS // 2}
    halves = {group: dict.fromkeys(labels, ROWS // 4) for group in GROUPS}
    size = AuditSize(ROWS, 2, labels, {"group": halves}, "1")
    model: Mapping[str, Json] = {"name": "simulated", "version": "1", "tags": []}
    outlook = PlanningContext(size=size, target=TARGET, targets=(TARGET,), model=model)
    foreseen = plan_target(_policy(), _checks(), outlook)
    widths = {rule.rule: rule.foreseen.half_width for rule in foreseen.rules}
    width = widths[RULES[figure]]
    if width is None:
        message = f"the plan foresees no width of {RULES[figure]}"
        raise ValueError(message)
    return width
