"""Safety scan of an artifact's files, without loading or running them.

This reads hostile bytes with a protobuf library and belongs into a limited child process.
"""

import mmap
import warnings
from dataclasses import replace
from pathlib import Path

from auditor.domain.artifacts import ModelStructure
from auditor.errors import ArtifactError
from auditor.onnx.scan.archives import ARCHIVE_SUFFIXES, detect_file_kind, scan_non_onnx_file
from auditor.onnx.scan.model import scan_model
from auditor.onnx.scan.pickles import starts_like_pickle
from auditor.onnx.scan.unsafe_entries import UnsafeCode, UnsafeEntry, printable_excerpt
from auditor.onnx.scan.zips import MOST_MEMBER

ONNX = ".onnx"
HEAD = 512
"""Enough first bytes to tell every kind of file, tar archives among them."""
MOST_ENTRIES = 1000
MOST_PARSED = 2**31 - 1
"""Protobuf refuses more; larger models keep their weights in external data."""


def scan_artifact(folder: Path, main: str) -> ModelStructure:
    """Say what parsing shows of the file ``main``, and of the other files in its folder.

    Raises ``ArtifactError`` where the main file cannot be read. What cannot be parsed is reported
    as ``UNREADABLE``, never passed over.
    """
    with warnings.catch_warnings():
        # Libraries warn of odd bytes; what is odd here is what the entries are for.
        warnings.simplefilter("ignore")
        found = _scan_main(folder, main)
        entries = list(found.unsafe)
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if name != main and path.is_file() and not path.is_symlink():
                entries += [item.to_entry() for item in _scan_beside(path, name)]
        if len(entries) > MOST_ENTRIES:
            rest = UnsafeEntry(
                UnsafeCode.UNREADABLE, main, f"{len(entries) - MOST_ENTRIES} more entries"
            )
            entries = [*entries[:MOST_ENTRIES], rest.to_entry()]
        return replace(found, unsafe=tuple(entries))


def _scan_main(folder: Path, main: str) -> ModelStructure:
    path = folder / main
    try:
        size = path.stat().st_size
        if size > MOST_PARSED:
            what = f"{size} bytes in one file, more than can be parsed"
            found = UnsafeEntry(UnsafeCode.UNREADABLE, printable_excerpt(main), what)
            return ModelStructure(kind="unknown", unsafe=(found.to_entry(),))
        if path.suffix.lower() == ONNX:
            return scan_model(path, folder)
        raw = path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{main} cannot be read: {error.strerror}", cure="Name the model's file."
        ) from None
    kind = detect_file_kind(raw, main)
    return ModelStructure(
        kind=kind, unsafe=tuple(item.to_entry() for item in scan_non_onnx_file(raw, main, kind))
    )


def _scan_beside(path: Path, name: str) -> tuple[UnsafeEntry, ...]:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return ()
        # Weights stay where they lie: only what its first bytes or its name give away is read.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            head = mapped[:HEAD]
            known = detect_file_kind(head, name) != "unknown" or starts_like_pickle(head)
            if not known and path.suffix.lower() not in ARCHIVE_SUFFIXES:
                return ()
            raw = mapped[:MOST_MEMBER]
    return scan_non_onnx_file(raw, name, detect_file_kind(raw, name))
