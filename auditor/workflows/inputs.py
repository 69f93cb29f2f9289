"""Take what an owner hands over beside the model: shadow models, a generator, documents."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from auditor.datasets.files import read_file, record_name
from auditor.datasets.inclusion import read_inclusion
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.auditfiles import AuditFile, ShadowsSection
from auditor.domain.datasets import Dataset, Role
from auditor.domain.nearest import listed
from auditor.domain.recipes import RecipeSource
from auditor.domain.requests import InputFile
from auditor.domain.shadows import FEWEST, Include, ShadowsRef
from auditor.domain.supplies import Given, Part, Supply, given_files
from auditor.engines.openers import ShadowsSource, Staged
from auditor.errors import AuditFileError, DatasetError
from auditor.pointing import Locate, setting, there
from auditor.signing.artifacts import stage_artifact
from auditor.supplying import read_documents

Inputs = tuple[InputFile, ...]
ANY = "*.onnx"
WILD = re.compile(r"[*?\[]")
MOST_LISTED = 3


@dataclass(frozen=True, slots=True)
class _Model:
    """One model: where it lies, its path as written, and the folder before names of files."""

    path: Path
    written: str
    below: str = ""


def stage_documents(
    file: AuditFile,
    locate: Locate,
    code: tuple[Artifact | None, Staged | None, RecipeSource | None],
    datasets: Mapping[Role, Dataset],
) -> tuple[Supply, Inputs]:
    """Read the documents that came with the model, and list all that they may speak of.

    ``code`` is the artifact, what it was made from, and the recipe. Raises ``AuditFileError`` for a
    document that is named and is not there.
    """
    artifact, parent, recipe = code
    found = read_documents(file, locate, () if artifact is None else artifact.files)
    parts: list[Given] = []
    if artifact is not None:
        parts += given_files(Part.MODEL, artifact.files, artifact.digest)
    if parent is not None:
        parts += given_files(Part.BASE_MODEL, parent.artifact.files, parent.artifact.digest)
    if recipe is not None:
        digest = recipe.ref.digest.removeprefix("sha256:")
        parts.append(Given(Part.CODE, recipe.path.name, digest))
    for role, dataset in datasets.items():
        parts += given_files(Part(role.value), dataset.files, dataset.digest)
    supply = Supply(tuple(item.document for item in found), tuple(parts))
    return supply, tuple(item.input for item in found)


def stage_generator(file: AuditFile, locate: Locate, folder: Path) -> tuple[Staged | None, Inputs]:
    """Copy the generator into an empty folder while it is digested. Nothing of it is run here."""
    section = file.generator
    if section is None:
        return None, ()
    cure = "Name an ONNX model from latent points to rows, or remove generator."
    path = there(file, ("generator", "path"), section.path, locate, cure=cure)
    files = stage_artifact(path, folder)
    artifact = Artifact(f"{file.model.name} (generator)", file.model.version, files)
    return Staged(artifact, folder), tuple(InputFile(section.path, item) for item in files)


def stage_shadows(
    file: AuditFile, locate: Locate, datasets: Mapping[Role, Dataset], folder: Path
) -> tuple[ShadowsSource | None, Inputs]:
    """Copy every shadow model into a folder of its own, and read which rows each learnt from.

    Raises ``AuditFileError`` or ``DatasetError`` where files are missing, or the matrix does not go
    with models and rows; ``ArtifactError`` for a malformed model.
    """
    section = file.shadows
    if section is None:
        return None, ()
    place = setting(file, "shadows")
    models = _models(file, section, locate)
    at_inclusion = ("shadows", "inclusion")
    there(file, at_inclusion, section.inclusion, locate, error=DatasetError, plain=False)
    matrix = read_file(section.inclusion, locate)
    include = read_inclusion(matrix)
    rows = {role: datasets[role].rows for role in section.rows}
    _fit(include, len(models), rows, f"{place}.inclusion: {section.inclusion}")
    staged, inputs = [], [matrix.input]
    for at, model in enumerate(models):
        own = folder / str(at)
        own.mkdir()
        files = stage_artifact(model.path, own)
        name = f"{file.model.name} (shadow {model.path.name})"
        staged.append(Staged(Artifact(name, file.model.version, files), own))
        inputs += [InputFile(model.written, _below(model.below, item)) for item in files]
    _refuse_twice(staged, place)
    ref = ShadowsRef(
        models=tuple(item.artifact.digest for item in staged),
        inclusion=f"sha256:{matrix.input.file.sha256}",
        rows=tuple(role.value for role in section.rows),
    )
    source = ShadowsSource(tuple(staged), _split(include, rows), ref)
    return source, tuple(dict.fromkeys(inputs))


def _models(file: AuditFile, section: ShadowsSection, locate: Locate) -> list[_Model]:
    if isinstance(section.models, tuple):
        return [
            _Model(there(file, ("shadows", "models", at), written, locate), written)
            for at, written in enumerate(section.models)
        ]
    place = setting(file, "shadows", "models")
    head, _, last = section.models.rstrip("/").rpartition("/")
    written, pattern = (head or ".", last) if WILD.search(last) else (section.models, ANY)
    folder = locate(written)
    if not folder.is_dir():
        raise AuditFileError(
            f"{place}: {written} is no folder",
            cure="Name a folder of ONNX files, a pattern of names in it, or list the files.",
        )
    paths = [path for path in folder.iterdir() if fnmatchcase(path.name, pattern)]
    if len(paths) < FEWEST:
        raise AuditFileError(
            f"{place}: {section.models} finds {len(paths)} files in {written}",
            cure=f"At least {FEWEST} are needed, better 4 or more: LiRA takes 4.",
        )
    ordered = sorted(paths, key=lambda path: _counted(path.name))
    return [_Model(path, written, record_name(written)) for path in ordered]


def _counted(name: str) -> list[tuple[int, str]]:
    """Return what puts names into order by the numbers in them: 2 comes before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _below(folder: str, file: FileDigest) -> FileDigest:
    return FileDigest(f"{folder}/{file.name}", file.size, file.sha256) if folder else file


def _fit(include: Include, models: int, rows: Mapping[Role, int], place: str) -> None:
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
            named = _listed(np.flatnonzero(wrong).tolist())
            raise AuditFileError(
                f"{place}: {named} (counted from 0) learnt from {word}",
                cure="Leave out models that are no shadow of this one: each learns from a part of "
                "the rows, better a random half.",
            )


def _refuse_twice(staged: Sequence[Staged], place: str) -> None:
    """Refuse a model that stands twice, under another name: copies agree, whatever made them."""
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


def _listed(found: Sequence[int]) -> str:
    return f"model {listed([str(at) for at in found], MOST_LISTED)}"


def _split(include: Include, rows: Mapping[Role, int]) -> dict[Role, Include]:
    found, start = {}, 0
    for role, count in rows.items():
        found[role] = include[:, start : start + count]
        start += count
    return found
