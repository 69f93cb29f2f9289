"""The factory that opens targets for an audit, from openers that are passed in."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from auditor.domain.artifacts import Artifact, ModelStructure, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import seeded_permutation
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import ModelBench
from auditor.domain.models import Model, ModelCascade, Twin, TwinSource
from auditor.domain.privacy_claims import PrivacyClaimFile
from auditor.domain.readings import Gap
from auditor.domain.robustness_certificates import RobustnessCertifier
from auditor.domain.row_generators import OwnerGenerator
from auditor.domain.shadow_models import Include, ShadowsRef
from auditor.domain.supply_chain import ModelSupply
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, InputSpace, Task
from auditor.domain.training_recipes import RecipeSource, TrainingRecipe

OpenModel = Callable[
    [TargetSpec, Path, Artifact | None, Task, Array], AbstractContextManager[Model]
]
OpenCertifier = Callable[
    [TargetSpec, Path, Artifact, Model], AbstractContextManager[RobustnessCertifier | Gap]
]
OpenBench = Callable[[TargetSpec, Path, Artifact, Model], AbstractContextManager[ModelBench | Gap]]
JoinCascade = Callable[[Model, Model, float, Task], "ModelCascade | Gap"]
OpenRecipe = Callable[[RecipeSource, Task], AbstractContextManager[TrainingRecipe | Gap]]
OpenGenerator = Callable[
    [TargetSpec, Path, Artifact, InputSpace | Gap, Array], AbstractContextManager[OwnerGenerator]
]
Inspect = Callable[[Path, Artifact, TargetSpec], ModelStructure]


class TwinOpener(Protocol):
    """Opens the twin of a model, or says why there is none."""

    def __call__(  # noqa: PLR0913 -- what an audit knows of a model
        self, spec: TargetSpec, folder: Path, artifact: Artifact, model: Model, inputs: Array, /,
        *, space: InputSpace | Gap, source: TwinSource, seed: int,
    ) -> AbstractContextManager[Twin | Gap]:  # fmt: skip
        """Examine the twin on ``inputs``, moved within ``space``, by the audit's ``seed``."""
        ...


@dataclass(frozen=True, slots=True)
class TargetFactory:
    """The edges that open a target: each runs the model in a limited child process.

    ``certifier``, ``bench`` and ``recipe`` start their processes when a check first asks them;
    ``cascade`` makes one model of two that are open. ``generator`` is held against rows that the
    model takes.
    """

    inspect: Inspect
    model: OpenModel
    twin: TwinOpener
    certifier: OpenCertifier
    bench: OpenBench
    cascade: JoinCascade
    recipe: OpenRecipe
    generator: OpenGenerator


@dataclass(frozen=True, slots=True)
class StagedArtifact:
    """An artifact and the folder in which its files lie."""

    artifact: Artifact
    folder: Path


@dataclass(frozen=True, slots=True)
class ShadowModelSource:
    """Ready shadow models where they were staged, and which rows ``[k, rows]`` of each dataset
    they learnt from.
    """

    models: tuple[StagedArtifact, ...]
    include: Mapping[DatasetRole, Include]
    ref: ShadowsRef


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditInputs:
    """All that an audit brings to a target: the staged artifact, the data, the task.

    ``parent`` is what the artifact was made from; ``reference`` is where the artifact itself is
    run to compare with; ``recipe`` is the code that trains as it was trained, ``shadows`` are
    models that were, ``generator`` makes rows; nobody opens it unless a check of the audit
    ``wants_generator``; ``supply`` is what came with the artifact and speaks of its parts.
    """

    artifact: Artifact | None
    staged: Path
    signature: SignatureMaterial
    task: Task
    space: InputSpace | Gap
    datasets: Mapping[DatasetRole, Dataset]
    seed: int
    budget: Budget
    twin: TwinSource = field(default_factory=TwinSource)
    show_examples: bool = False
    claims: Mapping[str, Json] = field(default_factory=dict)
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parent: StagedArtifact | None = None
    reference: TargetSpec | None = None
    privacy_claim: PrivacyClaimFile | None = None
    recipe: RecipeSource | None = None
    shadows: ShadowModelSource | None = None
    generator: StagedArtifact | None = None
    wants_generator: bool = True
    supply: ModelSupply = field(default_factory=ModelSupply)

    @property
    def deployed(self) -> StagedArtifact | None:
        """The artifact where it was staged."""
        return None if self.artifact is None else StagedArtifact(self.artifact, self.staged)

    @property
    def copies(self) -> Mapping[str, Path]:
        """The copy of every staged model's file, by its hexadecimal SHA-256."""
        shadows = () if self.shadows is None else self.shadows.models
        held = [item for item in (self.deployed, self.parent, self.generator, *shadows) if item]
        return {file.sha256: it.folder / file.name for it in held for file in it.artifact.files}

    def rows(self, count: int) -> Array | None:
        """Return the first ``count`` inputs of the audit's permutation, if there are any."""
        dataset = self.datasets.get(DatasetRole.EVALUATION)
        if dataset is None or dataset.inputs is None:
            return None
        return dataset.inputs[seeded_permutation(self.seed, dataset.rows)[:count]]
