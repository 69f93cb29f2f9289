"""Everything that an audit needs, read and digested before anything runs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from auditor.auditfiles.reading import ResolveTarget, read_audit_file
from auditor.datasets.counting import count
from auditor.datasets.loading import LoadedDatasets, load_datasets
from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import Budget, Size
from auditor.domain.canonical import digest
from auditor.domain.checks import Check, Need, would_use
from auditor.domain.datasets import Role
from auditor.domain.policies import Policy
from auditor.domain.requests import AuditRequest, DatasetRef, InputFile, PolicyRef
from auditor.domain.tasks import Classification
from auditor.domain.twins import TwinKind, TwinSource
from auditor.engines.subjects import Materials
from auditor.errors import AuditFileError, UsageError
from auditor.measuring import instantiate
from auditor.packs.parameters import parameters_for
from auditor.signing.artifacts import stage_artifact

Locate = Callable[[str], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says in place of the audit file."""

    policy: str | None = None
    targets: tuple[str, ...] = ()
    budget: Budget | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readers:
    """How names become things: targets, policies, and the checks there are."""

    resolve_target: ResolveTarget
    load_policy: Callable[[str], Policy]
    checks: Mapping[str, type[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An audit that is ready to run: what was asked, by which policy, with which materials."""

    file: AuditFile
    policy: Policy
    checks: tuple[Check, ...]
    request: AuditRequest
    materials: Materials
    size: Size

    @property
    def wants_twin(self) -> bool:
        """Whether a check would use a twin, and the owner does not refuse one."""
        asked = any(would_use(check, Need.TWIN) for check in self.checks)
        return asked and self.file.model.twin != TwinKind.NONE


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
    )


@contextmanager
def prepare(
    file: AuditFile, locate: Locate, overrides: Overrides, readers: Readers
) -> Iterator[Prepared]:
    """Read and digest all that ``file`` names; the staged artifact lasts as long as the block.

    ``locate`` turns a path as written into where the file lies. Raises ``InvalidInputError`` of
    the kind of file that is wrong.
    """
    policy = readers.load_policy(file.policy)
    loaded = load_datasets(file, locate)
    with TemporaryDirectory(prefix="auditor-") as root:
        staged = _staged(file, locate, loaded, Path(root))
        yield Prepared(
            file=file,
            policy=policy,
            checks=chosen_checks(readers.checks, policy, file.budget, overrides.only),
            request=_request(file, policy, loaded, staged, overrides.only),
            materials=staged.materials,
            size=_size(loaded),
        )


@dataclass(frozen=True, slots=True)
class _Staged:
    materials: Materials
    inputs: tuple[InputFile, ...]


def _staged(file: AuditFile, locate: Locate, loaded: LoadedDatasets, root: Path) -> _Staged:
    """Copy artifact and twin below ``root``, each into a folder of its own, and digest them."""
    folder, apart = root / "artifact", root / "twin"
    folder.mkdir()
    apart.mkdir()
    artifact, files = _stage(file, locate, folder)
    signature, signed = _signature(file, locate)
    twin, given = _twin(file, locate, apart)
    materials = Materials(
        artifact=artifact,
        staged=folder,
        signature=signature,
        twin=twin,
        task=loaded.task,
        space=loaded.space,
        datasets=loaded.datasets,
        seed=file.seed,
        budget=file.budget,
        show_examples=file.show_examples,
    )
    return _Staged(materials, (*files, *signed, *given, *loaded.inputs))


def chosen_checks(
    checks: Mapping[str, type[Check]], policy: Policy, budget: Budget, only: Sequence[str]
) -> tuple[Check, ...]:
    """Make the checks that will run, with the parameters of the budget and the policy.

    Raises ``UsageError`` when ``only`` names what is no check.
    """
    strangers = sorted(set(only) - set(checks))
    if strangers:
        raise UsageError(
            f"there is no check {', '.join(strangers)}", cure=f"There are {', '.join(checks)}."
        )
    return tuple(
        instantiate(check, parameters_for(check, policy, budget))
        for name, check in checks.items()
        if not only or name in only
    )


def _stage(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[Artifact | None, tuple[InputFile, ...]]:
    written = file.model.artifact
    if written is None:
        return None, ()
    staged = stage_artifact(locate(written), folder)
    artifact = Artifact(file.model.name, file.model.version, staged)
    return artifact, tuple(InputFile(written, item) for item in staged)


def _signature(file: AuditFile, locate: Locate) -> tuple[SignatureMaterial, tuple[InputFile, ...]]:
    found: dict[str, bytes] = {}
    inputs = []
    for name, written in (("signature", file.model.signature), ("key", file.model.key)):
        if written is None:
            continue
        path = locate(written)
        if not path.is_file():
            raise AuditFileError(
                f"{file.source}: model.{name}: {written} does not exist",
                cure=f"Make it with `auditor sign`, or remove model.{name}.",
            )
        found[name] = path.read_bytes()
        inputs.append(InputFile(written, _digested(Path(written).name, found[name])))
    return SignatureMaterial(found.get("signature"), found.get("key")), tuple(inputs)


def _twin(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[TwinSource, tuple[InputFile, ...]]:
    """Copy the owner's twin into a folder of its own while it is digested.

    It lies outside of the artifact's digest: what is deployed does not hold it.
    """
    written = file.model.twin
    kind = TwinKind.named(written)
    if kind is not TwinKind.EXPORTED:
        return TwinSource(kind), ()
    path = locate(written)
    if not path.is_file():
        raise AuditFileError(
            f"{file.source}: model.twin: {written} does not exist",
            cure="Save it with torch.export.save, or remove model.twin.",
        )
    (copied,) = stage_artifact(path, folder)
    source = TwinSource(kind, folder / copied.name, f"sha256:{copied.sha256}")
    return source, (InputFile(written, copied),)


def _digested(name: str, raw: bytes) -> FileDigest:
    return FileDigest(name, len(raw), hashlib.sha256(raw).hexdigest())


def _request(
    file: AuditFile,
    policy: Policy,
    loaded: LoadedDatasets,
    staged: _Staged,
    only: tuple[str, ...],
) -> AuditRequest:
    return AuditRequest(
        name=file.model.name,
        version=file.model.version,
        artifact=staged.materials.artifact,
        targets=file.targets,
        datasets=tuple(
            DatasetRef(role.value, item.digest, item.rows) for role, item in loaded.datasets.items()
        ),
        policy=PolicyRef(policy.name, policy.version, policy.digest),
        audit_file=digest(file.raw),
        seed=file.seed,
        budget=file.budget,
        only=only,
        inputs=staged.inputs,
        tags=file.model.tags,
        claims=file.claims,
        show_examples=file.show_examples,
    )


def _size(loaded: LoadedDatasets) -> Size:
    evaluation = loaded.datasets.get(Role.EVALUATION)
    if evaluation is None:
        classes = len(loaded.task.classes) if isinstance(loaded.task, Classification) else 1
        return Size(rows=0, classes=classes)
    return count(evaluation, loaded.task)
