"""Check of poison detectors of the Adversarial Robustness Toolbox: their flags and their power."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.adapter import art_version
from auditor.attacks.art.evasion import ArtAttackContext
from auditor.attacks.art.evasion_evidence import AttackLimits
from auditor.attacks.art.failure_reasons import FailureReason, reason_from_gap
from auditor.attacks.art.poisoning import (
    DETECTOR_FIXED_SETTINGS,
    MOST,
    OF_FEATURES,
    OF_TRAINING,
    Judge,
    SuspectRows,
    build_substitute_detector,
    build_target_detector,
    check_detector_support,
)
from auditor.attacks.art.privacy import build_privacy_context
from auditor.attacks.art.settings import AttackSettings, read_settings
from auditor.attacks.poisoning.detector_flags import (
    EMITS,
    NONE_ASKED,
    PoisonedCopy,
    detector_flag_readings,
    draw_aim,
    sample_labelled_rows,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.gaps import missing_labels_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Reading
from auditor.domain.tasks import Array, Floats
from auditor.errors import PolicyError

SECONDS_TO_IMPORT, SECONDS_A_ROW = 5.0, 0.02


@dataclass(frozen=True, slots=True)
class ArtDetectorCheck(Check):
    """Runs poison detectors of the Adversarial Robustness Toolbox (ART, arXiv 1807.01069) that you
    list by class name, and measures how reliable their flags are.

    A detector examines up to ``rows`` training rows: the input of your model's last layer
    (``ActivationDefence``, ``SpectralSignatureDefense``), its answers (``STRIP``), or a model that
    the detector trains (``RONIDefense``). The share of flagged rows, ``flagged_share``, is a claim
    and always doubted, because some detectors flag a fixed quota of any rows. For comparison the
    details hold the flags on trusted rows, which are your evaluation data.

    Reliability is measured on a copy of the training rows in which the check plants a share of
    ``rate`` itself (a patch, or wrong labels if rows are not pictures), with a small network
    trained on it: ``planted_found`` and ``false_flags``. ``ProvenanceDefense`` needs the source of
    each row, which only the copy has.

    ``settings`` are lines such as ``SpectralSignatureDefense.expected_pp_poison=0.05``. A detector
    may take ``seconds`` for each run. A detector that cannot run here is a Gap with its reason. If
    you list no detector, the check is a Gap. ``poisoning.training_scan`` compares scores with
    trusted rows and lists no row without proof.
    """

    detectors: tuple[str, ...] = ("ActivationDefence",)
    settings: tuple[str, ...] = ()
    rate: float = 0.05
    rows: int = 1000
    most_queries: int = 1000
    seconds: float = 60.0

    id: ClassVar[str] = "poisoning.art_detectors"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Poison detectors from the Adversarial Robustness Toolbox"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.TRAINING}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.SPACE})
    modules: ClassVar[Mapping[str, str]] = {"art": "art"}
    coordinates: ClassVar[frozenset[str]] = frozenset({"detector"})
    emits: ClassVar[Mapping[str, Metric]] = EMITS
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("nist-ai-100-2", "NISTAML.013"),
        FrameworkControl("owasp-ml", "ML02"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"detectors": ()},
        Budget.CI: {"detectors": ()},  # poisoning.training_scan says more, and is right more often
        Budget.FULL: {
            "detectors": ("ActivationDefence", "SpectralSignatureDefense", "STRIP"),
            "rows": 5000,
            "seconds": 600.0,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"detector": "detectors"}

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.rows, self.most_queries) < 1 or not self.seconds > 0 or not 0 < self.rate < 1:
            raise PolicyError(
                f"{self.id}: counts are at least 1, seconds above 0, and the rate is a share",
                cure="Give such numbers.",
            )
        read_settings(self.settings, self.id, DETECTOR_FIXED_SETTINGS)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return what looking at training and trusted rows takes."""
        rows = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0)) + min(
            self.rows, size.rows
        )
        asked = rows * len(set(self.detectors))
        seconds = SECONDS_TO_IMPORT * bool(self.detectors) + SECONDS_A_ROW * asked
        return CheckCost(queries=20 * asked, seconds=seconds)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Let each detector look. Raises ``MissingExtraError`` where ART is not installed, and what
        ``ModelBench.embedding`` raises.
        """
        art = art_version() if self.detectors else ""
        given = read_settings(self.settings, self.id, DETECTOR_FIXED_SETTINGS)
        names = tuple(sorted(set(self.detectors)))
        found: dict[str, Item] = {"about": {"detectors": list(names), "art": art}}
        for done, name in enumerate(names):
            tick = partial(subject.progress, done, len(names), name)
            tick()
            allowance = AttackLimits(self.most_queries, self.seconds, tick)
            seen = self._seen(name, given.get(name, {}), subject, allowance)
            if isinstance(seen, FailureReason):
                found[f"{name}.objection"] = seen.to_json()
            else:
                found |= {f"{name}.{key}": item for key, item in seen.items()}
        return found

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that no detector is named."""
        return None if self.detectors else NONE_ASKED

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count flags again."""
        return detector_flag_readings(evidence, confidence)

    def _seen(
        self, name: str, settings: AttackSettings, subject: Subject, allowance: AttackLimits
    ) -> Evidence | FailureReason:
        """Return what a detector flags of the copy, of training rows and of trusted ones."""
        desk, why = (
            build_privacy_context(subject, allowance),
            check_detector_support(name) or _unlabelled(subject),
        )
        if why is not None:
            return why
        if isinstance(desk, FailureReason):
            return desk
        most = min(self.rows, MOST.get(name, self.rows))
        rows, labels, ids = sample_labelled_rows(subject, DatasetRole.TRAINING, most)
        trusted = sample_labelled_rows(subject, DatasetRole.EVALUATION, most)[:2]
        copy = PoisonedCopy.of(rows, labels, draw_aim(subject, labels), self.rate, subject.seed)
        judge = build_substitute_detector(name, settings, desk, (copy.rows, copy.labels))
        flags = judge(SuspectRows(copy.rows, copy.labels, trusted, copy.origins))
        if isinstance(flags, FailureReason):
            return flags
        found: dict[str, Item] = {
            "about": {"attack": copy.attack.value, "given": dict(settings)},
            "copy_flags": flags,
            "copy_planted": copy.planted,
        }
        looker = self._looker(name, settings, desk, subject, (rows, labels))
        if isinstance(looker, FailureReason):
            return {**found, "gap": looker.to_json()}
        ours = looker(SuspectRows(rows, labels, trusted))
        if isinstance(ours, FailureReason):
            return {**found, "gap": ours.to_json()}
        found |= {"flags": ours, "ids": ids}
        theirs = looker(SuspectRows(*trusted, trusted))
        return found if isinstance(theirs, FailureReason) else {**found, "trusted_flags": theirs}

    @staticmethod
    def _looker(
        name: str, settings: AttackSettings, desk: ArtAttackContext, subject: Subject,
        rows: tuple[Array, NDArray[np.int64]],
    ) -> Judge | FailureReason:  # fmt: skip
        """Return how a detector looks at the training rows: at the target where it can."""
        if name in OF_TRAINING:
            return build_substitute_detector(name, settings, desk, rows)
        bench = subject.bench

        def embed(asked: Array) -> Floats:
            if isinstance(bench, Gap):
                raise TypeError(bench.detail)
            seen = bench.embedding(asked)
            if isinstance(seen, Gap):
                raise TypeError(seen.detail)
            return seen.values.astype(np.float64)

        if name in OF_FEATURES and isinstance(bench, Gap):
            return reason_from_gap(bench)
        return build_target_detector(name, settings, desk, embed)


def _unlabelled(subject: Subject) -> FailureReason | None:
    labels = subject.datasets[DatasetRole.TRAINING].labels
    known = labels is not None and bool((labels >= 0).any())
    return None if known else reason_from_gap(missing_labels_gap(DatasetRole.TRAINING))


CHECK: type[Check] = ArtDetectorCheck
