"""Stages the inputs of an audit: copies and hashes models, data, signatures, and documents."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.auditfiles import AuditFile, ShadowsSection
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.digests import Digest
from auditor.domain.models import TwinKind, TwinSource
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.privacy_claims import PrivacyClaimFile
from auditor.domain.requests import InputFile
from auditor.domain.shadow_models import FEWEST, Include, ShadowsRef
from auditor.domain.supply_chain import (
    ModelSupply,
    SupplyDocument,
    SupplyItem,
    SupplyPart,
    list_supply_items,
)
from auditor.domain.training_recipes import RecipeRef, RecipeSource
from auditor.domain.trust_context import TrustContext
from auditor.errors import ArtifactError, AuditFileError, DatasetError
from auditor.inputs.auditfile.privacy_claim import PRIVACY, read_privacy_claim
from auditor.inputs.auditfile.read import list_bound_names
from auditor.inputs.datasets.formats import read_file, record_name
from auditor.inputs.datasets.load import LoadedDatasets
from auditor.inputs.datasets.shadow_inclusion import read_shadow_inclusion
from auditor.inputs.model_exports import refuse_foreign_model
from auditor.inputs.resolve import Locate, locate_setting, resolve_setting_path
from auditor.trust.artifacts.files import measure_as_claimed, measure_as_signed, stage_artifact
from auditor.trust.encoding.der import MOST_BYTES
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.supply_chain.document_parsers import FENCE
from auditor.trust.supply_chain.verify import MOST_DOCUMENT_BYTES, is_unsupported_file
from auditor.trust.timestamps import SUFFIX
from auditor.workflows.engine.target_factory import AuditInputs, ShadowModelSource, StagedArtifact

CARD = "README.md"
WELL_KNOWN = (
    CARD, "*.intoto.json", "*.intoto.jsonl", "provenance.json", "bom.json", "*.cdx.json",
    "croissant.json", "*.croissant.json",
)  # fmt: skip
"""The names by which a document is found beside a model, in lower case but for the card's."""
MOST_DOCUMENTS = 100
CHUNK = 2**20
_PLAIN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class InputDocument:
    """A document, and the input file that it came from."""

    document: SupplyDocument
    input: InputFile


def read_supply_documents(
    file: AuditFile, locate: Locate, artifact: tuple[FileDigest, ...]
) -> tuple[InputDocument, ...]:
    """Read the documents of an audit: those that it names or, where it names none, those found.

    A document counts as found where a plain file of a well-known name lies in the folder of the
    artifact and is not one of its own files; a README only with a front matter. What is found is
    listed under the artifact's path, as its external data are. Raises ``AuditFileError``.
    """
    if file.model.documents is not None:
        named = tuple(_named(file, path, locate) for path in dict.fromkeys(file.model.documents))
        return _bounded(file, named)
    written = file.model.artifact
    if written is None:
        return ()
    folder, own = locate(written).parent, {item.name for item in artifact}
    names = [name for name in _names(folder) if name not in own]
    found = []
    for name in names:
        try:
            document = _read(os.open(folder / name, _PLAIN | os.O_NOFOLLOW), name)
        except OSError:
            continue  # a link, a folder or no longer there: nothing that counts as found
        if name != CARD or (document.raw or b"").startswith(FENCE.encode()):
            found.append(InputDocument(document, InputFile(written, document.file)))
    return _bounded(file, tuple(found))


def _named(file: AuditFile, written: str, locate: Locate) -> InputDocument:
    path = locate(written)
    try:
        document = _read(os.open(path, _PLAIN), path.name)
    except OSError as error:
        raise AuditFileError(
            f"{locate_setting(file, 'model', 'documents')}: {written} cannot be read: "
            f"{error.strerror}",
            cure="Name files that are there, or remove it from model.documents.",
        ) from None
    if is_unsupported_file(path.resolve().name, document.raw):
        raise AuditFileError(
            f"{locate_setting(file, 'model', 'documents')}: {written} is not a statement, bill of "
            "materials, Croissant description or model card (.md), and records publish documents "
            "whole",
            cure="Name documents that came with the model, or remove it from model.documents.",
        )
    return InputDocument(document, InputFile(written, document.file))


