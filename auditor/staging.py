"""Copy what an audit file names into folders of our own, and digest it on the way."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditor.auditfiles.privacy_claims import PRIVACY, read_privacy_claim
from auditor.auditfiles.recipes import names_bound
from auditor.datasets.loading import LoadedDatasets
from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.auditfiles import AuditFile, RecipeSection
from auditor.domain.privacy_claims import StatedClaim
from auditor.domain.recipes import RecipeRef, RecipeSource
from auditor.domain.requests import InputFile
from auditor.domain.twins import TwinKind, TwinSource
from auditor.engines.openers import Materials, Staged
from auditor.errors import ArtifactError, AuditFileError
from auditor.handing import stage_documents, stage_generator, stage_shadows
from auditor.pointing import Locate, setting, there
from auditor.signing.artifacts import stage_artifact
from auditor.vouching import stage_signature

FOLDERS = ("artifact", "twin", "parent", "recipe", "shadows", "generator")


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """The materials of an audit, and every file that they came from."""

    materials: Materials
    inputs: tuple[InputFile, ...]


def stage_all(file: AuditFile, locate: Locate, loaded: LoadedDatasets, root: Path) -> StagedFiles:
    """Copy what is named below ``root``, each model into a folder of its own, and digest it."""
    folder, apart, before, lessons, alike, making = _folders(root)
    artifact, files = _stage(file, locate, folder)
    parent, given_before = _parent(file, locate, before)
    signature, signed = stage_signature(file, locate, folder, artifact)
    twin, given = _twin(file, locate, apart)
    claim, claimed = _privacy_claim(file, locate)
    recipe, taught = _recipe(file, locate, lessons)
    shadows, trained = stage_shadows(file, locate, loaded.datasets, alike)
    generator, drawn = stage_generator(file, locate, making)
    supply, papers = stage_documents(file, locate, (artifact, parent, recipe), loaded.datasets)
    materials = _declared(file, loaded)(
        artifact=artifact,
        staged=folder,
        signature=signature,
        twin=twin,
        parent=parent,
        recipe=recipe,
        shadows=shadows,
        generator=generator,
        privacy_claim=claim,
        supply=supply,
    )
    beside = (*signed, *given, *given_before, *taught, *claimed, *trained, *drawn, *papers)
    return StagedFiles(materials, (*files, *beside, *loaded.inputs))


def _declared(file: AuditFile, loaded: LoadedDatasets) -> partial[Materials]:
    """Return the materials but for what is copied."""
    return partial(
        Materials,
        task=loaded.task,
        space=loaded.space,
        datasets=loaded.datasets,
        seed=file.seed,
        budget=file.budget,
        show_examples=file.show_examples,
        claims=file.claims,
        population=file.population,
        reference=file.reference,
    )


def _folders(root: Path) -> Iterator[Path]:
    for name in FOLDERS:
        (root / name).mkdir()
        yield root / name


def _stage(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[Artifact | None, tuple[InputFile, ...]]:
    written = file.model.artifact
    if written is None:
        return None, ()
    staged = stage_artifact(_model(file, "artifact", written, locate), folder)
    artifact = Artifact(file.model.name, file.model.version, staged)
    return artifact, tuple(InputFile(written, item) for item in staged)


def _model(file: AuditFile, name: str, written: str, locate: Locate) -> Path:
    place = ("model", name)
    return there(file, place, written, locate, error=ArtifactError, plain=False)


def _parent(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[Staged | None, tuple[InputFile, ...]]:
    written = file.model.parent
    if written is None:
        return None, ()
    files = stage_artifact(_model(file, "parent", written, locate), folder)
    artifact = Artifact(f"{file.model.name} (parent)", file.model.version, files)
    return Staged(artifact, folder), tuple(InputFile(written, item) for item in files)


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
    cure = "Save it with torch.export.save, or remove model.twin."
    path = there(file, ("model", "twin"), written, locate, cure=cure)
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
        cure = f"Name the file, or remove claims.{PRIVACY}.{name}."
        if name == "path":
            cure = f"Write the claim, or remove claims.{PRIVACY}."
        path = there(file, ("claims", PRIVACY, name), written, locate, cure=cure)
        found[name] = path.read_bytes()
        inputs.append(InputFile(written, FileDigest.of(Path(written).name, found[name])))
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
    cure = "Name a Python file that defines train(X, y, seed), or remove recipe."
    path = there(file, ("recipe", "path"), section.path, locate, cure=cure)
    (copied,) = stage_artifact(path, folder)
    _has_functions(file, section, (folder / copied.name).read_bytes())
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


def _has_functions(file: AuditFile, section: RecipeSection, raw: bytes) -> None:
    """Raise ``AuditFileError`` where the code surely lacks a function that the section names."""
    try:
        bound = names_bound(raw)
    except SyntaxError as mistake:
        raise AuditFileError(
            f"{section.path}:{mistake.lineno or 1}: {mistake.msg}", cure="Mend the recipe's code."
        ) from None
    for named in ("function", "dp_train"):
        name = getattr(section, named)
        if name is not None and bound is not None and name not in bound:
            others = ", ".join(sorted(it for it in bound if not it.startswith("_"))) or "nothing"
            raise AuditFileError(
                f"{setting(file, 'recipe', named)}: {section.path} defines no {name}",
                cure=f"Define it, or name another function; the file has {others}.",
            )
