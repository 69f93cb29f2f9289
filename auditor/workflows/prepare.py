"""Everything that an audit needs, read and digested before anything runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from auditor._scratch import scratch_folder
from auditor.checks.measure import instantiate_check
from auditor.domain.ai_system import NOTHING, SystemDossier
from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.checks import Check, Need, uses_need
from auditor.domain.datasets import DatasetRole
from auditor.domain.json import Json, compute_digest
from auditor.domain.models import Model, TwinKind
from auditor.domain.name_suggestions import describe_unknown_name
from auditor.domain.policies import Policy
from auditor.domain.policy_pins import EASING, SETTINGS, drop_default_settings
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, DatasetRef, PolicyRef, ServiceAdditions
from auditor.domain.source_locations import SourceLocations
from auditor.domain.targets import TargetSpec
from auditor.domain.waivers import SignedWaiver
from auditor.errors import UsageError
from auditor.inputs.auditfile.privacy_claim import PRIVACY
from auditor.inputs.auditfile.read import ResolveTarget, read_audit_file
from auditor.inputs.auditfile.system import stage_dossier
from auditor.inputs.datasets.load import LoadedDatasets, load_datasets
from auditor.inputs.resolve import Locate, load_audit_policy
from auditor.policy.check_parameters import resolve_check_parameters
from auditor.trust.disclosure import DisclosureKey, conceal_inputs
from auditor.trust.policies.evidence import read_given_policy
from auditor.workflows.audit_size import measure_audit_size
from auditor.workflows.engine.target_factory import AuditInputs
from auditor.workflows.engine.time_allowance import TimeAllowance
from auditor.workflows.inputs import Inputs, StagedFiles, stage_inputs
from auditor.workflows.waivers import stage_waivers


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOverrides:
    """What the command line says in place of the audit file, or beside it.

    Neither a record ``judged_again`` nor another ``policy`` need have the rules that risks name.
    ``turn`` is what a service added when it registered the request.
    ``waivers`` and ``waiver_keys`` come beside those that the audit file names; ``granted``, the
    waivers of a record, in place of all of them. ``baseline`` comes before the audit file's.
    ``unsandboxed`` is the leave to run a recipe without bubblewrap, which no file gives alone.
    """

    policy: str | None = None
    targets: tuple[str, ...] = ()
    budget: Budget | None = None
    only: tuple[str, ...] = ()
    judged_again: bool = False
    waivers: tuple[Path, ...] = ()
    waiver_keys: tuple[Path, ...] = ()
    granted: tuple[SignedWaiver, ...] | None = None
    baseline: str | None = None
    baseline_key: Path | None = None
    turn: ServiceAdditions | None = None
    unsandboxed: bool = False


@dataclass(frozen=True, slots=True)
class Resolvers:
    """How names become things: targets, policies, and the checks there are."""

    resolve_target: ResolveTarget
    load_policy: Callable[[str], Policy]
    checks: Mapping[str, type[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAudit:
    """An audit that is ready to run: what was asked, by which policy, with which materials.

    ``compared`` is the record that limits are taken from, where one is given.
    ``key`` is the record's own where rows of its evidence can be withheld; ``places`` say where the
    audit file and the policy are written.
    """

    file: AuditFile
    policy: Policy
    checks: tuple[Check, ...]
    request: AuditRequest
    materials: AuditInputs
    size: AuditSize
    key: bytes | None = None
    dossier: SystemDossier = NOTHING
    waivers: tuple[SignedWaiver, ...] = ()
    places: SourceLocations | None = None
    compared: AuditRecord | None = None

    def against(self, record: AuditRecord | None) -> "PreparedAudit":
        """Return the audit held against a record whose signature holds, if there is one."""
        named = None if record is None else record.digest
        return replace(self, request=replace(self.request, baseline=named), compared=record)

    def wants_twin(self, spec: TargetSpec, model: Model) -> bool:
        """Whether a check that the target can bear would use a twin, and the owner allows one."""
        if self.file.model.twin == TwinKind.NONE:
            return False
        return TimeAllowance(spec, self.size, self.request.budget).wants_twin(self.checks, model)


def read_overridden_audit_file(
    raw: bytes, source: str, overrides: AuditOverrides, readers: Resolvers
) -> AuditFile:
    """Read an audit file and put the overrides in. Raises ``AuditFileError``, ``TargetError``."""
    file = read_audit_file(raw, source, readers.resolve_target)
    declared = {spec.name: spec for spec in file.targets}
    targets = tuple(
        declared[name] if name in declared else readers.resolve_target(name)
        for name in overrides.targets
    )
    return replace(
        file,
        policy=overrides.policy or file.policy,
        targets=targets or file.targets,
        budget=overrides.budget or file.budget,
        seed=file.seed if overrides.turn is None else overrides.turn.seed,
    )


@contextmanager
def prepare_audit(
    file: AuditFile, locate: Locate, overrides: AuditOverrides, readers: Resolvers
) -> Iterator[PreparedAudit]:
    """Read and digest all that ``file`` names; the staged artifact lasts as long as the block.

    ``locate`` turns a path as written into where the file lies. Raises ``InvalidInputError`` of
    the kind of file that is wrong.
    """
    policy = load_audit_policy(file, readers.load_policy, own=overrides.policy is None)
    another = overrides.judged_again or overrides.policy is not None
    rules = None if another else frozenset(rule.id for rule in policy.rules)
    dossier, papers = stage_dossier(file, locate, rules)
    waivers = overrides.granted
    if waivers is None:
        waivers = stage_waivers(file, locate, overrides.waivers, overrides.waiver_keys)
    loaded = load_datasets(file, locate)
    with scratch_folder() as root:
        staged = stage_inputs(file, locate, loaded, root)
        checks = choose_checks(readers.checks, policy, file.budget, overrides.only)
        wanted = any(uses_need(check, Need.GENERATOR) for check in checks)
        request = _request(file, policy, loaded, staged, overrides.only)
        yield PreparedAudit(
            file=file,
            policy=policy,
            checks=checks,
            request=replace(
                _beside(request, staged, dossier, papers),
                waivers=tuple(item.ref for item in waivers),
                attempt=None if overrides.turn is None else overrides.turn.attempt,
            ),
            materials=replace(staged.materials, wants_generator=wanted),
            size=measure_audit_size(file, loaded, staged.materials),
            dossier=dossier,
            waivers=waivers,
        )


def conceal_rows(prepared: PreparedAudit, key: bytes) -> tuple[PreparedAudit, DisclosureKey]:
    """Return an audit whose record can withhold rows under ``key``, and what is kept apart of it.

    From here on its request names data by digests that nobody can try out.
    """
    paths = {section.path for section in prepared.file.data.values()}
    request, secret = conceal_inputs(prepared.request, paths, key)
    return replace(prepared, request=request, key=key), secret


def choose_checks(
    checks: Mapping[str, type[Check]], policy: Policy, budget: Budget, only: Sequence[str]
) -> tuple[Check, ...]:
    """Make the checks that will run, with the parameters of the budget and the policy.

    Raises ``UsageError`` when ``only`` names what is no check.
    """
    strangers = sorted(set(only) - set(checks))
    if strangers:
        cure = "`auditor checks list` names all."
        raise UsageError(describe_unknown_name("check", strangers, checks), cure=cure)
    return tuple(
        instantiate_check(check, resolve_check_parameters(check, policy, budget))
        for name, check in checks.items()
        if not only or name in only
    )


def _request(
    file: AuditFile,
    policy: Policy,
    loaded: LoadedDatasets,
    staged: StagedFiles,
    only: tuple[str, ...],
) -> AuditRequest:
    brought = staged.materials
    return AuditRequest(
        name=file.model.name,
        version=file.model.version,
        artifact=brought.artifact,
        targets=file.targets,
        datasets=_datasets(loaded),
        policy=PolicyRef(policy.name, policy.version, policy.digest),
        audit_file=compute_digest(file.raw),
        seed=file.seed,
        budget=file.budget,
        only=only,
        inputs=staged.inputs,
        tags=file.model.tags,
        claims=_claims(file, brought),
        show_examples=file.show_examples,
        parent=None if brought.parent is None else brought.parent.artifact,
        reference=file.reference,
        recipe=None if brought.recipe is None else brought.recipe.ref,
        shadows=None if brought.shadows is None else brought.shadows.ref,
        generator=None if brought.generator is None else brought.generator.artifact,
        documents=tuple(item.file for item in brought.supply.documents),
        declared=_declared(file, loaded, brought, policy),
    )


def _declared(
    file: AuditFile, loaded: LoadedDatasets, brought: AuditInputs, policy: Policy
) -> dict[str, Json] | None:
    """Return what the audit file declares that a policy can pin, as a record keeps it.

    Only what can make rules easier to keep, unless the policy pins settings.
    """
    task, space = file.task, file.input
    schema = next((it.file.sha256 for it in loaded.inputs if it.path == space.features), None)
    data = file.data.get(DatasetRole.EVALUATION)
    features = () if isinstance(loaded.space, Gap) else loaded.space.features
    relations = () if isinstance(loaded.space, Gap) else loaded.space.relations
    found: dict[str, Json] = {
        "task.threshold": task.threshold,
        "task.costs": None if task.costs is None else {k: dict(v) for k, v in task.costs.items()},
        "task.reject": task.reject,
        "task.tolerance": task.tolerance,
        "input.quantum": space.quantum,
        "input.immutable": [item.name for item in features if item.immutable],
        "input.directions": [item.name for item in features if item.direction is not None],
        "input.relations": len(relations),
        "data.evaluation.cluster": None if data is None else data.cluster,
        "task.classes": None if task.classes is None else list(task.classes),
        "task.positive": task.positive,
        "task.favourable": task.favourable,
        "task.output": task.output.value,
        "input.domain": None if space.domain is None else list(space.domain),
        "input.features": None if schema is None else f"sha256:{schema}",
        "input.text": space.text,
        "data.evaluation.labels": None if data is None else data.labels,
        "data.evaluation.groups": [] if data is None else list(data.groups),
        **_declared_beside(file, brought),
    }
    whole = policy.pins.settings is not None
    names = SETTINGS if whole else EASING
    said = drop_default_settings({name: found[name] for name in names})
    return said if said or whole else None


def _declared_beside(file: AuditFile, brought: AuditInputs) -> dict[str, Json]:
    """Return what stands beside the task and the inputs: other columns, and whom it is held to."""
    data, twin, signature = file.data.get(DatasetRole.EVALUATION), brought.twin, brought.signature
    trust, elsewhere = signature.trust, file.reference
    people: dict[str, Json] = {name: dict(shares) for name, shares in file.population.items()}
    return {
        "data.evaluation.id": None if data is None else data.id,
        "data.evaluation.slices": [] if data is None else list(data.slices),
        "data.evaluation.scores": [] if data is None else list(data.scores),
        "data.evaluation.predictions": None if data is None else data.predictions,
        "data.evaluation.time": None if data is None else data.time,
        "data.evaluation.as_of": None if data is None else data.as_of,
        "model.tags": list(file.model.tags),
        "model.twin": twin.digest or twin.kind.value,
        "model.key": None if signature.key is None else compute_digest(signature.key),
        "model.trust": None if trust is None else read_given_policy(trust).ref.digest,
        "reference": None if elsewhere is None else elsewhere.to_json(),
        "population": people or None,
    }


def _beside(
    request: AuditRequest, staged: StagedFiles, dossier: SystemDossier, papers: Inputs
) -> AuditRequest:
    (system, risks), given = dossier.digests, staged.materials.signature.trust
    return replace(
        request,
        inputs=(*request.inputs, *papers),
        trust=None if given is None else read_given_policy(given).ref,
        system=system,
        risks=risks,
    )


def _datasets(loaded: LoadedDatasets) -> tuple[DatasetRef, ...]:
    known = loaded.datasets.items()
    return tuple(DatasetRef(role.value, item.digest, item.rows) for role, item in known)


def _claims(file: AuditFile, materials: AuditInputs) -> dict[str, Json]:
    """Return what the owner claims: numbers of the audit file, and what is claimed of privacy."""
    stated = materials.privacy_claim
    if stated is None:
        return dict(file.claims)
    said: Json = {
        "epsilon": stated.claim.epsilon,
        "delta": stated.claim.delta,
        "file": f"sha256:{stated.file.sha256}",
    }
    return {**file.claims, PRIVACY: said}
