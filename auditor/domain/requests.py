"""Audit requests: everything that an audit depends on, by digest, and how to read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.json import Json, JsonPart, digest_json
from auditor.domain.shadow_models import ShadowsRef
from auditor.domain.target_json import read_target
from auditor.domain.targets import TargetSpec
from auditor.domain.training_recipes import RecipeRef
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
class AuditAttempt:
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
class ServiceAdditions:
    """What a service adds to what it is asked: the seed that it drew or was given, the attempt."""

    seed: int
    attempt: AuditAttempt | None

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
    disclosure: DisclosureMode | None = None
    system: str | None = None
    risks: str | None = None
    waivers: tuple[WaiverRef, ...] = ()
    baseline: str | None = None
    attempt: AuditAttempt | None = None
    declared: Mapping[str, Json] | None = None

    @property
    def undrawn(self) -> "AuditRequest":
        """The request of a sealed audit as it was registered before its seed was drawn.

        Judging again changes the policy and what rests on it, and nothing that was asked for.
        """
        attempt = self.attempt or AuditAttempt(number=0)
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
    def turn(self) -> ServiceAdditions:
        """What was added to what the audit file says, so that it can be repeated."""
        return ServiceAdditions(self.seed, self.attempt)

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


def read_request(part: JsonPart) -> AuditRequest:
    """Read what was asked. Raises ``RecordError`` for what is none."""
    artifact = part.part("artifact")
    name, version = artifact.name("name"), artifact.name("version")
    return AuditRequest(
        name=name,
        version=version,
        artifact=_artifact(artifact, name, version),
        targets=part.list_of("target_specs", read_target),
        datasets=part.list_of("datasets", _dataset),
        policy=_policy(part.part("policy")),
        audit_file=part.get("audit_file", str),
        seed=part.get("seed", int),
        budget=part.choice("budget", Budget),
        only=part.texts("only"),
        inputs=part.list_of("inputs", read_input_file),
        tags=part.texts("tags"),
        claims=part.mapping("claims"),
        show_examples=part.get("show_examples", bool),
        parent=_model(part, "parent", name, version),
        reference=read_target(part.part("reference")) if part.value.get("reference") else None,
        recipe=_recipe(part.part("recipe")) if part.value.get("recipe") else None,
        shadows=_shadows(part.part("shadows")) if part.value.get("shadows") else None,
        generator=_model(part, "generator", name, version),
        documents=part.list_of("documents", _file) if part.value.get("documents") else (),
        trust=_trust(part.part("trust")) if part.value.get("trust") else None,
        disclosure=part.choice("disclosure", DisclosureMode)
        if part.value.get("disclosure")
        else None,
        waivers=part.list_of("waivers", _waiver) if part.value.get("waivers") else (),
        attempt=read_service_additions(part).attempt,
        declared=None if part.value.get("declared") is None else part.mapping("declared"),
        **_papers(part),
    )


def read_service_additions(part: JsonPart) -> ServiceAdditions:
    """Read what a service added to what it was asked. Raises ``RecordError`` for what is none."""
    attempt = read_attempt(part.part("attempt")) if part.value.get("attempt") else None
    return ServiceAdditions(part.get("seed", int), attempt)


def read_attempt(part: JsonPart) -> AuditAttempt:
    """Read which attempt it is. Raises ``RecordError`` for what is none."""
    return AuditAttempt(
        number=part.get("number", int),
        sealed=part.maybe("sealed", bool) or False,
        proof=part.maybe("proof", str),
        policy=_policy(part.part("policy")) if part.value.get("policy") else None,
        sets=part.texts("sets") if part.value.get("sets") else (),
        held=part.texts("held") if part.value.get("held") else (),
        by_data=part.maybe("by_data", bool) or False,
    )


def _papers(part: JsonPart) -> dict[str, str | None]:
    roles = ("system", "risks", "baseline")
    return {role: part.get(role, str) if part.value.get(role) else None for role in roles}


def _artifact(part: JsonPart, name: str, version: str) -> Artifact | None:
    files = part.list_of("files", _file)
    return Artifact(name, version, files) if files else None


def _model(part: JsonPart, role: str, name: str, version: str) -> Artifact | None:
    if part.value.get(role) is None:
        return None
    files = part.part(role).list_of("files", _file)
    return Artifact(f"{name} ({role})", version, files)


def _shadows(part: JsonPart) -> ShadowsRef:
    return ShadowsRef(
        models=part.texts("models"),
        inclusion=part.get("inclusion", str),
        rows=part.texts("rows"),
    )


def _recipe(part: JsonPart) -> RecipeRef:
    return RecipeRef(
        digest=part.get("digest", str),
        function=part.get("function", str),
        dp_train=part.maybe("dp_train", str),
        allowed=part.get("allowed", bool),
        unsandboxed=part.maybe("unsandboxed", bool) or False,
    )


def _trust(part: JsonPart) -> TrustRef:
    return TrustRef(part.get("name", str), part.get("version", int), part.get("digest", str))


def _waiver(part: JsonPart) -> WaiverRef:
    digest, waiver, key = (part.get(name, str) for name in ("digest", "waiver", "key"))
    return WaiverRef(digest, waiver, key, part.get("file", str))


def _file(part: JsonPart) -> FileDigest:
    return FileDigest(part.get("name", str), part.get("size", int), part.get("sha256", str))


def read_input_file(part: JsonPart) -> InputFile:
    """Return a file that an audit file names, as a request keeps it."""
    return InputFile(part.get("path", str), _file(part))


def _dataset(part: JsonPart) -> DatasetRef:
    return DatasetRef(part.get("role", str), part.get("digest", str), part.get("rows", int))


def _policy(part: JsonPart) -> PolicyRef:
    return PolicyRef(part.name("name"), part.name("version"), part.get("digest", str))
