"""Check of accuracy on corrupted data, without an attacker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.attacks.corruptions import images, tables
from auditor.attacks.corruptions.accuracy_survey import (
    best_half_widths,
    build_examples,
    order_by_accuracy,
    prepare_sample,
    survey_corruptions,
)
from auditor.attacks.corruptions.catalogue import (
    KINDS,
    detect_medium,
    select_kinds,
    select_severities,
)
from auditor.attacks.corruptions.readings import build_corruption_readings
from auditor.attacks.corruptions.row_evidence import CORRUPTED
from auditor.attacks.counterexamples.refutable_claims import not_refutable
from auditor.attacks.evasion.attack_setup import require_positive
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading, Unit
from auditor.domain.row_evidence import RowEvidence

SECONDS_A_ROW = 1e-4
FEW = (
    "gaussian_noise",
    "motion_blur",
    "fog",
    "brightness",
    "contrast",
    "jpeg",
    "measurement_noise",
    "missing_values",
    "unit_error",
)


@dataclass(frozen=True, slots=True)
class CorruptionCheck(Check):
    """Corrupts pictures as ImageNet-C does (Hendrycks & Dietterich 2019), and tables similarly.

    This is an average case, not an attack: the noise is not chosen against your model.
    ``severities`` run from 1 (mild) to 5. Some ``kinds`` have no meaning for your inputs (kinds for
    tables if you have pictures, saturation if they are grey); these give no reading and are listed
    in the details of ``mean_accuracy``.

    Up to 32 pixels a side the strengths are those of CIFAR-10-C, and from 224 those of ImageNet-C,
    with a rule for other sizes. The random draws are the same at each severity. If your audit may
    show examples, up to ``examples`` rows that became wrong are kept, before and after.
    """

    kinds: tuple[str, ...] = KINDS
    severities: tuple[int, ...] = (1, 3, 5)
    rows: int = 200
    examples: int = 6

    id: ClassVar[str] = "evasion.corruption"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under noise, blur, weather and data faults"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        "clean_accuracy": Metric(
            "Accuracy on the same rows without corruption", Unit.SHARE, higher_is_better=True
        ),
        "accuracy": Metric(
            "Accuracy under one kind of corruption", Unit.SHARE, higher_is_better=True
        ),
        "mean_accuracy": Metric(
            "Mean accuracy over all kinds and severities", Unit.SHARE, higher_is_better=True
        ),
        "worst_kind_accuracy": Metric(
            "Accuracy under the worst kind, mean over severities",
            Unit.SHARE,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"kinds": FEW, "rows": 100},
        Budget.CI: {},
        Budget.FULL: {"severities": (1, 2, 3, 4, 5), "rows": 1000},
    }
    grid: ClassVar[Mapping[str, str]] = {"kind": "kinds", "severity": "severities"}
    by_example: ClassVar[CounterexampleClaims] = not_refutable(
        "it is an average over noise that nobody chose, of which one row under one noise says "
        "nothing"
    )
    by_row: ClassVar[RowEvidence] = CORRUPTED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        select_kinds(self.kinds)
        select_severities(self.severities)
        require_positive(rows=self.rows)

    def cost(self, size: AuditSize) -> CheckCost:
        """Count every row once for each kind and severity, and the clean rows.

        Of pictures and tables, those that more of the kinds are for. The seconds are those of
        small pictures; pictures of 224 pixels a side take a hundred times as long to corrupt.
        """
        most = max(len(set(self.kinds) & set(known)) for known in (images.KINDS, tables.KINDS))
        cells = most * len(set(self.severities))
        queries = min(self.rows, size.rows) * cells
        return CheckCost(
            queries=size.rows + queries, clean=size.rows, seconds=queries * SECONDS_A_ROW
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half widths where the model is always right."""
        one, mean = best_half_widths(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": one, "accuracy": one, "mean_accuracy": mean}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Corrupt the first ``rows`` rows of the audit's permutation, and ask about each."""
        trial = prepare_sample(subject, self.rows)
        asked = detect_medium(trial.pool, trial.space, trial.model_takes, whole=trial.whole)
        severities = select_severities(self.severities)
        objections = {kind: asked.objection(kind) for kind in select_kinds(self.kinds)}
        kinds = [kind for kind, why in objections.items() if not why]
        found = survey_corruptions(trial, asked, kinds, severities, subject.seed, subject.progress)
        right = (found.decided == trial.labels).mean(axis=(1, 2))
        shown = order_by_accuracy(found.shown, dict(zip(kinds, right.tolist(), strict=True)))
        settings: dict[str, Json] = {
            **trial.settings(),
            "kinds": list(kinds),
            "severities": list(severities),
            "not_defined": {kind: why for kind, why in objections.items() if why},
            "failed": dict(found.failed),
        }
        return {
            "settings": settings,
            "ids": list(trial.ids),
            "labels": trial.labels,
            "clean_decided": trial.decided.astype(np.int32),
            "decided": found.decided,
            **build_examples(trial, asked.shape, shown[: self.examples * subject.show_examples]),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count right decisions again."""
        return build_corruption_readings(evidence, confidence)


CHECK: type[Check] = CorruptionCheck