def _names(folder: Path) -> list[str]:
    try:
        listed = sorted(path.name for path in folder.iterdir())
    except OSError:
        return []  # whoever opens the artifact says so
    return [
        name
        for name in listed
        if any(fnmatchcase(name, wanted) for wanted in WELL_KNOWN) and name.isprintable()
    ]


def _read(descriptor: int, name: str) -> SupplyDocument:
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(0, "it is not a regular file")
        hasher, size, kept = hashlib.sha256(), 0, bytearray()
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
            size += len(chunk)
            if size <= MOST_DOCUMENT_BYTES:
                kept += chunk
    file = FileDigest(name, size, hasher.hexdigest())
    return SupplyDocument(file, bytes(kept) if size <= MOST_DOCUMENT_BYTES else None)


def _bounded(file: AuditFile, found: tuple[InputDocument, ...]) -> tuple[InputDocument, ...]:
    if len(found) > MOST_DOCUMENTS:
        raise AuditFileError(
            f"{locate_setting(file, 'model', 'documents')}: there are {len(found)}, more than "
            f"{MOST_DOCUMENTS}",
            cure="Name those that count under model.documents.",
        )
    return found


Inputs = tuple[InputFile, ...]
ANY = "*.onnx"
WILD = re.compile(r"[*?\[]")
MOST_LISTED = 3


@dataclass(frozen=True, slots=True)
class _ShadowModelFile:
    """One model: where it lies, its path as written, and the folder before names of files."""

    path: Path
    written: str
    below: str = ""


def stage_documents(
    file: AuditFile,
    locate: Locate,
    code: tuple[Artifact | None, StagedArtifact | None, RecipeSource | None],
    datasets: Mapping[DatasetRole, Dataset],
) -> tuple[ModelSupply, Inputs]:
    """Read the documents that came with the model, and list all that they may speak of.

    ``code`` is the artifact, what it was made from, and the recipe. Raises ``AuditFileError`` for a
    document that is named and is not there.
    """
    artifact, parent, recipe = code
    found = read_supply_documents(file, locate, () if artifact is None else artifact.files)
    parts: list[SupplyItem] = []
    if artifact is not None:
        parts += list_supply_items(SupplyPart.MODEL, artifact.files, artifact.digest)
    if parent is not None:
        parts += list_supply_items(
            SupplyPart.BASE_MODEL, parent.artifact.files, parent.artifact.digest
        )
    if recipe is not None:
        digest = Digest(recipe.ref.digest).hex
        parts.append(SupplyItem(SupplyPart.CODE, recipe.path.name, digest))
    for role, dataset in datasets.items():
        parts += list_supply_items(SupplyPart(role.value), dataset.files, dataset.digest)
    supply = ModelSupply(tuple(item.document for item in found), tuple(parts))
    return supply, tuple(item.input for item in found)


def stage_generator(
    file: AuditFile, locate: Locate, folder: Path
) -> tuple[StagedArtifact | None, Inputs]:
    """Copy the generator into an empty folder while it is digested. Nothing of it is run here."""
    section = file.generator
    if section is None:
        return None, ()
    cure = "Name an ONNX model from latent points to rows, or remove generator."
    path = resolve_setting_path(file, ("generator", "path"), section.path, locate, cure=cure)
    files = stage_artifact(path, folder)
    artifact = Artifact(f"{file.model.name} (generator)", file.model.version, files)
    return StagedArtifact(artifact, folder), tuple(InputFile(section.path, item) for item in files)


