"""Everything that an audit needs, read and digested before anything runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.auditfiles.privacy_claims import PRIVACY
from auditor.auditfiles.reading import ResolveTarget, read_audit_file
from auditor.datasets.loading import LoadedDatasets, load_datasets
from auditor.disclosing.secrets import Secret, conceal
from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import Budget, Size
from auditor.domain.canonical import Json, digest
from auditor.domain.checks import Check, Need, would_use
from auditor.domain.datasets import Role
from auditor.domain.dossiers import NOTHING, Dossier
from auditor.domain.models import Model
from auditor.domain.nearest import unknown
from auditor.domain.pins import EASING, SETTINGS, stated
from auditor.domain.places import Places
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, DatasetRef, PolicyRef, Turn
from auditor.domain.targets import TargetSpec
from auditor.domain.twins import TwinKind
from auditor.domain.waivers import SignedWaiver
from auditor.dossiers import stage_dossier
from auditor.engines.affording import Allowance
from auditor.engines.openers import Materials
from auditor.errors import UsageError
from auditor.granting import stage_waivers
from auditor.handing import Inputs
from auditor.measuring import instantiate
from auditor.packs.parameters import parameters_for
from auditor.pointing import Locate, policy_of
from auditor.scratch import scratch_folder
from auditor.sizing import size_of
from auditor.staging import StagedFiles, stage_all
from auditor.trusting.evidence import policy_given


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
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
    turn: Turn | None = None
    unsandboxed: bool = False


@dataclass(frozen=True, slots=True)
class Readers:
    """How names become things: targets, policies, and the checks there are."""

    resolve_target: ResolveTarget
    load_policy: Callable[[str], Policy]
    checks: Mapping[str, type[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An audit that is ready to run: what was asked, by which policy, with which materials.

    ``compared`` is the record that limits are taken from, where one is given.
    ``key`` is the record's own where rows of its evidence can be withheld; ``places`` say where the
    audit file and the policy are written.
    """

    file: AuditFile
    policy: Policy
    checks: tuple[Check, ...]
    request: AuditRequest
    materials: Materials
    size: Size
    key: bytes | None = None
    dossier: Dossier = NOTHING
    waivers: tuple[SignedWaiver, ...] = ()
    places: Places | None = None
    compared: AuditRecord | None = None

    def against(self, record: AuditRecord | None) -> "Prepared":
        """Return the audit held against a record whose signature holds, if there is one."""
        named = None if record is None else record.digest
        return replace(self, request=replace(self.request, baseline=named), compared=record)

    def wants_twin(self, spec: TargetSpec, model: Model) -> bool:
        """Whether a check that the target can bear would use a twin, and the owner allows one."""
        if self.file.model.twin == TwinKind.NONE:
            return False
        return Allowance(spec, self.size, self.request.budget).wants_twin(self.checks, model)


def read_asked(raw: bytes, source: str, overrides: Overrides, readers: Readers) -> AuditFile:
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
def prepare(
    file: AuditFile, locate: Locate, overrides: Overrides, readers: Readers
) -> Iterator[Prepared]:
    """Read and digest all that ``file`` names; the staged artifact lasts as long as the block.

    ``locate`` turns a path as written into where the file lies. Raises ``InvalidInputError`` of
    the kind of file that is wrong.
    """
    policy = policy_of(file, readers.load_policy, own=overrides.policy is None)
    another = overrides.judged_again or overrides.policy is not None
    rules = None if another else frozenset(rule.id for rule in policy.rules)
    dossier, papers = stage_dossier(file, locate, rules)
    waivers = overrides.granted
    if waivers is None:
        waivers = stage_waivers(file, locate, overrides.waivers, overrides.waiver_keys)
    loaded = load_datasets(file, locate)
    with scratch_folder() as root:
        staged = stage_all(file, locate, loaded, root)
        checks = chosen_checks(readers.checks, policy, file.budget, overrides.only)
        wanted = any(would_use(check, Need.GENERATOR) for check in checks)
        request = _request(file, policy, loaded, staged, overrides.only)
        yield Prepared(
            file=file,
            policy=policy,
            checks=checks,
            request=replace(
                _beside(request, staged, dossier, papers),
                waivers=tuple(item.ref for item in waivers),
                attempt=None if overrides.turn is None else overrides.turn.attempt,
            ),
            materials=replace(staged.materials, wants_generator=wanted),
            size=size_of(file, loaded, staged.materials),
            dossier=dossier,
            waivers=waivers,
        )


def concealed(prepared: Prepared, key: bytes) -> tuple[Prepared, Secret]:
    """Return an audit whose record can withhold rows under ``key``, and what is kept apart of it.

    From here on its request names data by digests that nobody can try out.
    """
    paths = {section.path for section in prepared.file.data.values()}
    request, secret = conceal(prepared.request, paths, key)
    return replace(prepared, request=request, key=key), secret


def chosen_checks(
    checks: Mapping[str, type[Check]], policy: Policy, budget: Budget, only: Sequence[str]
) -> tuple[Check, ...]:
    """Make the checks that will run, with the parameters of the budget and the policy.

    Raises ``UsageError`` when ``only`` names what is no check.
    """
    strangers = sorted(set(only) - set(checks))
    if strangers:
        cure = "`auditor checks list` names all."
        raise UsageError(unknown("check", strangers, checks), cure=cure)
    return tuple(
        instantiate(check, parameters_for(check, policy, budget))
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
        audit_file=digest(file.raw),
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
    file: AuditFile, loaded: LoadedDatasets, brought: Materials, policy: Policy
) -> dict[str, Json] | None:
    """Return what the audit file declares that a policy can pin, as a record keeps it.

    Only what can make rules easier to keep, unless the policy pins settings.
    """
    task, space = file.task, file.input
    schema = next((it.file.sha256 for it in loaded.inputs if it.path == space.features), None)
    data = file.data.get(Role.EVALUATION)
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
    said = stated({name: found[name] for name in names})
    return said if said or whole else None


def _declared_beside(file: AuditFile, brought: Materials) -> dict[str, Json]:
    """Return what stands beside the task and the inputs: other columns, and whom it is held to."""
    data, twin, signature = file.data.get(Role.EVALUATION), brought.twin, brought.signature
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
        "model.key": None if signature.key is None else digest(signature.key),
        "model.trust": None if trust is None else policy_given(trust).ref.digest,
        "reference": None if elsewhere is None else elsewhere.to_json(),
        "population": people or None,
    }


def _beside(
    request: AuditRequest, staged: StagedFiles, dossier: Dossier, papers: Inputs
) -> AuditRequest:
    (system, risks), given = dossier.digests, staged.materials.signature.trust
    return replace(
        request,
        inputs=(*request.inputs, *papers),
        trust=None if given is None else policy_given(given).ref,
        system=system,
        risks=risks,
    )


def _datasets(loaded: LoadedDatasets) -> tuple[DatasetRef, ...]:
    known = loaded.datasets.items()
    return tuple(DatasetRef(role.value, item.digest, item.rows) for role, item in known)


def _claims(file: AuditFile, materials: Materials) -> dict[str, Json]:
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
