"""The subject of a check: the model on its target, the twin, the data, the seed and the budget."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact, ModelStructure, SignatureMaterial
from auditor.domain.audit_checkpoint import AuditCheckpoint, NoCheckpoint
from auditor.domain.budgets import Budget
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import NO_BENCH, ModelBench
from auditor.domain.models import NO_CASCADE, CompanionModel, Model, ModelCascade, Twin
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.privacy_claims import NO_PRIVACY_CLAIM, PrivacyClaimFile
from auditor.domain.readings import Gap, GapReason
from auditor.domain.robustness_certificates import NO_CERTIFIER, RobustnessCertifier
from auditor.domain.row_generators import NO_GENERATOR, OwnerGenerator
from auditor.domain.row_limits import ALL_ROWS, RowLimit
from auditor.domain.shadow_models import NO_SHADOWS, ShadowModels
from auditor.domain.supply_chain import ModelSupply
from auditor.domain.target_spend import SpendCounter
from auditor.domain.targets import LOGITS, TargetSpec
from auditor.domain.tasks import ClassificationTask, Floats, InputSpace, RegressionTask, Task
from auditor.domain.training_recipes import NO_RECIPE, TrainingRecipe


class ProgressReporter(Protocol):
    """Where long work says how far it is; raises ``CancelledError`` when the user stopped it."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report ``done`` of ``total`` steps."""
        ...


NO_PLACEMENT = Gap(
    reason=GapReason.NEEDS_MODEL,
    detail="No model was opened, so nothing was placed.",
    cure="Look at why the model could not be opened.",
)


@dataclass(frozen=True, slots=True)
class CheckShard:
    """A part of a check that can run alone: part ``index`` of ``count``."""

    index: int = 0
    count: int = 1


def derive_seed(audit_seed: int, check: str, shard: CheckShard) -> int:
    """Return a check's seed: the first 8 bytes of SHA-256(audit seed, check id, shard)."""
    text = f"{audit_seed}\n{check}\n{shard.index}/{shard.count}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11


def seeded_permutation(audit_seed: int, rows: int) -> NDArray[np.int64]:
    """Return the one seeded permutation of an audit, whose prefixes all checks take."""
    generator = np.random.default_rng(derive_seed(audit_seed, "permutation", CheckShard()))
    return generator.permutation(rows).astype(np.int64)


def report_nothing(done: int, total: int, note: str = "") -> None:
    """Report to nobody."""


