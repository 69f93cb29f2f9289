"""Audit requests: everything that an audit depends on, by digest, and how to read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.digests import Digest
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.export_origin import ExportOrigin
from auditor.domain.json import (
    Json,
    JsonPart,
    Name,
    OmitUnset,
    digest_json,
    read_fields,
    read_json,
    write_fields,
)
from auditor.domain.shadow_models import ShadowsRef
from auditor.domain.targets import TargetSpec
from auditor.domain.training_recipes import RecipeRef
from auditor.domain.trust_context import TrustRef
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

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy by name, version and digest."""

    name: Name
    version: Name
    digest: str

    to_json = write_fields


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

    @classmethod
    def from_json(cls, found: Json, place: str) -> "InputFile":
        """Read it from the record's form. Raises ``RecordError``."""
        part = JsonPart(found, place)
        return read_fields(cls, part, file=read_json(FileDigest, found, place))


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
    sealed: OmitUnset[bool] = False
    proof: OmitUnset[str | None] = None
    policy: OmitUnset[PolicyRef | None] = None
    sets: OmitUnset[tuple[str, ...]] = ()
    held: OmitUnset[tuple[str, ...]] = ()
    by_data: OmitUnset[bool] = False

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class ServiceAdditions:
    """What a service adds to what it is asked: the seed that it drew or was given, the attempt."""

    seed: int
    attempt: AuditAttempt | None

    to_json = write_fields


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
    all that can be pinned where the policy pins any; ``None`` where there are none. ``exported`` is
    the owner's word on what the artifact was exported from. ``max_minutes`` of target time come in
    place of those of the budget (``seconds``). ``uncompared`` are columns of the evaluation data
    with names of people's attributes that the audit file names as no groups; ``labels`` is the
    column of them that decisions are compared with.
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
    parent: OmitUnset[Artifact | None] = None
    reference: OmitUnset[TargetSpec | None] = None
    recipe: OmitUnset[RecipeRef | None] = None
    shadows: OmitUnset[ShadowsRef | None] = None
    generator: OmitUnset[Artifact | None] = None
    documents: OmitUnset[tuple[FileDigest, ...]] = ()
    trust: OmitUnset[TrustRef | None] = None
    disclosure: OmitUnset[DisclosureMode | None] = None
    system: OmitUnset[str | None] = None
    risks: OmitUnset[str | None] = None
    waivers: OmitUnset[tuple[WaiverRef, ...]] = ()
    baseline: OmitUnset[str | None] = None
    attempt: OmitUnset[AuditAttempt | None] = None
    declared: OmitUnset[Mapping[str, Json] | None] = None
    exported: OmitUnset[ExportOrigin | None] = None
    max_minutes: OmitUnset[float | None] = None
    uncompared: OmitUnset[tuple[str, ...]] = ()
    labels: OmitUnset[str | None] = None

    @property
    def seconds(self) -> float:
        """Seconds of target time that the audit may take on each target."""
        return self.budget.seconds if self.max_minutes is None else self.max_minutes * 60

    @property
    def task(self) -> str:
        """The kind of task as declared: a regression has a tolerance, and no other task does."""
        return "regression" if "task.tolerance" in (self.declared or {}) else "classification"

    @property
    def predictions_only(self) -> bool:
        """Whether the audit was given neither a model file nor a target that answers for one."""
        return self.artifact is None and not any(item.brings_model for item in self.targets)

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
    def digest(self) -> Digest:
        """Digest of the whole request."""
        return digest_json(self.to_json())

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        said = write_fields(self)
        name, version, model = said.pop("name"), said.pop("version"), self.artifact
        files = {"digest": None, "files": []} if model is None else model.to_json()
        return said | {
            "artifact": {"name": name, "version": version, **files},
            "targets": [target.name for target in self.targets],
            "target_specs": said["targets"],
        }

    @classmethod
    def from_json(cls, found: Json, place: str) -> "AuditRequest":
        """Read what was asked. Raises ``RecordError`` for what is none."""
        part = JsonPart(found, place)
        about = part.part("artifact")
        name, version = about.name("name"), about.name("version")
        files = about.get("files", tuple[FileDigest, ...])
        beside = {
            role: Artifact(
                f"{name} ({role})", version, part.part(role).get("files", tuple[FileDigest, ...])
            )
            for role in ("parent", "generator")
            if role in part.value
        }
        return read_fields(
            cls,
            part,
            name=name,
            version=version,
            artifact=Artifact(name, version, files) if files else None,
            targets=part.get("target_specs", tuple[TargetSpec, ...]),
            **beside,
        )
