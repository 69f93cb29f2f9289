"""Check of membership inference: whether the model reveals which rows it was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from auditor.attacks.privacy.membership import (
    Decide,
    build_stack_decider,
    build_target_decider,
    noise_robustness,
)
from auditor.attacks.privacy.membership_evidence import (
    MembershipEvidence,
    PoolAnswers,
    write_pool_evidence,
)
from auditor.attacks.privacy.membership_pool import count_held_back, foretell_membership_gaps
from auditor.attacks.privacy.membership_readings import AUC, EMITS, RATES, membership_readings
from auditor.attacks.privacy.membership_statistics import blind_scores
from auditor.attacks.privacy.shadow_models import (
    KINDS,
    MODELS,
    ask_one_sided_models,
    choose_pool,
    reference_shadow_models,
    train_shadow_models,
)
from auditor.attacks.privacy.shadow_training import ModelStack, to_feature_matrix
from auditor.domain.budgets import AuditSize, Budget, CheckCost, CheckForecast
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import build_interval_panels
from auditor.domain.tasks import Floats
from auditor.metrics.stats.roc_auc import auc

SECONDS_A_ROW_AND_MODEL = 6e-5
SECONDS_AN_OPENING, SECONDS_A_SHADOW_ROW = 1.0, 1.5e-5
"""About what a small shadow model takes: a process of its own, and a row."""
CHANCE = 0.5
MEMBERS = (
    "Probability that a training row looks more like a training row than another row "
    "does (AUC). 50 % is chance. Each figure is a lower bound: a better attack can "
    "find more."
)


@dataclass(frozen=True, slots=True)
class MembershipInferenceCheck(Check):
    """Tests whether an attacker can infer from your model's answers which rows it was trained on.

    The attacks use up to ``rows`` members and as many non-members:

    - ``loss`` uses the probability of the label.
    - ``rmia`` (Zarifzadeh et al. 2024) and ``lira`` (Carlini et al. 2022) compare it with the
      answers of ``models`` stand-ins of each of ``stand_ins``, some of which saw the row.

    With a recipe, ``retrained`` more stand-ins are trained by it. They must agree with the artifact
    as they agree with one another, on a fifth of the evaluation rows (at most 500), which are set
    aside and are no non-members. Your ready ``shadows`` replace them if they pass the same test. If
    your model returns labels alone, it is queried with ``copies`` noisy copies for each row and
    scale, and stand-ins likewise; no recipe runs for it.

    A leak is shown only if all of these hold:

    - Chance does not explain it.
    - Members and non-members look alike without access to the model.
    - The same attack finds less on models that saw neither: on stand-ins of both samples, and on
      stand-ins of training data alone. Non-members with drifted labels look strange to the latter,
      as to the model.

    Scores that are far too certain or too flat are first divided by a temperature. The result is a
    bound: a better attack finds more. A drift that only the model is good enough to notice would
    still look like a leak.
    """

    rows: int = 2000
    stand_ins: tuple[str, ...] = ("network",)
    models: int = 8
    retrained: int = 0
    copies: int = 4
    listed: int = 20

    id: ClassVar[str] = "privacy.membership"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Membership inference"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.TRAINING}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.RECIPE, Need.SHADOWS})
    emits: ClassVar[Mapping[str, Metric]] = EMITS
    coordinates: ClassVar[frozenset[str]] = frozenset({"attack", "shadows", "rounding", "group"})
    of_labels: ClassVar[frozenset[str]] = frozenset({AUC})
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.10"),
        FrameworkControl("iso-42001", "A.7.4"),
        FrameworkControl("mitre-atlas", "AML.T0024.000"),
        FrameworkControl("owasp-ml", "ML04"),
        FrameworkControl("nist-ai-100-2", "NISTAML.033"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "rows": 10_000,
            "stand_ins": ("logistic", "network"),
            "models": 16,
            "retrained": 4,
            "copies": 10,
        },
        Budget.FULL: {
            "rows": 20_000,
            "stand_ins": ("logistic", "distilled", "network"),
            "models": 32,
            "retrained": 16,
            "copies": 30,
        },
    }
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.GIVEN_AWAY, 1)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        unknown = set(self.stand_ins) - set(KINDS)
        if unknown or not self.stand_ins or min(self.models, self.rows) < 2:  # noqa: PLR2004
            message = f"stand-ins are of {list(KINDS)}, two of a kind at least, on two rows or more"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask once a row; a model that gives labels alone costs more, which sizes do not tell.

        A retraining learns from half of the pool and from all training rows besides; ready shadow
        models are opened and asked about the pool, and nothing is retrained then.
        """
        members = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0))
        pool = members + min(self.rows, size.rows)
        models = (self.models + MODELS) * len(self.stand_ins)
        members = size.beside.get(DatasetRole.TRAINING.value, 0)
        besides = members - min(self.rows, members)
        return CheckCost(
            queries=pool,
            seconds=SECONDS_A_ROW_AND_MODEL * pool * models
            + size.shadows * (SECONDS_AN_OPENING + SECONDS_A_SHADOW_ROW * pool),
            trained=0 if size.shadows else self.retrained * (pool // 2 + besides),
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of the area where members look like all others."""
        members = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0))
        held = count_held_back(size.rows) if self._holds(size) else 0
        others = min(self.rows, size.rows - held)
        if min(members, others) < 2:  # noqa: PLR2004 -- no interval
            return {}
        even = np.zeros(members + others)
        found = auc(even, np.arange(members + others) < members, confidence)
        return {AUC: (found.high - found.low) / 2}

    def foretell(self, size: AuditSize) -> CheckForecast:
        """Say what is set aside for the recipe, and what the rows cannot carry."""
        least = {name: needed for name, (_, needed) in RATES.items()}
        return foretell_membership_gaps(size, self.rows, self.emits, least, hold=self._holds(size))

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Ask the model about both kinds of rows, and train what stands in for it."""
        by_recipe = self.retrained > 1 and not isinstance(subject.recipe, Gap)
        # No recipe is run for a model that gives labels alone, so that no row need be set aside.
        by_recipe = by_recipe and not subject.labels_only(DatasetRole.EVALUATION)
        pool = choose_pool(subject, self.rows, hold=by_recipe)
        if isinstance(pool, Gap):
            return {"gap": write_gap(pool)}
        answers = PoolAnswers.of(subject, pool)
        said, labels_only = answers.read, answers.labels_only
        target = pool.chances(said).astype(np.float64)
        features = to_feature_matrix(pool.inputs)

        def steady(decide: Decide) -> Floats:
            return noise_robustness(subject, pool.inputs, pool.labels, decide, self.copies)

        def ask(stack: ModelStack) -> Floats:
            if labels_only:
                return steady(build_stack_decider(subject, stack))
            return stack.chances(features, pool.labels).astype(np.float64)

        if labels_only:
            target = steady(build_target_decider(subject))
        seed = subject.seed
        blind = blind_scores(features, pool.labels, pool.member, seed)
        kinds = train_shadow_models(
            subject, pool, said, ask, kinds=self.stand_ins, models=self.models
        )
        like = reference_shadow_models(subject, pool, self.retrained, labels_only=labels_only)
        own = ask_one_sided_models(subject, pool, said.shape[1], self.stand_ins, ask)
        together = replace(like, kinds={**kinds, **like.kinds}, sided=own)
        about = write_pool_evidence(pool, target, blind, answers)
        return {**about, **together.to_evidence()}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Make every attack again from the answers that were kept."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        return tuple(membership_readings(MembershipEvidence.of(evidence), confidence, self.listed))

    def _holds(self, size: AuditSize) -> bool:
        return self.retrained > 1 and size.recipe

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show the area of every attack and of every group."""
        said = [
            f"All together: {m.value}."
            for m in measurements
            if m.metric == "verdict" and m.params.get("attack") == "all"
        ]
        return ReportBlock(
            parts=build_interval_panels(
                [m for m in measurements if m.metric == AUC and m.params.get("rounding") == "none"],
                _name_attack,
                title="Membership inference",
                caption=" ".join((MEMBERS, *said)),
                header=("Attack", "Area under the ROC curve", "Interval", "How sure"),
                ideal=CHANCE,
                most=14,
                unit=Unit.SHARE,
            )
        )


def _name_attack(m: Measurement) -> str:
    group, shadows = (str(m.params.get(name, "")) for name in ("group", "shadows"))
    name = str(m.params.get("attack", ""))
    parts = [name] if shadows == "none" else [name, shadows]
    return ", ".join(parts if group == "all" else [*parts, group])


CHECK: type[Check] = MembershipInferenceCheck
