"""Check of privacy attacks of the Adversarial Robustness Toolbox: their claims, verified."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art import privacy_evaluation
from auditor.attacks.art.adapter import art_version
from auditor.attacks.art.evasion import ArtAttackContext
from auditor.attacks.art.evasion_evidence import AttackLimits
from auditor.attacks.art.failure_reasons import FailureReason, collect_failures, reason_from_gap
from auditor.attacks.art.privacy import (
    DECIDED,
    ArtAttributeRows,
    AttributeAttackRows,
    ExtractionAttacker,
    InferredColumn,
    MembershipSample,
    PrivacyAttackFamily,
    build_privacy_context,
    classify_attack,
    extract_model,
    infer_attribute,
    invert_model,
    train_membership_attack,
)
from auditor.attacks.art.privacy_evaluation import EMITS, NONE_ASKED, privacy_claim_readings
from auditor.attacks.art.settings import AttackSettings, read_settings
from auditor.attacks.privacy.attribute_inference import SecretColumn
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item, find_image_axes
from auditor.domain.gaps import ABSENT
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Reading
from auditor.errors import PolicyError

SECONDS_TO_IMPORT, SECONDS_A_QUERY = 5.0, 2e-4
Stage: TypeAlias = (
    privacy_evaluation.MembershipClaimSetup
    | privacy_evaluation.AttributeClaimSetup
    | privacy_evaluation.ExtractionClaimSetup
    | privacy_evaluation.InversionClaimSetup
)
Heard: TypeAlias = Evidence | FailureReason


@dataclass(frozen=True, slots=True)
class ArtPrivacyCheck(Check):
    """Runs inference and extraction attacks of the Adversarial Robustness Toolbox (ART, arXiv
    1807.01069) that you list by class name, and tests their claims independently.

    - **Membership** attacks learn from one half of up to ``rows`` members and as many others, and
      are judged on the other half as in ``privacy.membership``. A leak is ``shown`` only if members
      and others look alike without access to the model, and the same attack, trained the same way,
      finds less on stand-ins that saw neither.
    - **Attribute** attacks guess up to ``columns`` columns as in ``privacy.attribute``. Only their
      gain over an imputer that never sees the model counts.
    - **Extraction** attacks are judged on rows that they did not use, against a copy trained on
      true labels. The copy is a small network.
    - **Inversion** attacks make up rows (``starts`` for each of up to ``classes`` classes), which
      are judged as in ``privacy.inversion``.

    Every figure is a bound: it may fail a rule, and never passes one.

    ``settings`` are lines such as ``KnockoffNets.nb_stolen=300``, for the class or its methods. An
    attack may request ``most_queries`` rows for each row that it works on, and take ``seconds``. An
    attack that needs more, or cannot run here, is a Gap with its reason; `docs/art-attacks.md`
    lists every class. If you list no attack, the check is a Gap.
    """

    attacks: tuple[str, ...] = ("MembershipInferenceBlackBox",)
    settings: tuple[str, ...] = ("MIFace.max_iter=100",)
    rows: int = 2000
    columns: int = 3
    classes: int = 10
    starts: int = 3
    most_queries: int = 1000
    seconds: float = 120.0

    id: ClassVar[str] = "privacy.art"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Privacy attacks from the Adversarial Robustness Toolbox"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL}
    )
    wants: ClassVar[frozenset[Need]] = frozenset(
        {Need.TRAINING, Need.REFERENCE, Need.SPACE, Need.TWIN, Need.GROUPS}
    )
    modules: ClassVar[Mapping[str, str]] = {"art": "art"}
    coordinates: ClassVar[frozenset[str]] = frozenset({"attack", "column", "queries", "data"})
    of_labels: ClassVar[frozenset[str]] = frozenset({"auc"})
    emits: ClassVar[Mapping[str, Metric]] = EMITS
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.10"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0024"),
        FrameworkControl("owasp-ml", "ML04"),
        FrameworkControl("nist-ai-100-2", "NISTAML.03"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"attacks": ()},
        Budget.CI: {"attacks": ()},  # our own checks find more in less time
        Budget.FULL: {
            "attacks": (
                "AttributeInferenceBlackBox",
                "CopycatCNN",
                "KnockoffNets",
                "MIFace",
                "MembershipInferenceBlackBox",
                "MembershipInferenceBlackBoxRuleBased",
                "ShadowModels",
            ),
            "rows": 10_000,
            "most_queries": 100_000,
            "seconds": 1800.0,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks"}

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        counts = (self.rows, self.columns, self.classes, self.starts, self.most_queries)
        if min(counts) < 1 or not self.seconds > 0:
            raise PolicyError(
                "privacy.art: counts are at least 1, and seconds above 0", cure="Give such numbers."
            )
        read_settings(self.settings, self.id, DECIDED)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds, which most attacks do not reach."""
        members = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0))
        asked = (members + min(self.rows, size.rows)) * len(set(self.attacks))
        most = asked * min(self.most_queries, 1000)
        seconds = SECONDS_TO_IMPORT * bool(self.attacks) + most * SECONDS_A_QUERY
        return CheckCost(queries=asked + most, passes=most, seconds=seconds)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Run each attack by name. Raises ``MissingExtraError`` where ART is not installed."""
        art = art_version() if self.attacks else ""
        given = read_settings(self.settings, self.id, DECIDED)
        names = tuple(sorted(set(self.attacks)))
        found: dict[str, Item] = {"about": {"attacks": list(names), "art": art}}
        ring = _ArtPrivacyStages(self, subject)
        for done, name in enumerate(names):
            subject.progress(done, len(names), name)
            allowance = AttackLimits(
                self.most_queries, self.seconds, partial(subject.progress, done, len(names), name)
            )
            family, heard = ring.tried(name, given.get(name, {}), allowance)
            told: dict[str, Json] = {"family": family, "given": dict(given.get(name, {}))}
            if isinstance(heard, FailureReason):
                told["objection"] = heard.to_json()
            else:
                found |= {f"{name}.{key}": item for key, item in heard.items()}
            found[f"{name}.told"] = told
        return found

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that no attack is named."""
        return None if self.attacks else NONE_ASKED

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count again what each attack claimed."""
        return privacy_claim_readings(evidence, confidence)


class _ArtPrivacyStages:
    """Where attacks meet what is known of the rows; the stage of each family is set once."""

    def __init__(self, check: ArtPrivacyCheck, subject: Subject) -> None:
        self.check, self.subject = check, subject
        self.stages: dict[PrivacyAttackFamily, Stage | Gap] = {}

    def tried(
        self, name: str, settings: AttackSettings, allowance: AttackLimits
    ) -> tuple[str, Heard]:
        """Return the family of an attack, and what was heard of it or why nothing was."""
        subject = self.subject
        rows = subject.datasets[DatasetRole.EVALUATION].inputs
        picture = rows is not None and find_image_axes(rows.shape[1:]) is not None
        family = classify_attack(name, picture=picture, twin=not isinstance(subject.twin, Gap))
        if isinstance(family, FailureReason):
            return "", family
        desk = build_privacy_context(subject, allowance)
        if isinstance(desk, FailureReason):
            return family, desk
        if family not in self.stages:
            self.stages[family] = _set(family, subject, self.check)
        stage = self.stages[family]
        if isinstance(stage, Gap):
            return family, reason_from_gap(stage)
        if isinstance(stage, privacy_evaluation.MembershipClaimSetup):
            return family, _members(name, settings, desk, stage, subject)
        if isinstance(stage, privacy_evaluation.AttributeClaimSetup):
            parts = (stage.taken.known, stage.asked, stage.lent)
            sides = AttributeAttackRows(*(ArtAttributeRows(it.inputs, it.labels) for it in parts))
            wide = replace(desk, rows=sum(len(it.labels) for it in parts))

            def guess(secret: SecretColumn) -> NDArray[np.int64] | FailureReason:
                return infer_attribute(
                    name, settings, wide, InferredColumn(secret.places, secret.levels), sides
                )

            told, why = collect_failures(guess)
            return family, stage.hear(told) or why[0]
        if isinstance(stage, privacy_evaluation.ExtractionClaimSetup):
            thief = ExtractionAttacker(stage.taken.pool, stage.taken.labels)
            found = extract_model(
                name, settings, replace(desk, rows=len(thief.rows)), thief, stage.held
            )
            return family, found if isinstance(found, FailureReason) else stage.hear(
                found.said, found.queries
            )
        starts, aims = stage.starts, stage.campaign.victim.aims
        made_found = invert_model(name, settings, replace(desk, rows=len(aims)), starts, aims)
        return family, made_found if isinstance(made_found, FailureReason) else stage.hear(
            name, made_found
        )


def _set(family: PrivacyAttackFamily, subject: Subject, check: ArtPrivacyCheck) -> Stage | Gap:
    """Set the stage of a family, or say what is lacking."""
    if family is PrivacyAttackFamily.EXTRACTION:
        return privacy_evaluation.ExtractionClaimSetup.of(subject, check.rows, check.rows)
    if family is PrivacyAttackFamily.INVERSION:
        return privacy_evaluation.InversionClaimSetup.of(subject, check.classes, check.starts)
    if DatasetRole.TRAINING not in subject.datasets:
        return ABSENT[DatasetRole.TRAINING]
    if family is PrivacyAttackFamily.ATTRIBUTE:
        return privacy_evaluation.AttributeClaimSetup.of(subject, check.rows, check.columns)
    return privacy_evaluation.MembershipClaimSetup.of(subject, check.rows)


def _members(
    name: str,
    settings: AttackSettings,
    desk: ArtAttackContext,
    stage: privacy_evaluation.MembershipClaimSetup,
    subject: Subject,
) -> Heard:
    pool, known = stage.pool, stage.known
    rows = MembershipSample(pool.inputs[known], pool.labels[known], pool.member[known])
    teller = train_membership_attack(name, settings, replace(desk, rows=len(known)), rows)
    if isinstance(teller, FailureReason):
        return teller
    tell, why = collect_failures(teller.tell)
    return stage.hear(subject, tell) or why[0]


CHECK: type[Check] = ArtPrivacyCheck