@dataclass(slots=True, kw_only=True)
class Subject:
    """What a check sees. Nothing here opens files.

    ``model``, ``twin`` and ``certifier`` hold a ``Gap`` where they could not be had. ``seed`` is
    the check's own (``derive_seed``), ``audit_seed`` the audit's. ``clean`` remembers the scores of
    whole datasets, so that a second look costs no query, and ``logits`` those that they were made
    of, if any; a model that is not deterministic is always asked anew. ``memory`` holds finished
    parts of an audit that was interrupted, and ``counter`` counts what it takes of the target.
    ``bench`` runs the artifact otherwise than as declared; ``reference`` runs it elsewhere, and
    ``parent`` is what it was made from. ``placement`` is known even of a model that is a Gap
    because its operators run elsewhere. ``target`` is the target as declared.
    ``recipe`` trains as the artifact was trained, where the owner gives leave; ``shadows`` are
    models that the owner trained so, ``generator`` makes rows as an attacker may know them.
    ``supply`` is what came with the model and speaks of its parts, and the parts themselves.
    ``claims`` are what the owner says of the model, ``privacy_claim`` what of its training,
    ``population`` whom it is for: the share of
    each level of a column. ``show_examples`` is the owner's leave to keep rows of the data in the
    evidence. ``row_limit`` says how many rows the time of a check allows, to one that works in
    parts.
    """

    artifact: Artifact | None
    structure: ModelStructure | Gap
    signature: SignatureMaterial
    model: Model | Gap
    twin: Twin | Gap
    task: Task
    space: InputSpace | Gap
    datasets: Mapping[DatasetRole, Dataset]
    audit_seed: int
    seed: int
    budget: Budget
    certifier: RobustnessCertifier | Gap = NO_CERTIFIER
    bench: ModelBench | Gap = NO_BENCH
    placement: OperatorPlacement | Gap = NO_PLACEMENT
    reference: CompanionModel = field(default_factory=CompanionModel)
    parent: CompanionModel = field(default_factory=CompanionModel)
    cascade: ModelCascade | Gap = NO_CASCADE
    target: TargetSpec = field(default_factory=lambda: TargetSpec("unnamed"))
    recipe: TrainingRecipe | Gap = NO_RECIPE
    shadows: ShadowModels | Gap = NO_SHADOWS
    generator: OwnerGenerator | Gap = NO_GENERATOR
    claims: Mapping[str, Json] = field(default_factory=dict)
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    privacy_claim: PrivacyClaimFile | Gap = NO_PRIVACY_CLAIM
    supply: ModelSupply = field(default_factory=ModelSupply)
    show_examples: bool = False
    progress: ProgressReporter = report_nothing
    clean: dict[DatasetRole, Floats] = field(default_factory=dict)
    logits: dict[DatasetRole, Floats] = field(default_factory=dict)
    memory: AuditCheckpoint = field(default_factory=NoCheckpoint)
    counter: SpendCounter = field(default_factory=SpendCounter)
    row_limit: RowLimit = ALL_ROWS

    @property
    def predictions_only(self) -> bool:
        """Whether there is no model to ask: no file, no server and no function."""
        return self.artifact is None and not self.target.brings_model

    @property
    def remembers(self) -> bool:
        """Whether scores of a dataset are taken once: the model says the same again."""
        return isinstance(self.model, Gap) or self.model.deterministic

    def sample(self, role: DatasetRole, count: int) -> NDArray[np.int64]:
        """Return the first ``count`` row numbers of the audit's permutation of a dataset.

        Where copies weigh, one row stands for its copies.
        """
        data = self.datasets[role]
        order = seeded_permutation(self.audit_seed, data.rows)
        if data.copies is not None:
            _, first = np.unique(data.copies[order], return_index=True)
            order = order[np.sort(first)]
        return order[:count]

    def probabilities(self, role: DatasetRole) -> Floats:
        """Return ``[n, classes]`` probabilities of a whole dataset, asking the target once.

        In a predictions-only audit the scores that the file brought are returned. Raises
        ``TypeError`` when there are neither: the frame asks ``needs`` first.
        """
        return self.scores(role)[0]

    def scores(self, role: DatasetRole) -> tuple[Floats, Floats | None]:
        """Return what ``probabilities`` does, and the logits ``[n, classes]`` they were made of.

        There are none where the target answers with probabilities, or where nothing was asked.
        """
        known = self.clean.get(role)
        if known is not None:
            return known, self.logits.get(role)
        found, logits = self._score(self.datasets[role])
        if self.remembers:
            self.clean[role] = found
            if logits is not None:
                self.logits[role] = logits
        return found, logits

    def asked_of(self, model: Model | Gap, twin: Twin | Gap) -> "Subject":
        """Return the same audit of another model: nothing that this one said is remembered."""
        return replace(self, model=model, twin=twin, clean={}, logits={})

    def remember(self, role: DatasetRole, scores: Floats) -> None:
        """Keep what the model just said of a whole dataset, unless that is known already."""
        if isinstance(self.model, Gap) or not self.model.deterministic or role in self.clean:
            return
        self.clean[role] = self.model.probabilities(scores)
        if self._says_logits:
            self.logits[role] = scores

    def decisions(self, role: DatasetRole) -> NDArray[np.int64]:
        """Return the class ``[n]`` that each row of a dataset was given.

        In a predictions-only audit those that the file brought, if it did. Raises ``TypeError``
        where the task is no classification: the frame asks ``needs`` first.
        """
        given = self.datasets[role].decisions
        if self.predictions_only and given is not None:
            return given
        if not isinstance(self.task, ClassificationTask):
            message = "decisions are those of a classification"
            raise TypeError(message)
        return self.task.decide(self.probabilities(role))

    def right(self, role: DatasetRole) -> NDArray[np.bool_]:
        """Return which rows ``[n]`` of a dataset were answered rightly.

        That is the decision for the label, or a number within the tolerance of the truth; where
        the truth has not come, nothing is right. Raises ``TypeError`` where a dataset has none.
        """
        data, task = self.datasets[role], self.task
        if isinstance(task, ClassificationTask) and data.labels is not None:
            decided: NDArray[np.bool_] = self.decisions(role) == data.labels
            return decided
        if isinstance(task, RegressionTask) and data.targets is not None:
            missed = np.abs(self.probabilities(role)[:, 0] - data.targets)
            near: NDArray[np.bool_] = missed <= task.tolerance
            return near
        message = "there are no labels, and no truth of a regression"
        raise TypeError(message)

    def labels_only(self, role: DatasetRole) -> bool:
        """Whether what the model says of a dataset is decisions, and no scores."""
        if isinstance(self.model, Gap):
            known = self.datasets.get(role)
            return self.predictions_only and known is not None and known.scores is None
        face = self.model.fingerprint.interface
        return face is not None and face.scores == "labels"

    @property
    def _says_logits(self) -> bool:
        face = None if isinstance(self.model, Gap) else self.model.fingerprint.interface
        return face is not None and face.scores in LOGITS

    def _score(self, dataset: Dataset) -> tuple[Floats, Floats | None]:
        if not isinstance(self.model, Gap) and dataset.inputs is not None:
            scores = self.model.predict(dataset.inputs)
            return self.model.probabilities(scores), scores if self._says_logits else None
        if self.predictions_only and dataset.scores is not None:
            # Scores from a file never stand in for a model that could not be asked.
            return dataset.scores, None
        given, task = dataset.decisions, self.task
        if self.predictions_only and given is not None and isinstance(task, ClassificationTask):
            return np.eye(len(task.classes))[given], None
        message = "there is neither a model nor scores in the data"
        raise TypeError(message)