def stage_shadows(
    file: AuditFile, locate: Locate, datasets: Mapping[DatasetRole, Dataset], folder: Path
) -> tuple[ShadowModelSource | None, Inputs]:
    """Copy every shadow model into a folder of its own, and read which rows each learnt from.

    Raises ``AuditFileError`` or ``DatasetError`` where files are missing, or the matrix does not go
    with models and rows; ``ArtifactError`` for a malformed model.
    """
    section = file.shadows
    if section is None:
        return None, ()
    place = locate_setting(file, "shadows")
    models = _models(file, section, locate)
    at_inclusion = ("shadows", "inclusion")
    resolve_setting_path(
        file, at_inclusion, section.inclusion, locate, error=DatasetError, plain=False
    )
    matrix = read_file(section.inclusion, locate)
    include = read_shadow_inclusion(matrix)
    rows = {role: datasets[role].rows for role in section.rows}
    _fit(include, len(models), rows, f"{place}.inclusion: {section.inclusion}")
    staged, inputs = [], [matrix.input]
    for at, model in enumerate(models):
        own = folder / str(at)
        own.mkdir()
        files = stage_artifact(model.path, own)
        name = f"{file.model.name} (shadow {model.path.name})"
        staged.append(StagedArtifact(Artifact(name, file.model.version, files), own))
        inputs += [InputFile(model.written, _below(model.below, item)) for item in files]
    # Refuse a model that stands twice, under another name: copies agree, whatever made them
    seen: dict[tuple[str, ...], str] = {}
    for item in staged:
        main = item.artifact.files[0]
        # Main files of models whose weights lie beside them are often the same.
        whole = tuple(file.sha256 for file in item.artifact.files)
        if whole in seen:
            raise AuditFileError(
                f"{place}.models: {main.name} is the same file as {seen[whole]}",
                cure="Name every model once, with its own row of the matrix.",
            )
        seen[whole] = main.name
    ref = ShadowsRef(
        models=tuple(item.artifact.digest for item in staged),
        inclusion=matrix.input.file.digest,
        rows=tuple(role.value for role in section.rows),
    )
    found, start = {}, 0
    for role, count in rows.items():
        found[role] = include[:, start : start + count]
        start += count
    source = ShadowModelSource(tuple(staged), found, ref)
    return source, tuple(dict.fromkeys(inputs))


def _models(file: AuditFile, section: ShadowsSection, locate: Locate) -> list[_ShadowModelFile]:
    if isinstance(section.models, tuple):
        return [
            _ShadowModelFile(
                resolve_setting_path(file, ("shadows", "models", at), written, locate), written
            )
            for at, written in enumerate(section.models)
        ]
    place = locate_setting(file, "shadows", "models")
    head, _, last = section.models.rstrip("/").rpartition("/")
    written, pattern = (head or ".", last) if WILD.search(last) else (section.models, ANY)
    folder = locate(written)
    if not folder.is_dir():
        raise AuditFileError(
            f"{place}: {written} is not a folder",
            cure="Name a folder of ONNX files, a pattern of names in it, or list the files.",
        )
    paths = [path for path in folder.iterdir() if fnmatchcase(path.name, pattern)]
    if len(paths) < FEWEST:
        raise AuditFileError(
            f"{place}: {section.models} finds {len(paths)} files in {written}",
            cure=f"At least {FEWEST} are needed, better 4 or more: LiRA takes 4.",
        )
    ordered = sorted(paths, key=lambda path: _counted(path.name))
    return [_ShadowModelFile(path, written, record_name(written)) for path in ordered]


