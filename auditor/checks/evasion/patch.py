"""Check of robust accuracy under adversarial patches: a square that covers part of a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.counterexamples.norm_ball_claims import PATCH
from auditor.attacks.evasion.attack_protocol import AttackFeedback
from auditor.attacks.evasion.attack_setup import (
    prepare_attack_run,
    require_harmful_decision,
    require_positive,
    sort_budgets,
)
from auditor.attacks.evasion.evidence import describe_attack_run
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.patch_campaign import attack_with_patches
from auditor.attacks.evasion.readings import best_half_width, build_robustness_readings
from auditor.attacks.evasion.row_evidence import COVERED
from auditor.attacks.evasion.run_check import estimate_attack_cost, robustness_metrics
from auditor.attacks.evasion.suite_parser import AttackSuite, build_suite
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, find_image_axes
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.errors import PolicyError

STAGES = ("patch_ascent", "patch_search")


def patch_metrics() -> Mapping[str, Metric]:
    """Return what the check emits."""
    shared = dict(robustness_metrics())
    del shared["min_breaking_eps"]
    smallest = "Side of the smallest patch that breaks half of the rows (1: not found)"
    return {
        **shared,
        "min_breaking_side": Metric(smallest, Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True),
    }


@dataclass(frozen=True, slots=True)
class PatchAttackCheck(Check):
    """Puts one square patch of any content anywhere on each picture (Brown et al. 2017; Croce et
    al. 2022, Sparse-RS). Each picture gets its own.

    - ``side``: shares of the picture's shorter side, rounded to whole pixels. A row that one patch
      breaks counts as broken at every larger one.
    - ``stages``: attacks on the rows that still withstand. ``patch_ascent:STEPSxCOUNT`` follows the
      twin's gradient at COUNT places and is left out without a twin; ``patch_search:QUERIES``
      searches place and content by the target's scores.
    - ``label`` and ``decision``: classes. Attack only rows of the first, and count only decisions
      for the second (empty: any).
    - ``examples``: how many broken rows are kept, with their clean inputs.
    """

    side: tuple[float, ...] = (0.1, 0.2, 0.3)
    stages: tuple[str, ...] = ("patch_ascent:20x2", "patch_search:100")
    rows: int = 100
    examples: int = 8
    label: str = ""
    decision: str = ""

    id: ClassVar[str] = "evasion.patch"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Accuracy under adversarial patches"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TWIN})
    emits: ClassVar[Mapping[str, Metric]] = patch_metrics()
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0015"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.022"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "side": (0.05, 0.1, 0.2, 0.3),
            "stages": ("patch_ascent:20x3", "patch_search:500"),
            "rows": 200,
        },
        Budget.FULL: {
            "side": (0.05, 0.1, 0.15, 0.2, 0.3, 0.4),
            "stages": ("patch_ascent:50x5", "patch_search:3000"),
            "rows": 1000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"side": "side"}
    by_row: ClassVar[RowEvidence] = COVERED
    by_example: ClassVar[CounterexampleClaims] = PATCH

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not self.side or not all(0 < share <= 1 for share in self.side):
            raise PolicyError(
                f"side {list(self.side)} of evasion.patch is not a list of shares",
                cure="Give at least one share of the picture's shorter side, as 0.2.",
            )
        require_harmful_decision(self.label, self.decision)
        require_positive(rows=self.rows)
        if any(stage.split(":")[0] not in STAGES for stage in self.stages):
            raise PolicyError(
                f"the stages {list(self.stages)} of evasion.patch are not all patches",
                cure=f"Write NAME:STEPS or NAME:STEPSxCOUNT with {' or '.join(STAGES)}.",
            )
        build_suite(self.stages, Norm.L0)

    @property
    def suite(self) -> AttackSuite:
        """The attacks that the stages name."""
        return build_suite(self.stages, Norm.L0)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; rows that break or are wrong from the start cost less."""
        return estimate_attack_cost(self.suite, len(sort_budgets(self.side)), self.rows, size)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Put patches on the first ``rows`` rows of the audit's permutation."""
        bout = prepare_attack_run(
            subject, self.rows, Norm.L0, label=self.label, decision=self.decision
        )
        row = bout.arena.rows.shape[1:]
        axes = find_image_axes(row)
        attacks = self._thrown(subject)
        if axes is None or not attacks.bounded:
            return {"settings": {"row": [int(count) for count in row], "twin": axes is None}}
        shorter = min(row[axes[0]], row[axes[1]])
        widths = tuple(sorted({_pixels(share, shorter) for share in self.side}))
        found = attack_with_patches(attacks, bout.arena, widths, subject.seed, subject.progress)
        seen = describe_attack_run(
            bout,
            found,
            most_examples=self.examples * subject.show_examples,
            twin=None
            if isinstance(subject.twin, Gap) or not attacks.asks_the_twin
            else subject.twin,
        )
        return {**seen, "shorter_side": shorter, "attacks": list(attacks.names)}

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there is nothing to cover, or nothing to cover it by."""
        rows = subject.datasets[DatasetRole.EVALUATION].inputs
        if rows is None:
            return None
        picture = find_image_axes(rows.shape[1:]) is not None
        if picture and self._thrown(subject).bounded:
            return None
        return _undefined({"row": [int(count) for count in rows.shape[1:]], "twin": not picture})

    def _thrown(self, subject: Subject) -> AttackSuite:
        """Return the attacks without those that lack their twin."""
        if not isinstance(subject.twin, Gap):
            return self.suite
        # The search alone is weaker, and still a bound.
        return AttackSuite(
            tuple(a for a in self.suite.bounded if a.source is not AttackFeedback.TWIN)
        )

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities and the patches' sides."""
        if "shorter_side" not in evidence:
            return (_undefined(cast("Mapping[str, Json]", evidence["settings"])),)
        shorter = cast("int", evidence["shorter_side"])
        effort = {"attack": "patch", "stages": evidence["attacks"]}
        told = build_robustness_readings(evidence, confidence, cast("Mapping[str, Json]", effort))
        found: list[Reading] = []
        for reading in told:
            if not isinstance(reading, Measurement):
                found.append(reading)
            elif "eps" in reading.params:
                # A reading once for each share that means its number of pixels
                places = reading.params["eps"]
                rest = {name: value for name, value in reading.params.items() if name not in _LP}
                found.extend(
                    [
                        replace(
                            reading,
                            params={"side": share, **rest},
                            details={**reading.details, "pixels": _pixels(share, shorter)},
                        )
                        for share in sort_budgets(self.side)
                        if _pixels(share, shorter) ** 2 == places
                    ]
                )
            else:
                found.append(_as_share(reading, shorter))
        return tuple(found)


