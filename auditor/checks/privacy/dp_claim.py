"""Check of a differential privacy claim: its epsilon recomputed, and tested by canaries."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.artifacts import FileDigest, ModelStructure
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import VERDICT, read_gap, write_gap
from auditor.domain.json import Json, read_json
from auditor.domain.policies import FrameworkControl
from auditor.domain.privacy_claims import PrivacyClaim
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.training_recipes import TrainingRecipe
from auditor.errors import RecipeError
from auditor.metrics.privacy_accounting.canaries import (
    NO_CANARIES,
    NO_ROWS,
    TOO_MUCH,
    DpRecipe,
    plant_canaries,
    score_by_confidence,
    score_by_gradients,
)
from auditor.metrics.privacy_accounting.canary_readings import (
    BLACK,
    DIFFERENCE,
    FINDINGS,
    LOWER,
    RECOMPUTED,
    WHITE,
    PrivacyClaimReview,
    claimed_sampling_rate,
    read_canary_run,
    write_canary_run,
)
from auditor.metrics.privacy_accounting.claim_recomputation import ClaimContext, find_claim_faults
from auditor.trust.signatures.model_signing import verify_model
from auditor.trust.verification_result import IssueCode, SignatureVerification, VerificationIssue

SIGNED = "claim_signed"
MOST_SEED = 2**31
MOST_NUMBERS = 2**28
"""Numbers of training data that are handed to a recipe at once: about 1 GB."""
METHOD = "oms-1.0-key-strict"
ARITHMETIC = 1.0
SECONDS_A_RECORD = 0.02  # of a slow private training, with gradients a record, on one core
LONGEST = 600.0  # seconds, after which a recipe is stopped unless the audit file gives it more


@dataclass(frozen=True, slots=True)
class DpClaimCheck(Check):
    """Recomputes the epsilon that you claim, looks for faults in the claim, and audits the
    training.

    The epsilon of the claimed parameters lies between two bounds (privacy loss distributions); a
    claim below both is understated. ``structural_findings`` counts faults by stable codes, which
    the details list.

    If your recipe provides ``dp_train``, it runs once with ``canaries`` records that each have
    their own gradient and are each included by a fair coin. Otherwise the plain recipe runs with as
    many unusual rows, which show much less. ``epsilon_lower_bound`` is the epsilon that guesses of
    the included canaries prove at ``level``: the larger of two bounds, corrected for both and for
    every number of guesses.

    The claim is contradicted only if the lower bound exceeds it. A claim that is not contradicted
    is not confirmed: the details of the verdict hold the deficit of noise that the audit would have
    detected. The verdict is inconclusive if the recipe did not run, if the hook does not see the
    canaries, or if the detectable deficit is unknown.
    """

    canaries: int = 2000
    level: float = 0.05

    id: ClassVar[str] = "privacy.dp_claim"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Claimed differential privacy"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PRIVACY_CLAIM})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.RECIPE, Need.TRAINING})
    emits: ClassVar[Mapping[str, Metric]] = {
        RECOMPUTED: Metric(
            "Epsilon of the claimed parameters", Unit.NONE, higher_is_better=False
        ),
        DIFFERENCE: Metric("Claimed minus recomputed epsilon", Unit.NONE, higher_is_better=True),
        FINDINGS: Metric(
            "Contradictions within the claim", Unit.COUNT, higher_is_better=False, exact=True
        ),
        SIGNED: Metric("The claim is signed", Unit.NONE, higher_is_better=True, exact=True),
        LOWER: Metric(
            "Epsilon proven by canaries", Unit.NONE, BoundKind.AT_LEAST, higher_is_better=False
        ),
        VERDICT: Metric(
            "Verdict on the claim", Unit.NONE, BoundKind.AT_LEAST, exact=True
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.10"),
        FrameworkControl("owasp-ml", "ML04"),
        FrameworkControl("nist-ai-100-2", "NISTAML.033"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"canaries": 1000},
        Budget.CI: {"canaries": 2000},
        Budget.FULL: {"canaries": 4000},
    }

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if self.canaries < 0 or not 0 < self.level < 1:
            message = "canaries cannot be negative, and level lies between 0 and 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what the arithmetic and one training of the owner's may take, if there is a recipe:
        an estimate, and no more than what stops a recipe. Sizes do not tell of code or claim.
        """
        records = size.beside.get(DatasetRole.TRAINING.value) or size.rows
        training = min(LONGEST, SECONDS_A_RECORD * records) if self.canaries else 0.0
        return CheckCost(seconds=ARITHMETIC + training)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Keep the claim, its signature and what is known beside it; train once with canaries."""
        stated = subject.privacy_claim
        if isinstance(stated, Gap):
            return {"gap": write_gap(stated)}
        return {
            "claim": stated.claim.to_json(),
            "signature": {
                "bundle": _encode(stated.signature.bundle),
                "key": _encode(stated.signature.key),
                "file": stated.file.to_json(),
            },
            "known": _known(subject),
            "settings": {"level": self.level},
            **self._trained(subject, stated.claim),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Work all out from evidence; the verdict is one at the check's own level."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        claim = read_json(PrivacyClaim, cast("Json", evidence["claim"]), "claim")
        known = cast("Mapping[str, Json]", evidence["known"])
        level = cast("Mapping[str, float]", evidence["settings"])["level"]
        run = read_gap(evidence["no_run"]) if "no_run" in evidence else read_canary_run(evidence)
        read_known = ClaimContext(
            batch_norms=cast("int | None", known["batch_norms"]),
            rows=cast("int | None", known["rows"]),
            model=cast("str | None", known["model"]),
            code=cast("str | None", known["code"]),
            data=tuple(cast("list[str]", known["data"])),
        )
        stated = PrivacyClaimReview(claim, find_claim_faults(claim, read_known), run, level)
        return (*stated.readings(confidence), _signed(evidence))

    def _trained(self, subject: Subject, claim: PrivacyClaim) -> Evidence:
        recipe, data = subject.recipe, _rows(subject)
        for missing in (recipe, NO_CANARIES if not self.canaries else recipe, data):
            if isinstance(missing, Gap):
                return {"no_run": write_gap(missing)}
        try:
            return self._run(cast("TrainingRecipe", recipe), cast("Dataset", data), claim, subject)
        except RecipeError as error:
            cause = Gap(reason=GapReason.RECIPE_FAILED, detail=error.problem, cure=error.cure)
            return {"no_run": write_gap(cause)}

    def _run(
        self, recipe: TrainingRecipe, data: Dataset, claim: PrivacyClaim, subject: Subject
    ) -> Evidence:
        inputs, labels = np.asarray(data.inputs), np.asarray(data.labels)
        records = claim.dataset_size or len(labels)
        if records * inputs[0].size > MOST_NUMBERS:
            return {"no_run": write_gap(TOO_MUCH)}
        canaries, seed = min(self.canaries, records), subject.seed % MOST_SEED
        private = recipe.dp_train if isinstance(recipe, DpRecipe) else None
        filled = private is not None
        planted = plant_canaries((inputs, labels), canaries, records, seed, filled=filled)
        subject.progress(0, 1, f"training with {canaries} canaries")
        if isinstance(recipe, DpRecipe) and private is not None:
            mode, seen = (
                WHITE,
                score_by_gradients(recipe, private, planted, seed, claimed_sampling_rate(claim)),
            )
        else:
            mode, seen = BLACK, score_by_confidence(recipe, planted, seed)
        subject.progress(1, 1, f"trained with {canaries} canaries")
        return write_canary_run(mode, planted, seen, seed)


def _rows(subject: Subject) -> Dataset | Gap:
    for role in (DatasetRole.TRAINING, DatasetRole.EVALUATION):
        data = subject.datasets.get(role)
        if data is not None and data.inputs is not None and data.labels is not None and data.rows:
            return data
    return NO_ROWS


def _known(subject: Subject) -> Json:
    structure, training = subject.structure, subject.datasets.get(DatasetRole.TRAINING)
    norms = None
    if isinstance(structure, ModelStructure):
        names = structure.operators.items()
        norms = sum(count for name, count in names if name.endswith("::BatchNormalization"))
    return {
        "batch_norms": norms,
        "rows": None if training is None else training.rows,
        "model": None if subject.artifact is None else subject.artifact.digest,
        "code": None if isinstance(subject.recipe, Gap) else subject.recipe.digest,
        "data": []
        if training is None
        else [training.digest, *(file.digest for file in training.files)],
    }


def _signed(evidence: Evidence) -> Measurement:
    seen = cast("Mapping[str, Json]", evidence["signature"])
    told = cast("Mapping[str, Json]", seen["file"])
    file = FileDigest(str(told["name"]), int(cast("int", told["size"])), str(told["sha256"]))
    bundle = _decode(seen["bundle"])
    key = _decode(seen["key"])
    if bundle is None:
        found = SignatureVerification(
            (VerificationIssue(IssueCode.UNSIGNED, "the claim is not signed"),)
        )
    elif key is None:
        text = "the claim is signed, and the audit names no key to verify with"
        found = SignatureVerification((VerificationIssue(IssueCode.NO_KEY, text),))
    else:
        found = verify_model(bundle, key, (file,))
    return Measurement(
        metric=SIGNED,
        value=found.verified,
        method=METHOD,
        n=1,
        details={
            "identity": found.identity if found.verified else None,
            "findings": [item.to_json() for item in found.objections],
        },
    )


def _encode(raw: bytes | None) -> Json:
    return None if raw is None else base64.b64encode(raw).decode()


def _decode(value: Json) -> bytes | None:
    return None if value is None else base64.b64decode(str(value))


CHECK: type[Check] = DpClaimCheck
