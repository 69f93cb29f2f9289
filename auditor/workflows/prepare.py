"""Prepares an audit: everything that it needs, read and digested before anything runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditor._resources import scratch_folder
from auditor.attacks.gradient_masking.caveats import FAMILY, MASKING
from auditor.checks.measure import instantiate_check
from auditor.domain.ai_system import NOTHING, SystemDossier
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import LAST
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.checks import Check, Need, uses_need
from auditor.domain.column_names import is_protected_name
from auditor.domain.datasets import DatasetRole, find_joined_columns
from auditor.domain.digests import Digest
from auditor.domain.json import Json, compute_digest
from auditor.domain.models import Model, TwinKind
from auditor.domain.name_suggestions import describe_unknown_name
from auditor.domain.pinned_settings import EASING, SETTINGS, drop_default_settings
from auditor.domain.policies import Policy, RuleEffect
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, DatasetRef, PolicyRef, ServiceAdditions
from auditor.domain.row_limits import FixedRows
from auditor.domain.source_locations import SourceLocations
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask
from auditor.domain.waivers import SignedWaiver
from auditor.errors import UsageError
from auditor.inputs.auditfile.privacy_claim import PRIVACY
from auditor.inputs.auditfile.read import ResolveTarget, read_audit_file
from auditor.inputs.auditfile.system_files import stage_dossier
from auditor.inputs.datasets.load import LoadedDatasets, count_rows_by_label, load_datasets
from auditor.inputs.resolve import Locate, load_audit_policy
from auditor.policy.check_parameters import resolve_check_parameters
from auditor.trust.disclosure import DisclosureKey, conceal_inputs
from auditor.trust.policies.evidence import read_given_policy
from auditor.workflows.engine.target_factory import AuditInputs
from auditor.workflows.engine.time_allowance import TimeAllowance
from auditor.workflows.staged_inputs import StagedFiles, stage_inputs
from auditor.workflows.waivers import stage_waivers


@dataclass(frozen=True, slots=True)
class Resolvers:
    """How names become things: targets, policies, and the checks there are."""

    resolve_target: ResolveTarget
    load_policy: Callable[[str], Policy]
    checks: Mapping[str, type[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAudit:
    """An audit that is ready to run: what was asked, by which policy, with which materials.

    ``compared`` is the record that limits are taken from, where one is given; ``repeats`` are the
    rows by target and check at which time ended these in a record that is run again.
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
    repeats: Mapping[tuple[str, str], FixedRows | Gap] = field(default_factory=dict)

    def against(self, record: AuditRecord | None) -> "PreparedAudit":
        """Return the audit held against a record whose signature holds, if there is one."""
        named = None if record is None else record.digest
        return replace(self, request=replace(self.request, baseline=named), compared=record)

    def wants_twin(self, spec: TargetSpec, model: Model) -> bool:
        """Whether a check that the target can bear would use a twin, and the owner allows one."""
        if self.file.model.twin == TwinKind.NONE:
            return False
        return self.allowance(spec).wants_twin(self.checks, model)

    def allowance(self, spec: TargetSpec) -> TimeAllowance:
        """Return the time that the audit may take on a target, and what comes first there."""
        request = self.request
        rules = tuple(rule.under(request.claims) for rule in self.policy.rules)
        denying = sum(rule.effect is RuleEffect.DENY for rule in rules)
        return TimeAllowance(
            spec,
            self.size,
            request.budget,
            None if request.max_minutes is None else request.seconds,
            self.checks,
            _list_asked_checks(self.policy, self.checks),
            rules,
            denying * len(request.targets),
            {check: rows for (target, check), rows in self.repeats.items() if target == spec.name},
        )


def _list_asked_checks(policy: Policy, checks: Sequence[Check]) -> frozenset[str]:
    """Return the checks that rules ask for, and what examines whether their figures hold."""
    asked = {rule.check for rule in policy.rules}
    attacks = [it for it in checks if it.id in asked and it.id.startswith(FAMILY)]
    climbs = any(uses_need(it, Need.TWIN) for it in attacks)
    return frozenset({*asked, MASKING} if climbs else asked)


def read_overridden_audit_file(  # noqa: PLR0913 -- one argument an override
    raw: bytes,
    source: str,
    readers: Resolvers,
    *,
    policy: str | None = None,
    targets: Sequence[str] = (),
    budget: Budget | None = None,
    max_minutes: float | None = None,
    only: tuple[str, ...] = (),
    waivers: Sequence[Path] = (),
    waiver_keys: Sequence[Path] = (),
    granted: tuple[SignedWaiver, ...] | None = None,
    baseline: str | None = None,
    baseline_key: Path | None = None,
    unsandboxed: bool = False,
    turn: ServiceAdditions | None = None,
) -> AuditFile:
    """Read an audit file and put in what its caller asks in place of its settings.

    Waivers and their keys come beside those of the file. ``turn`` is what a service added when it
    registered the request. Raises ``AuditFileError``, ``TargetError``.
    """
    file = read_audit_file(raw, source, readers.resolve_target)
    declared = {spec.name: spec for spec in file.targets}
    named = tuple(
        declared[name] if name in declared else readers.resolve_target(name) for name in targets
    )
    compared = file.baseline if baseline is None else Path(baseline)
    return replace(
        file,
        policy=policy or file.policy,
        own_policy=policy is None,
        targets=named or file.targets,
        budget=budget or file.budget,
        max_minutes=file.max_minutes if max_minutes is None else max_minutes,
        only=only,
        waivers=(*file.waivers, *waivers),
        waiver_keys=(*file.waiver_keys, *waiver_keys),
        granted=granted,
        baseline=baseline if baseline == LAST else compared,
        baseline_key=baseline_key or file.baseline_key,
        allow_unsandboxed=unsandboxed,
        seed=file.seed if turn is None else turn.seed,
        attempt=None if turn is None else turn.attempt,
    )


