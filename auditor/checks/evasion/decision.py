"""Check of decision-based attacks, which see decisions only: the median distance that they need."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.counterexamples.norm_ball_claims import WALKS
from auditor.attacks.evasion.attack_protocol import AttackFeedback
from auditor.attacks.evasion.attack_setup import (
    require_harmful_decision,
    require_positive,
    sort_budgets,
)
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.readings import (
    best_half_width,
    build_robustness_readings,
    distance_ceiling,
)
from auditor.attacks.evasion.row_evidence import SHARED, WALKED, select_attack_evidence
from auditor.attacks.evasion.run_check import (
    estimate_attack_cost,
    robustness_metrics,
    run_attack_check,
)
from auditor.attacks.evasion.suite_parser import KINDS, AttackSuite, build_suite
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, ProgressReporter, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.errors import PolicyError

NORMS = (Norm.LINF, Norm.L2)


def decision_metrics() -> Mapping[str, Metric]:
    """Return what the check emits: the curve, and the median distance in place of its budget."""
    shared = dict(robustness_metrics())
    del shared["min_breaking_eps"]
    nearest = (
        "Median distance of the nearest adversarial input found (the largest possible: not found)"
    )
    return {
        **shared,
        "median_distance": Metric(nearest, Unit.NONE, BoundKind.AT_MOST, higher_is_better=True),
    }


@dataclass(frozen=True, slots=True)
class DecisionAttackCheck(Check):
    """Searches the nearest harmful input with the target's decisions alone: by RayS in Linf (Chen &
    Gu 2020) and by SurFree in L2 (Maho et al. 2021).

    - ``stages``: ``rays`` and ``surfree``, each with the number of decisions for a row. A norm
      without a stage is left out.
    - ``eps``: points at which the curve is read, in ranges, in Linf up to 1. The search itself uses
      the whole input range.
    - ``label`` and ``decision``: classes. Attack only rows of the first, and count only decisions
      for the second (empty: any).
    - ``examples``: how many broken rows are kept, with their clean inputs.
    """

    eps: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    stages: tuple[str, ...] = ("rays:100", "surfree:100")
    rows: int = 50
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.decision"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Distance of the nearest adversarial input, found by decisions alone"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    emits: ClassVar[Mapping[str, Metric]] = decision_metrics()
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0043.001"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.025"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {"stages": ("rays:500", "surfree:500"), "rows": 200},
        Budget.FULL: {
            "eps": (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0),
            "stages": ("rays:2000", "surfree:2000"),
            "rows": 1000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    by_example: ClassVar[CounterexampleClaims] = WALKS
    by_row: ClassVar[RowEvidence] = WALKED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps, Norm.L2)
        require_harmful_decision(self.label, self.decision)
        require_positive(rows=self.rows)
        _by_norm(self.stages)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that are wrong from the start cost nothing."""
        parts = [
            estimate_attack_cost(part, 1, self.rows, size)
            for part in _by_norm(self.stages).values()
        ]
        return CheckCost(
            queries=sum(part.queries for part in parts) - (len(parts) - 1) * size.rows,
            clean=size.rows,
            seconds=sum(part.seconds for part in parts),
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Walk in each norm, from the first ``rows`` rows of the audit's permutation."""
        found: dict[str, Item] = {}
        work = _by_norm(self.stages)
        for index, (norm, walks) in enumerate(work.items()):
            inputs = subject.datasets[DatasetRole.EVALUATION].inputs
            coordinates = 1 if inputs is None else int(np.prod(inputs.shape[1:]))
            whole = distance_ceiling(norm, coordinates)  # walks need the whole range at last
            seen = run_attack_check(
                replace(subject, progress=_part(subject.progress, index, len(work))),
                walks,
                sort_budgets((*(eps for eps in self.eps if eps < whole), whole), norm),
                norm=norm,
                rows=self.rows,
                examples=self.examples,
                label=self.label,
                decision=self.decision,
            )
            prefix = _prefix(norm, index)
            found.update(
                {
                    f"{prefix}{name}": item
                    for name, item in seen.items()
                    if name not in SHARED or not found
                }
            )
        return found

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's decisions, and read the curves off."""
        found: list[Reading] = []
        for index, (norm, walks) in enumerate(_by_norm(self.stages).items()):
            own = select_attack_evidence(evidence, _prefix(norm, index)) if index else evidence
            effort: dict[str, Json] = {
                "attack": walks.names[0].split(",")[0],
                "stages": list(walks.names),
            }
            told = build_robustness_readings(own, confidence, effort)
            found.extend(_read(reading, own) for reading in told)
        return tuple(item for item in found if not _beyond(item, self.eps))


def _read(reading: Reading, evidence: Evidence) -> Reading:
    """Return a reading under the check's own name, with what its walks cost."""
    if not isinstance(reading, Measurement) or reading.metric == "clean_accuracy":
        return reading
    log = cast("Mapping[str, list[dict[str, int]]]", evidence["settings"])["log"]
    asked = sum(bill["queries"] for bill in log)
    spent: dict[str, Json] = {
        "queries": asked,
        "queries_a_row": asked / reading.n,
        "log": [dict(bill) for bill in log],
    }
    told = replace(reading, details={**reading.details, **spent})
    if reading.metric != "min_breaking_eps":
        return told
    return replace(told, metric="median_distance", unit=Unit.NONE)


def _by_norm(stages: tuple[str, ...]) -> dict[Norm, AttackSuite]:
    """Return the walks of each norm that the stages name.

    Raises ``PolicyError`` where one names none.
    """
    known = {
        norm: [
            name
            for name, kind in KINDS.items()
            if norm in kind.norms
            and all(item.source is AttackFeedback.DECISIONS for item in kind.make(1, 1, norm))
        ]
        for norm in NORMS
    }
    for stage in stages:
        if not any(stage.split(":")[0] in names for names in known.values()):
            names = ", ".join(name for one in known.values() for name in one)
            raise PolicyError(
                f"the stage {stage!r} of evasion.decision is no walk on decisions",
                cure=f"Write NAME:DECISIONS or NAME:DECISIONSxCOUNT with one of {names}.",
            )
    if not stages:
        raise PolicyError("evasion.decision has no stages", cure="Give at least rays:500.")
    own = {norm: tuple(s for s in stages if s.split(":")[0] in known[norm]) for norm in NORMS}
    return {norm: build_suite(chosen, norm) for norm, chosen in own.items() if chosen}


def _prefix(norm: Norm, index: int) -> str:
    """Return what the names of a norm's evidence begin with: nothing, for the first one."""
    return f"{norm.value}_" if index else ""


def _part(progress: ProgressReporter, index: int, count: int) -> ProgressReporter:
    """Return where one of several walks says how far it is."""

    def report(done: int, total: int, note: str = "") -> None:
        progress(index * total + done, count * total, note)

    return report


def _beyond(reading: Reading, eps: tuple[float, ...]) -> bool:
    """Whether a reading stands at the whole range, where nobody asked for it."""
    return isinstance(reading, Measurement) and reading.params.get("eps", eps[0]) not in eps


CHECK: type[Check] = DecisionAttackCheck