def _counted(name: str) -> list[tuple[int, str]]:
    """Return what puts names into order by the numbers in them: 2 comes before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _below(folder: str, file: FileDigest) -> FileDigest:
    return FileDigest(f"{folder}/{file.name}", file.size, file.sha256) if folder else file


def _fit(include: Include, models: int, rows: Mapping[DatasetRole, int], place: str) -> None:
    """Refuse a matrix that does not go with the models and the rows."""
    total = sum(rows.values())
    if include.shape != (models, total):
        told = " + ".join(f"{count} of data.{role.value}" for role, count in rows.items())
        raise AuditFileError(
            f"{place} is {include.shape[0]} x {include.shape[1]}, but there are {models} models "
            f"and {told} rows, which makes {models} x {total}",
            cure="Write one row a model, and one column a row of the datasets that shadows.rows "
            "names, in their order and in that of their files.",
        )
    for word, wrong in (("every row", include.all(axis=1)), ("no row", ~include.any(axis=1))):
        if wrong.any():
            found = np.flatnonzero(wrong).tolist()
            named = f"model {format_name_list([str(at) for at in found], MOST_LISTED)}"
            raise AuditFileError(
                f"{place}: {named} (counted from 0) learnt from {word}",
                cure="Remove models that are not shadow models: each learns from a part of "
                "the rows, better a random half.",
            )


MADE_BY = {
    "signature": "Make it with `auditor sign`",
    "key": "Sign the model with `auditor sign`, and name the public half of the key as that says",
    "trust": "Write it as docs/trust.md says",
}


def stage_signature(
    file: AuditFile, locate: Locate, folder: Path, artifact: Artifact | None
) -> tuple[SignatureMaterial, Inputs]:
    """Read what vouches for the artifact, whose copy lies in ``folder``.

    Raises ``AuditFileError`` for a file that is not there, ``TrustPolicyError`` for a bad policy.
    """
    found: dict[str, bytes] = {}
    inputs = []
    for name in ("signature", "key"):
        written = getattr(file.model, name)
        if written is not None:
            found[name] = _there(file, name, written, locate).read_bytes()
            inputs.append(InputFile(written, FileDigest.of(Path(written).name, found[name])))
    timestamps, stamped = _timestamps(file, locate)
    trust, beside = _trust(file, locate)
    material = SignatureMaterial(
        found.get("signature"), found.get("key"), trust=trust, timestamps=timestamps
    )
    return _measured(material, folder, artifact), (*inputs, *stamped, *beside)


def _timestamps(file: AuditFile, locate: Locate) -> tuple[bytes | None, Inputs]:
    """Read the timestamps beside the signature, if any: an input under the signature's own path."""
    written = file.model.signature
    if written is None:
        return None, ()
    signature = locate(written)
    path = signature.with_name(signature.name + SUFFIX)
    if not path.is_file():
        return None, ()
    with path.open("rb") as opened:
        raw = opened.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise AuditFileError(
            f"{locate_setting(file, 'model', 'signature')}: {written}{SUFFIX} has more than "
            f"{MOST_BYTES} bytes, and is not a file of timestamps",
            cure="Make it with `auditor timestamp add`, or remove it.",
        )
    return raw, (InputFile(written, FileDigest.of(Path(written).name + SUFFIX, raw)),)


def _trust(file: AuditFile, locate: Locate) -> tuple[TrustContext | None, Inputs]:
    """Read the trust policy; every file of it is an input under the policy's own path."""
    written = file.model.trust
    if written is None:
        return None, ()
    read = load_trust_policy(_there(file, "trust", written, locate))
    given = TrustContext(read.policy.document, tags=file.model.tags)
    return given, tuple(InputFile(written, item) for item in read.files)


def _there(file: AuditFile, name: str, written: str, locate: Locate) -> Path:
    cure = f"Fix the path, or remove model.{name}. {MADE_BY[name]}."
    return resolve_setting_path(file, ("model", name), written, locate, cure=cure)


def _measured(
    material: SignatureMaterial, folder: Path, artifact: Artifact | None
) -> SignatureMaterial:
    """Hash the copy once more where the signer hashed otherwise than the artifact's digest does."""
    if material.bundle is None or artifact is None:
        return material
    main = folder / artifact.files[0].name
    if material.trust is not None:
        return replace(material, measured=measure_as_claimed(main, material.bundle))
    if material.key is None:
        return material
    return replace(material, measured=measure_as_signed(main, material.bundle, material.key))


FOLDERS = ("artifact", "twin", "parent", "recipe", "shadows", "generator")


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """The materials of an audit, and every file that they came from."""

    materials: AuditInputs
    inputs: tuple[InputFile, ...]