@contextmanager
def prepare_audit(file: AuditFile, locate: Locate, readers: Resolvers) -> Iterator[PreparedAudit]:
    """Read and digest all that ``file`` names; the staged artifact lasts as long as the block.

    ``locate`` turns a path as written into where the file lies. Raises ``InvalidInputError`` of
    the kind of file that is wrong.
    """
    policy = load_audit_policy(file, readers.load_policy)
    # Another policy need not have the rules that risks name
    rules = frozenset(rule.id for rule in policy.rules) if file.own_policy else None
    dossier, papers = stage_dossier(file, locate, rules)
    waivers = stage_waivers(file, locate) if file.granted is None else file.granted
    loaded = load_datasets(file, locate)
    with scratch_folder() as root:
        staged = stage_inputs(file, locate, loaded, root)
        checks = choose_checks(readers.checks, policy, file.budget, file.only)
        wanted = any(uses_need(check, Need.GENERATOR) for check in checks)
        request = _request(file, policy, loaded, staged)
        (system, risks), given = dossier.digests, staged.materials.signature.trust
        yield PreparedAudit(
            file=file,
            policy=policy,
            checks=checks,
            request=replace(
                request,
                inputs=(*request.inputs, *papers),
                trust=None if given is None else read_given_policy(given).ref,
                system=system,
                risks=risks,
                waivers=tuple(item.ref for item in waivers),
            ),
            materials=replace(staged.materials, wants_generator=wanted),
            size=_measure_size(file, loaded, staged.materials),
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

    Beside those that ``only`` names, their gradients are examined where a rule asks for one.

    Raises ``UsageError`` when ``only`` names what is no check.
    """
    strangers = sorted(set(only) - set(checks))
    if strangers:
        cure = "`auditor checks list` names all."
        raise UsageError(describe_unknown_name("check", strangers, checks), cure=cure)
    chosen = tuple(
        instantiate_check(check, resolve_check_parameters(check, policy, budget))
        for name, check in checks.items()
        if not only or name in only
    )
    # Who names an attack that a rule rests on does not choose whether its gradients are examined
    attacks = [it for it in chosen if it.id.startswith(FAMILY)]
    if only and attacks and MASKING in _list_asked_checks(policy, attacks) - {*only}:
        return choose_checks(checks, policy, budget, (*only, MASKING))
    return chosen


def _request(
    file: AuditFile, policy: Policy, loaded: LoadedDatasets, staged: StagedFiles
) -> AuditRequest:
    brought = staged.materials
    known, judged = loaded.datasets.items(), file.data.get(DatasetRole.EVALUATION)
    return AuditRequest(
        name=file.model.name,
        version=file.model.version,
        artifact=brought.artifact,
        targets=file.targets,
        datasets=tuple(DatasetRef(role.value, item.digest, item.rows) for role, item in known),
        policy=PolicyRef(policy.name, policy.version, policy.digest),
        audit_file=compute_digest(file.raw),
        seed=file.seed,
        budget=file.budget,
        max_minutes=file.max_minutes,
        only=file.only,
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
        attempt=file.attempt,
        exported=file.model.exported,
        uncompared=_list_uncompared(loaded),
        labels=None if judged is None else judged.labels,
    )


def _list_uncompared(loaded: LoadedDatasets) -> tuple[str, ...]:
    """Return columns of the evaluation data that look like groups of people and are named none."""
    data = loaded.datasets.get(DatasetRole.EVALUATION)
    if data is None:
        return ()
    compared = {part for name in data.groups for part in find_joined_columns(name)}
    names = dict.fromkeys((*data.features, *data.slices))
    return tuple(it for it in names if is_protected_name(it) and it not in compared)


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
        "input.features": None if schema is None else Digest.of_hex(schema),
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


def _claims(file: AuditFile, materials: AuditInputs) -> dict[str, Json]:
    """Return what the owner claims: numbers of the audit file, and what is claimed of privacy."""
    stated = materials.privacy_claim
    if stated is None:
        return dict(file.claims)
    said: Json = {
        "epsilon": stated.claim.epsilon,
        "delta": stated.claim.delta,
        "file": stated.file.digest,
    }
    return {**file.claims, PRIVACY: said}


def _measure_size(file: AuditFile, loaded: LoadedDatasets, materials: AuditInputs) -> AuditSize:
    """Return the size of an audit, which costs and chances are foretold from."""
    evaluation = loaded.datasets.get(DatasetRole.EVALUATION)
    if evaluation is None:
        classes = len(loaded.task.classes) if isinstance(loaded.task, ClassificationTask) else 1
        known = AuditSize(rows=0, classes=classes)
    else:
        known = count_rows_by_label(evaluation, loaded.task)
    return replace(
        known,
        beside={
            role.value: dataset.rows
            for role, dataset in loaded.datasets.items()
            if role is not DatasetRole.EVALUATION
        },
        shadows=0 if materials.shadows is None else len(materials.shadows.models),
        generator=materials.generator is not None,
        recipe=file.recipe is not None and file.recipe.allow,
        served=any(target.served for target in file.targets),
    )
