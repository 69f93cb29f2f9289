"""What was asked: everything that an audit depends on, by digest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json, digest_json
from auditor.domain.disclosures import Disclosure
from auditor.domain.recipes import RecipeRef
from auditor.domain.shadows import ShadowsRef
from auditor.domain.targets import TargetSpec
from auditor.domain.trust import TrustRef
from auditor.domain.waivers import WaiverRef

UNDRAWN = 0
"""The seed of a request that is registered before its seed is drawn."""
JUDGED = ("evaluation", "production")
"""The roles of data whose rows a model is judged on."""


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
class Attempt:
    """Which audit of its model's line this is at a service, from 1, under a policy's name.

    ``sealed``: the seed was nobody's choice. ``proof`` is what it follows from: the ledger's proof
    that the request was registered before there was a seed. ``policy`` is the one under which it
    was asked, where another one judges by now. ``sets`` are names of data that the auditor holds,
    ``held`` the roles of these. ``by_data``: so many audits were asked for on its data, whatever
    the model, and fewer of its line.
    """

    number: int
    sealed: bool = False
    proof: str | None = None
    policy: PolicyRef | None = None
    sets: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    by_data: bool = False

    def to_json(self) -> dict[str, Json]:
        """Return the record's form; what is seldom so is said where it is so."""
        return {
            "number": self.number,
            **({"sealed": True} if self.sealed else {}),
            **({} if self.proof is None else {"proof": self.proof}),
            **({} if self.policy is None else {"policy": self.policy.to_json()}),
            **({"sets": list(self.sets)} if self.sets else {}),
            **({"held": list(self.held)} if self.held else {}),
            **({"by_data": True} if self.by_data else {}),
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """What a service adds to what it is asked: the seed that it drew or was given, the attempt."""

    seed: int
    attempt: Attempt | None

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent."""
        return {
            "seed": self.seed,
            "attempt": None if self.attempt is None else self.attempt.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """What an audit was asked to do. Its digest is registered before anything runs.

    ``artifact`` is ``None`` in a predictions-only audit; then ``name`` and ``version`` still say
    which model made the predictions. Where they were named, ``parent`` is the model that the
    artifact was made from, ``reference`` the target to compare with, ``recipe`` the code that
    trains, ``shadows`` models that were trained so, ``generator`` what makes rows, ``documents``
    what came with the model and speaks of its parts, ``trust`` who may have signed it, ``system``
    and ``risks`` what the owners declare (documents among the evidence), ``waivers`` the signed
    leave of rules, ``baseline`` the record that limits are taken from. Where rows are to be
    withheld later (``disclosure``), its data are named by hidden digests. Services alone count
    (``attempt``). ``declared`` are settings of the audit file that make rules easier to keep, and
    all that can be pinned where the policy pins any; ``None`` where there are none.
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
    system: str | None = None
    risks: str | None = None
    waivers: tuple[WaiverRef, ...] = ()
    baseline: str | None = None
    attempt: Attempt | None = None
    declared: Mapping[str, Json] | None = None

    @property
    def undrawn(self) -> "AuditRequest":
        """The request of a sealed audit as it was registered before its seed was drawn.

        Judging again changes the policy and what rests on it, and nothing that was asked for.
        """
        attempt = self.attempt or Attempt(number=0)
        return replace(
            self,
            seed=UNDRAWN,
            policy=attempt.policy or self.policy,
            waivers=(),
            baseline=None,
            attempt=replace(attempt, sealed=True, proof=None, policy=None),
        )

    @property
    def brought(self) -> tuple[str, ...]:
        """The roles of the rows that are judged and that the auditor does not hold.

        An audit without such data is judged by what whoever asked says of evaluation rows.
        """
        held = () if self.attempt is None else self.attempt.held
        judged = {item.role for item in self.datasets}.intersection(JUDGED)
        return tuple(sorted((judged or {"evaluation"}).difference(held)))

    @property
    def sealed(self) -> bool:
        """Whether whoever asked chose neither the seed nor the rows that are judged."""
        return self.attempt is not None and self.attempt.sealed and not self.brought

    def under(self, policy: PolicyRef) -> "AuditRequest":
        """Return the request as another policy judges it; attempts stay those under the first."""
        attempt = self.attempt
        if attempt is not None and attempt.policy is None and policy != self.policy:
            attempt = replace(attempt, policy=self.policy)
        return replace(self, policy=policy, attempt=attempt)

    @property
    def turn(self) -> Turn:
        """What was added to what the audit file says, so that it can be repeated."""
        return Turn(self.seed, self.attempt)

    @property
    def leave(self) -> frozenset[str]:
        """The digests of the waivers' bundles and keys, which lie among the evidence."""
        return frozenset(name for item in self.waivers for name in (item.digest, item.key))

    @property
    def papers(self) -> Mapping[str, str]:
        """The digests of the documents that lie among the evidence, by their role."""
        beside = {"system": self.system, "risks": self.risks, "baseline": self.baseline}
        named = {role: item for role, item in beside.items() if item is not None}
        return {"policy": self.policy.digest, **named}

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
        if self.waivers:
            found["waivers"] = [item.to_json() for item in self.waivers]
        found |= {} if self.attempt is None else {"attempt": self.attempt.to_json()}
        found |= {} if self.declared is None else {"declared": dict(self.declared)}
        return found | {role: item for role, item in self.papers.items() if role != "policy"}
