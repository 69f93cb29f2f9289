"""Copy what an audit file names into folders of our own, and digest it on the way."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.auditfiles.privacy_claims import PRIVACY, read_privacy_claim
from auditor.datasets.loading import LoadedDatasets
from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.auditfiles import AuditFile
from auditor.domain.privacy_claims import StatedClaim
from auditor.domain.recipes import RecipeRef, RecipeSource
from auditor.domain.requests import InputFile
from auditor.domain.supplies import Given, Part, Supply, SupplyDocument, given_files
from auditor.domain.twins import TwinKind, TwinSource
from auditor.engines.openers import Materials, Staged
from auditor.errors import AuditFileError
from auditor.signing.artifacts import stage_artifact
from auditor.supplying import read_documents

MADE_BY = {
    "signature": "Make it with `auditor sign`",
    "key": "Make a pair of keys with `auditor keys new`, and name its public half",
}
FOLDERS = ("artifact", "twin", "parent", "recipe")
Locate = Callable[[str], Path]
"""Turns a path as written into where the file lies."""


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """The materials of an audit, and every file that they came from."""

    materials: Materials
    inputs: tuple[InputFile, ...]


def stage_all(file: AuditFile, locate: Locate, loaded: LoadedDatasets, root: Path) -> StagedFiles:
    """Copy artifact, twin and recipe below ``root``, each into a folder of its own, and digest
    them.
    """
    folder, apart, before, lessons = _folders(root)
    artifact, files = _stage(file, locate, folder)
    parent, given_before = _parent(file, locate, before)
    signature, signed = _signature(file, locate)
    twin, given = _twin(file, locate, apart)
    claim, claimed = _privacy_claim(file, locate)
    recipe, taught = _recipe(file, locate, lessons)
    documents, papers = _documents(file, locate, artifact)
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
        claims=file.claims,
        population=file.population,
        parent=parent,
        reference=file.reference,
        recipe=recipe,
        privacy_claim=claim,
        supply=Supply(documents, _given(artifact, parent, recipe, loaded)),
    )
    inputs = (*files, *signed, *given, *given_before, *taught, *claimed, *papers, *loaded.inputs)
    return StagedFiles(materials, inputs)


def _folders(root: Path) -> Iterator[Path]:
    for name in FOLDERS:
        (root / name).mkdir()
        yield root / name


def _documents(
    file: AuditFile, locate: Locate, artifact: Artifact | None
) -> tuple[tuple[SupplyDocument, ...], tuple[InputFile, ...]]:
    found = read_documents(file, locate, () if artifact is None else artifact.files)
    return tuple(item.document for item in found), tuple(item.input for item in found)


def _given(
    artifact: Artifact | None,
    parent: Staged | None,
    recipe: RecipeSource | None,
    loaded: LoadedDatasets,
) -> tuple[Given, ...]:
    """List all that documents may speak of: each file, and several files by their one digest."""
    found: list[Given] = []
    if artifact is not None:
        found += given_files(Part.MODEL, artifact.files, artifact.digest)
    if parent is not None:
        found += given_files(Part.BASE_MODEL, parent.artifact.files, parent.artifact.digest)
    if recipe is not None:
        code = recipe.ref.digest.removeprefix("sha256:")
        found.append(Given(Part.CODE, recipe.path.name, code))
    for role, dataset in loaded.datasets.items():
        found += given_files(Part(role.value), dataset.files, dataset.digest)
    return tuple(found)


def _stage(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[Artifact | None, tuple[InputFile, ...]]:
    written = file.model.artifact
    if written is None:
        return None, ()
    staged = stage_artifact(locate(written), folder)
    artifact = Artifact(file.model.name, file.model.version, staged)
    return artifact, tuple(InputFile(written, item) for item in staged)


def _parent(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[Staged | None, tuple[InputFile, ...]]:
    written = file.model.parent
    if written is None:
        return None, ()
    files = stage_artifact(locate(written), folder)
    artifact = Artifact(f"{file.model.name} (parent)", file.model.version, files)
    return Staged(artifact, folder), tuple(InputFile(written, item) for item in files)


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
                cure=f"{MADE_BY[name]}, or remove model.{name}.",
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


def _privacy_claim(
    file: AuditFile, locate: Locate
) -> tuple[StatedClaim | None, tuple[InputFile, ...]]:
    """Read the claim of differential privacy, with its signature and key where they are named."""
    section = file.privacy
    if section is None:
        return None, ()
    found: dict[str, bytes] = {}
    inputs = []
    for name in ("path", "signature", "key"):
        written = getattr(section, name)
        if written is None:
            continue
        path = locate(written)
        if not path.is_file():
            raise AuditFileError(
                f"{file.source}: claims.privacy.{name}: {written} does not exist",
                cure=f"Name the file, or remove claims.{PRIVACY}.{name}."
                if name != "path"
                else f"Write the claim, or remove claims.{PRIVACY}.",
            )
        found[name] = path.read_bytes()
        inputs.append(InputFile(written, _digested(Path(written).name, found[name])))
    claim = read_privacy_claim(found["path"], section.path)
    material = SignatureMaterial(found.get("signature"), found.get("key"))
    return StatedClaim(claim, inputs[0].file, material), tuple(inputs)


def _recipe(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[RecipeSource | None, tuple[InputFile, ...]]:
    """Copy the code that trains while it is digested, so that what runs is what the record names.

    Nothing of it is run here.
    """
    section = file.recipe
    if section is None:
        return None, ()
    path = locate(section.path)
    if not path.is_file():
        raise AuditFileError(
            f"{file.source}: recipe.path: {section.path} does not exist",
            cure="Name a Python file that defines train(X, y, seed), or remove recipe.",
        )
    (copied,) = stage_artifact(path, folder)
    ref = RecipeRef(
        digest=f"sha256:{copied.sha256}",
        function=section.function,
        dp_train=section.dp_train,
        allowed=section.allow,
        unsandboxed=section.unsandboxed,
    )
    source = RecipeSource(
        path=folder / copied.name,
        ref=ref,
        time_limit=section.time_limit,
        memory_limit=section.memory_limit,
    )
    return source, (InputFile(section.path, copied),)


def _digested(name: str, raw: bytes) -> FileDigest:
    return FileDigest(name, len(raw), hashlib.sha256(raw).hexdigest())
