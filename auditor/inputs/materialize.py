"""Materializes the files of a request by digest, where an audit can read them again."""

import posixpath
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.digests import Digest
from auditor.domain.json import compute_digest
from auditor.domain.requests import InputFile
from auditor.errors import RecordError

FetchInput = Callable[[str], bytes]
"""Returns the bytes under a digest; raises ``RecordError`` when nobody has them."""
FindInput = Callable[[str], bytes | Path]
"""Returns the bytes under a digest, or the file that holds them, which nobody changes."""


READ_ONLY = 0o400


@dataclass(frozen=True, slots=True)
class MaterializedInputs:
    """Input files laid out in a folder of their own, found by their path as written."""

    places: Mapping[str, Path]

    def locate(self, written: str) -> Path:
        """Return where the file lies that an audit file calls ``written``."""
        if written not in self.places:
            raise RecordError(
                f"what was asked lists no input {written!r}",
                cure="Take the record or the submission as it was written.",
            )
        return self.places[written]


def materialize_inputs(
    inputs: Sequence[InputFile], fetch: FindInput, folder: Path
) -> MaterializedInputs:
    """Write the files of a request below ``folder``, each path as written in a place of its own.

    What lies in a file is copied a part at a time, and is to be read only.

    Raises ``RecordError`` when an input is not to be had, naming it and its digest.
    """
    places: dict[str, Path] = {}
    for number, written in enumerate(dict.fromkeys(item.path for item in inputs)):
        base = folder / str(number)
        files = [item for item in inputs if item.path == written]
        for item in files:
            _write(item, base, fetch)
        places[written] = _place(written, base, files)
    return MaterializedInputs(places)


def _write(item: InputFile, base: Path, fetch: FindInput) -> None:
    name = posixpath.normpath(item.file.name)
    parts = [part for part in name.split("/") if part not in {"", ".", ".."}]
    place = base.joinpath(*parts)
    found = fetch(item.file.digest)
    digest = compute_digest(found) if isinstance(found, bytes) else Digest.of_file(found)
    if digest != item.file.digest:
        raise RecordError(f"the input {item.path} is damaged", cure="Restore it from its source.")
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(found, bytes):
        place.write_bytes(found)
        return
    # Not a link: what is linked meanwhile elsewhere looks as if it had changed.
    shutil.copyfile(found, place)
    place.chmod(READ_ONLY)


def _place(written: str, base: Path, files: Sequence[InputFile]) -> Path:
    parts = [part for part in posixpath.normpath(written).split("/") if part not in {"", ".", ".."}]
    candidates = (base.joinpath(*parts), base / parts[-1]) if parts else (base,)
    for candidate in candidates:
        if candidate.exists():
            return candidate
    first = files[0].file.name.split("/")[-1]
    return base / first


def index_files_by_digest(folder: Path) -> Mapping[str, Path]:
    """Index the files below a folder by digest."""
    return {Digest.of_file(path): path for path in sorted(folder.rglob("*")) if path.is_file()}
