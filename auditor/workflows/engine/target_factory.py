"""The edges that open a target, and what an audit brings to them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from auditor.domain.artifacts import Artifact, SignatureMaterial, Structure
from auditor.domain.benches import Bench
from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json
from auditor.domain.certificates import Certifier
from auditor.domain.companions import Cascade
from auditor.domain.datasets import Dataset, Role
from auditor.domain.generators import GivenGenerator
from auditor.domain.models import Model, Twin
from auditor.domain.privacy_claims import StatedClaim
from auditor.domain.readings import Gap
from auditor.domain.recipes import Recipe, RecipeSource
from auditor.domain.shadows import Include, ShadowsRef
from auditor.domain.subjects import permutation
from auditor.domain.supplies import Supply
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, InputSpace, Task
from auditor.domain.twins import TwinSource

OpenModel = Callable[
    [TargetSpec, Path, Artifact | None, Task, Array], AbstractContextManager[Model]
]
OpenCertifier = Callable[
    [TargetSpec, Path, Artifact, Model], AbstractContextManager[Certifier | Gap]
]
OpenBench = Callable[[TargetSpec, Path, Artifact, Model], AbstractContextManager[Bench | Gap]]
JoinCascade = Callable[[Model, Model, float, Task], "Cascade | Gap"]
OpenRecipe = Callable[[RecipeSource, Task], AbstractContextManager[Recipe | Gap]]
OpenGenerator = Callable[
    [TargetSpec, Path, Artifact, InputSpace | Gap, Array], AbstractContextManager[GivenGenerator]
]
Inspect = Callable[[Path, Artifact, TargetSpec], Structure]


class OpenTwin(Protocol):
    """Opens the twin of a model, or says why there is none."""

    def __call__(  # noqa: PLR0913 -- what an audit knows of a model
        self, spec: TargetSpec, folder: Path, artifact: Artifact, model: Model, inputs: Array, /,
        *, space: InputSpace | Gap, source: TwinSource, seed: int,
    ) -> AbstractContextManager[Twin | Gap]:  # fmt: skip
        """Examine the twin on ``inputs``, moved within ``space``, by the audit's ``seed``."""
        ...


@dataclass(frozen=True, slots=True)
class Openers:
    """The edges that open a target: each runs the model in a limited child process.

    ``certifier``, ``bench`` and ``recipe`` start their processes when a check first asks them;
    ``cascade`` makes one model of two that are open. ``generator`` is held against rows that the
    model takes.
    """

    inspect: Inspect
    model: OpenModel
    twin: OpenTwin
    certifier: OpenCertifier
    bench: OpenBench
    cascade: JoinCascade
    recipe: OpenRecipe
    generator: OpenGenerator


@dataclass(frozen=True, slots=True)
class Staged:
    """An artifact and the folder in which its files lie."""

    artifact: Artifact
    folder: Path


@dataclass(frozen=True, slots=True)
class ShadowsSource:
    """Ready shadow models where they were staged, and which rows ``[k, rows]`` of each dataset
    they learnt from.
    """

    models: tuple[Staged, ...]
    include: Mapping[Role, Include]
    ref: ShadowsRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
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
    datasets: Mapping[Role, Dataset]
    seed: int
    budget: Budget
    twin: TwinSource = field(default_factory=TwinSource)
    show_examples: bool = False
    claims: Mapping[str, Json] = field(default_factory=dict)
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parent: Staged | None = None
    reference: TargetSpec | None = None
    privacy_claim: StatedClaim | None = None
    recipe: RecipeSource | None = None
    shadows: ShadowsSource | None = None
    generator: Staged | None = None
    wants_generator: bool = True
    supply: Supply = field(default_factory=Supply)

    @property
    def deployed(self) -> Staged | None:
        """The artifact where it was staged."""
        return None if self.artifact is None else Staged(self.artifact, self.staged)

    @property
    def copies(self) -> Mapping[str, Path]:
        """The copy of every staged model's file, by its hexadecimal SHA-256."""
        shadows = () if self.shadows is None else self.shadows.models
        held = [item for item in (self.deployed, self.parent, self.generator, *shadows) if item]
        return {file.sha256: it.folder / file.name for it in held for file in it.artifact.files}

    def rows(self, count: int) -> Array | None:
        """Return the first ``count`` inputs of the audit's permutation, if there are any."""
        dataset = self.datasets.get(Role.EVALUATION)
        if dataset is None or dataset.inputs is None:
            return None
        return dataset.inputs[permutation(self.seed, dataset.rows)[:count]]
