"""What was asked: everything that an audit depends on, by digest."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json, digest_json
from auditor.domain.disclosures import Disclosure
from auditor.domain.recipes import RecipeRef
from auditor.domain.shadows import ShadowsRef
from auditor.domain.targets import TargetSpec
from auditor.domain.trust import TrustRef


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A dataset by role, digest and number of rows."""

    role: str
    digest: str
    rows: int

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {"role": self.role, "digest": self.digest, "rows": self.rows}


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy by name, version and digest."""

    name: str
    version: str
    digest: str

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {"name": self.name, "version": self.version, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file that the audit file names: the path as written there, and its digest.

    A folder of images, or a model with external data, gives one entry a file.
    """

    path: str
    file: FileDigest

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {"path": self.path, **self.file.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """What an audit was asked to do. Its digest is registered before anything runs.

    ``artifact`` is ``None`` in a predictions-only audit; then ``name`` and ``version`` still say
    which model made the predictions. Where they were named, ``parent`` is the model that the
    artifact was made from, ``reference`` the target to compare with, ``recipe`` the code that
    trains, ``shadows`` models that were trained so, ``generator`` what makes rows, ``documents``
    what came with the model and speaks of its parts, ``trust`` who may have signed it. Where rows
    are to be withheld later (``disclosure``), its data are named by hidden digests.
    """

    name: str
    version: str
    artifact: Artifact | None
    targets: tuple[TargetSpec, ...]
    datasets: tuple[DatasetRef, ...]
    policy: PolicyRef
    audit_file: str
    seed: int
    budget: Budget
    only: tuple[str, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    tags: tuple[str, ...] = ()
    claims: Mapping[str, Json] = field(default_factory=dict)
    show_examples: bool = False
    parent: Artifact | None = None
    reference: TargetSpec | None = None
    recipe: RecipeRef | None = None
    shadows: ShadowsRef | None = None
    generator: Artifact | None = None
    documents: tuple[FileDigest, ...] = ()
    trust: TrustRef | None = None
    disclosure: Disclosure | None = None

    @property
    def digest(self) -> str:
        """Digest of the whole request."""
        return digest_json(self.to_json())

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {
            "artifact": {
                "name": self.name,
                "version": self.version,
                "digest": None if self.artifact is None else self.artifact.digest,
                "files": []
                if self.artifact is None
                else [file.to_json() for file in self.artifact.files],
            },
            "targets": [target.name for target in self.targets],
            "target_specs": [target.to_json() for target in self.targets],
            "datasets": [dataset.to_json() for dataset in self.datasets],
            "policy": self.policy.to_json(),
            "audit_file": self.audit_file,
            "seed": self.seed,
            "budget": self.budget.value,
            "only": list(self.only),
            "inputs": [item.to_json() for item in self.inputs],
            "tags": list(self.tags),
            "claims": dict(self.claims),
            "show_examples": self.show_examples,
            **self._beside(),
        }

    def _beside(self) -> dict[str, Json]:
        """Say what stands beside the audited model, where there is anything."""
        found: dict[str, Json] = {}
        for name, model in (("parent", self.parent), ("generator", self.generator)):
            if model is not None:
                files: list[Json] = [file.to_json() for file in model.files]
                found[name] = {"digest": model.digest, "files": files}
        if self.reference is not None:
            found["reference"] = self.reference.to_json()
        if self.recipe is not None:
            found["recipe"] = self.recipe.to_json()
        if self.shadows is not None:
            found["shadows"] = self.shadows.to_json()
        if self.trust is not None:
            found["trust"] = self.trust.to_json()
        if self.documents:
            found["documents"] = [file.to_json() for file in self.documents]
        if self.disclosure is not None:
            found["disclosure"] = self.disclosure.value
        return found
