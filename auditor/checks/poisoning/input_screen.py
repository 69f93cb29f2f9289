"""Screen of production inputs for backdoor triggers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.attacks.poisoning.input_screen import (
    ALARMS,
    EXCESS,
    FACTORS,
    FLAGGED,
    METHODS,
    SCALE_UP,
    STRIP,
    ScreenLimits,
    TriggerScreen,
    screen_readings,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, find_image_axes
from auditor.domain.gaps import VERDICT, read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading, Unit
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.proportions import clopper_pearson

LEAST_CLEAN = 40
"""Clean rows below which no limit can be set and tried."""


@dataclass(frozen=True, slots=True)
class InputScreenCheck(Check):
    """Screens pictures that your deployed model received for triggers, by two methods.

    ``scale_up`` makes ten brighter copies of each picture and counts how many get the same
    decision, from decisions alone (Guo et al. 2023). ``strip`` lays ``overlays`` clean pictures
    over it and measures how certain the model remains (Gao et al. 2019).

    One half of up to ``clean`` evaluation rows sets the limit that a share of ``false_alarms`` of
    them reaches. The other half tests it, and production rows are compared with that half (Fisher's
    exact test, at ``level`` over both methods). If your rows are clustered, the verdict is
    ``inconclusive``.

    The check needs inputs that carry a trigger: it cannot find a backdoor that is not yet in use.
    Evidence holds scores and ids, no pictures.
    """

    rows: int = 2000
    clean: int = 2000
    overlays: int = 20
    false_alarms: float = 0.05
    level: float = 0.01
    listed: int = 50

    id: ClassVar[str] = "poisoning.input_screen"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Inputs that behave as if they contained a trigger"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.PRODUCTION, Need.EVALUATION, Need.MODEL, Need.SPACE, Need.CLASSIFICATION}
    )
    coordinates: ClassVar[frozenset[str]] = frozenset({"method"})
    emits: ClassVar[Mapping[str, Metric]] = {
        FLAGGED: Metric("Screened inputs beyond the limit", Unit.SHARE, higher_is_better=False),
        ALARMS: Metric("Clean rows beyond the limit", Unit.SHARE),
        EXCESS: Metric(
            "Screened inputs beyond the limit, minus clean rows", Unit.SHARE, BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
        VERDICT: Metric("Triggers detected", Unit.NONE, BoundKind.AT_LEAST, exact=True),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.6"),
        FrameworkControl("nist-ai-100-2", "NISTAML.023"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 200, "clean": 400, "overlays": 10},
        Budget.CI: {},
        Budget.FULL: {"rows": 20_000, "clean": 10_000, "overlays": 50},
    }

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.rows, self.clean, self.overlays, self.listed) < 1:
            message = "rows, clean, overlays and listed are at least 1"
            raise ValueError(message)
        if not 0 < self.level < 1 or not 0 < self.false_alarms < 1:
            message = "level and false_alarms lie between 0 and 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask for every row and its copies."""
        production = size.beside.get(DatasetRole.PRODUCTION.value, 0)
        seen = min(self.rows, production) + min(self.clean, size.rows)
        return CheckCost(queries=seen * (1 + len(FACTORS) + self.overlays))

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half widths where as many are flagged as clean rows are."""
        production = size.beside.get(DatasetRole.PRODUCTION.value, 0)
        counts = {FLAGGED: min(self.rows, production), ALARMS: min(self.clean, size.rows) // 2}
        found = {
            name: clopper_pearson(round(self.false_alarms * rows), rows, confidence)
            for name, rows in counts.items()
            if rows
        }
        return {name: (share.high - share.low) / 2 for name, share in found.items()}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score production rows and clean rows alike."""
        production, clean = (
            subject.datasets[it] for it in (DatasetRole.PRODUCTION, DatasetRole.EVALUATION)
        )
        if production.inputs is None or clean.inputs is None:
            return {"gap": write_gap(_NO_PICTURES)}
        if production.texts or find_image_axes(clean.inputs.shape[1:]) is None:
            return {"gap": write_gap(_NO_PICTURES)}
        if clean.rows < LEAST_CLEAN:
            return {"gap": write_gap(_TOO_FEW)}
        asked = np.sort(subject.sample(DatasetRole.PRODUCTION, self.rows))
        known = np.sort(subject.sample(DatasetRole.EVALUATION, self.clean))
        inputs = np.concatenate((production.inputs[asked], clean.inputs[known]))
        rng = np.random.default_rng(subject.seed)
        half = first_half(rng.permutation(len(known)), None)
        laid = rng.permutation(clean.inputs[known][half])[: self.overlays]
        scores, gaps = _scores(subject, inputs, laid)
        return {
            "gap": None,
            "ids": np.asarray(production.ids, dtype=np.str_)[asked],
            "half": half,
            "about": {"gaps": gaps, "clustered": production.clustered or clean.clustered},
            **scores,
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Set the limit, try it, and count."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        limits = ScreenLimits(self.false_alarms, self.level, self.listed)
        return screen_readings(evidence, limits, confidence)


def _scores(
    subject: Subject, inputs: Array, laid: Array
) -> tuple[dict[str, Floats], dict[str, Json]]:
    model, task, space = subject.model, subject.task, subject.space
    if isinstance(model, Gap) or isinstance(space, Gap) or not isinstance(task, ClassificationTask):
        message = "a screen needs a model, a space and classes, and the frame asks for them"
        raise TypeError(message)
    opened, done, total = model, 0, len(inputs) * len(METHODS)

    def say(rows: int) -> None:
        nonlocal done
        done += rows
        subject.progress(done, total)

    screen = TriggerScreen(
        lambda rows: opened.probabilities(opened.predict(rows)), task.decide, space, say
    )
    found = {SCALE_UP: screen.scale_up(inputs)}
    if subject.labels_only(DatasetRole.EVALUATION):
        return found, {STRIP: write_gap(_NO_SCORES)}
    return {**found, STRIP: screen.strip(inputs, laid)}, {}


_NO_PICTURES = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The inputs are no pictures: there is nothing to brighten or to lay over them.",
    cure="Leave the check out; poisoning.training_scan takes tables too.",
)
_TOO_FEW = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail=f"Fewer than {LEAST_CLEAN} clean rows set no limit, and do not try one.",
    cure="Evaluate on some hundred rows or more.",
)
_NO_SCORES = Gap(
    reason=GapReason.NEEDS_SCORES,
    detail="The model answers with labels alone, so that nothing says how sure it is.",
    cure="Let the endpoint return scores; scale_up needs none.",
)
CHECK: type[Check] = InputScreenCheck