def stage_inputs(
    file: AuditFile, locate: Locate, loaded: LoadedDatasets, root: Path
) -> StagedFiles:
    """Copy what is named below ``root``, each model into a folder of its own, and digest it."""
    folders = [root / name for name in FOLDERS]
    for made in folders:
        made.mkdir()
    folder, apart, before, lessons, alike, making = folders
    staged, files = _staged_model(file, "artifact", locate, folder)
    artifact = None if staged is None else staged.artifact
    parent, given_before = _staged_model(file, "parent", locate, before)
    signature, signed = stage_signature(file, locate, folder, artifact)
    twin, given = _twin(file, locate, apart)
    claim, claimed = _privacy_claim(file, locate)
    recipe, taught = _recipe(file, locate, lessons)
    shadows, trained = stage_shadows(file, locate, loaded.datasets, alike)
    generator, drawn = stage_generator(file, locate, making)
    supply, papers = stage_documents(file, locate, (artifact, parent, recipe), loaded.datasets)
    materials = AuditInputs(
        task=loaded.task,
        space=loaded.space,
        datasets=loaded.datasets,
        seed=file.seed,
        budget=file.budget,
        show_examples=file.show_examples,
        claims=file.claims,
        population=file.population,
        reference=file.reference,
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


def _staged_model(
    file: AuditFile, role: str, locate: Locate, folder: Path
) -> tuple[StagedArtifact | None, Inputs]:
    """Copy the artifact, or what it was made from, into an empty folder while it is digested."""
    written = getattr(file.model, role)
    if written is None:
        return None, ()
    place = ("model", role)
    path = resolve_setting_path(file, place, written, locate, error=ArtifactError, plain=False)
    opening = {spec.runtime for target in file.targets for spec in target.places}
    if role == "artifact" and path.is_file() and "onnxruntime" in opening:
        # Other runtimes may read other formats.
        refuse_foreign_model(path, f"{locate_setting(file, *place)}: {written}")
    files = stage_artifact(path, folder)
    name = file.model.name if role == "artifact" else f"{file.model.name} ({role})"
    artifact = Artifact(name, file.model.version, files)
    return StagedArtifact(artifact, folder), tuple(InputFile(written, item) for item in files)


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
    path = resolve_setting_path(file, ("model", "twin"), written, locate, cure=cure)
    (copied,) = stage_artifact(path, folder)
    source = TwinSource(kind, folder / copied.name, copied.digest)
    return source, (InputFile(written, copied),)


def _privacy_claim(
    file: AuditFile, locate: Locate
) -> tuple[PrivacyClaimFile | None, tuple[InputFile, ...]]:
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
        path = resolve_setting_path(file, ("claims", PRIVACY, name), written, locate, cure=cure)
        found[name] = path.read_bytes()
        inputs.append(InputFile(written, FileDigest.of(Path(written).name, found[name])))
    claim = read_privacy_claim(found["path"], section.path)
    material = SignatureMaterial(found.get("signature"), found.get("key"))
    return PrivacyClaimFile(claim, inputs[0].file, material), tuple(inputs)


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
    path = resolve_setting_path(file, ("recipe", "path"), section.path, locate, cure=cure)
    (copied,) = stage_artifact(path, folder)
    # Raise `AuditFileError` where the code surely lacks a function that the section names
    raw = (folder / copied.name).read_bytes()
    try:
        bound = list_bound_names(raw)
    except SyntaxError as mistake:
        raise AuditFileError(
            f"{section.path}:{mistake.lineno or 1}: {mistake.msg}", cure="Fix the recipe's code."
        ) from None
    for named in ("function", "dp_train"):
        name = getattr(section, named)
        if name is not None and bound is not None and name not in bound:
            others = ", ".join(sorted(it for it in bound if not it.startswith("_"))) or "nothing"
            raise AuditFileError(
                f"{locate_setting(file, 'recipe', named)}: {section.path} defines no {name}",
                cure=f"Define it, or name another function; the file has {others}.",
            )
    ref = RecipeRef(
        digest=copied.digest,
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