_LP = frozenset({"eps", "norm"})


def _pixels(share: float, shorter: int) -> int:
    """Return how many pixels a patch is wide: at least one."""
    return max(1, round(share * shorter))


def _as_share(reading: Measurement, shorter: int) -> Measurement:
    """Return a reading of all sides; numbers of pixels become shares of the shorter side."""
    rest = {name: value for name, value in reading.params.items() if name not in _LP}
    if reading.metric != "min_breaking_eps":
        return replace(reading, params=rest)
    ends = (reading.value, reading.low, reading.high)
    value, low, high = (min(1.0, float(np.sqrt(cast("float", end))) / shorter) for end in ends)
    details = {name: item for name, item in reading.details.items() if name != "largest_eps"}
    return replace(
        reading,
        metric="min_breaking_side",
        unit=Unit.SHARE,
        params=rest,
        value=value,
        low=low,
        high=high,
        details=details,
    )


def _undefined(settings: Mapping[str, Json]) -> Gap:
    if settings["twin"]:
        return Gap(
            reason=GapReason.NOT_DEFINED,
            detail=f"Rows of shape {settings['row']} are no pictures: there is nothing to cover.",
            cure="Leave evasion.patch out, or give pictures as height x width with channels.",
        )
    return Gap(
        reason=GapReason.NEEDS_TWIN,
        detail="All stages of evasion.patch climb on the twin, and there is none.",
        cure="Add the stage patch_search:500, which asks the target alone.",
    )


CHECK: type[Check] = PatchAttackCheck
