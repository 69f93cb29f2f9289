"""Readers of data files: NumPy, CSV, Parquet and image folders.

The parsed bytes are the digested bytes, also where a file changes meanwhile. No content is ever
unpickled. Parquet is read in a separate process, because a damaged file can abort its reader.
"""

import csv
import hashlib
import io
import json
import os
import posixpath
import re
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from tokenize import TokenError
from typing import IO

import numpy as np
import polars as pl
from PIL import Image

from auditor._resources import scratch_folder
from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import DataSection
from auditor.domain.confusable_names import fold_name
from auditor.domain.evidence import read_array_header
from auditor.domain.requests import InputFile
from auditor.domain.tasks import Array
from auditor.errors import DatasetError
from auditor.inputs.datasets.hashed_file import HashedFile
from auditor.inputs.datasets.memory_limits import (
    COLUMN_BYTES,
    TEXT_BYTES,
    memory_limit_of,
    refuse_decompression_bomb,
    refuse_oversized,
)
from auditor.inputs.datasets.raw_dataset import RawDataset
from auditor.inputs.resolve import Locate

BLOCK = 1 << 20
NUMPY_CURE = "Store it unpacked (numpy.savez), in narrower numbers, or take a smaller sample."
COLUMN_KINDS = "biufUS"
INPUT_KINDS = "biuf"
TEXT_KINDS = "US"
DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
DAMAGED_NPY = (
    ValueError,
    EOFError,
    OSError,
    OverflowError,
    TypeError,
    SyntaxError,
    TokenError,
)


def read_npy(file: IO[bytes], name: str) -> Array:
    """Read one ``.npy`` array. Raises ``DatasetError`` for pickles and damaged files."""
    return _read_array(file, file.seek(0, io.SEEK_END), name)


def read_npz(file: IO[bytes], name: str) -> dict[str, Array]:
    """Read the arrays of an ``.npz`` archive. Raises ``DatasetError`` for damaged ones."""
    try:
        with zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
            keys = [member.filename.removesuffix(".npy") for member in listed]
            twice = sorted(key for key, count in Counter(keys).items() if count > 1)
            if twice:
                raise DatasetError(
                    f"{name} holds the array {twice[0]!r} twice", cure="Write it again."
                )
            packings = {member.compress_type for member in listed}
            if not packings <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                # others may ask for gigabytes before they unpack a byte; NumPy writes none of them
                raise DatasetError(
                    f"{name} is packed in a way that NumPy has not", cure="Write it again."
                )
            members_size = sum(member.compress_size for member in listed)
            unpacked = sum(member.file_size + COLUMN_BYTES for member in listed)
            refuse_decompression_bomb(name, members_size, unpacked, cure=NUMPY_CURE)
            members = dict(zip(keys, listed, strict=True))
            held = 0
            for member in members.values():
                with archive.open(member) as part:
                    held += _count_bytes(part, member.file_size)
            size = file.seek(0, io.SEEK_END)
            refuse_decompression_bomb(name, size, held, cure=NUMPY_CURE)
            return {
                key: _read_member(archive, member, f"{name}: array {key!r}")
                for key, member in members.items()
            }
    except (*DAMAGED_ZIP, *DAMAGED_NPY) as mistake:
        raise DatasetError(
            f"{name} is not an .npz archive that can be read ({mistake})",
            cure="Write it again with numpy.savez; it may have been cut short.",
        ) from None


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str) -> Array:
    with archive.open(member) as part:
        array = _read_array(part, member.file_size, place)
        part.read()  # the checksum is compared at the end
    return array


def _read_array(file: IO[bytes], size: int, name: str) -> Array:
    """Read an array of ``size`` bytes into the memory that it keeps."""
    try:
        file.seek(0)
        refuse_decompression_bomb(name, size, _count_bytes(file, size), cure=NUMPY_CURE)
        file.seek(0)
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
    except DAMAGED_NPY as mistake:
        if "pickle" in str(mistake):
            raise DatasetError(
                f"{name} holds Python objects (a pickle), which can run code when read",
                cure="Store plain numbers or text: array.astype(float), or array.astype(str).",
            ) from None
        reason = str(mistake).splitlines()[0] if str(mistake) else type(mistake).__name__
        raise DatasetError(
            f"{name} is not a NumPy array that can be read ({reason})",
            cure="Write it again with numpy.save or numpy.savez; it may have been cut short.",
        ) from None
    return array


def to_native_array(array: Array, place: str) -> Array:
    """Return an input array in the machine's own byte order, truth values as 0 and 1.

    Raises ``DatasetError`` unless it holds ordinary numbers and has a row axis and one more.
    """
    refuse_unusable_inputs(array, place)
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        return array.astype(np.float64)
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def refuse_unusable_inputs(array: Array, place: str) -> None:
    """Raise ``DatasetError`` unless an array holds numbers and has a row axis and one more."""
    if array.dtype.kind not in INPUT_KINDS:
        raise DatasetError(
            f"{place} holds {array.dtype}, not numbers", cure="Store the inputs as numbers."
        )
    if array.ndim < 2 or 0 in array.shape[1:]:  # noqa: PLR2004 -- rows and one more
        raise DatasetError(
            f"{place} has shape {array.shape}, which is not [rows, …] with at least one value "
            "a row",
            cure="Store one input a row; a single column as shape (rows, 1).",
        )


def as_column(array: Array, place: str) -> pl.Series:
    """Return an array as a column. Raises ``DatasetError`` unless it has one value a row."""
    if array.ndim != 1:
        raise DatasetError(
            f"{place} has shape {array.shape}, but a column has one value a row",
            cure="Store it with shape (rows,); one-hot labels as array.argmax(axis=1).",
        )
    if array.dtype.kind not in COLUMN_KINDS:
        raise DatasetError(
            f"{place} holds {array.dtype}, neither numbers nor text",
            cure="Store it as numbers or text.",
        )
    if array.dtype.kind == "S":
        try:
            blocks = (array[start : start + BLOCK] for start in range(0, len(array), BLOCK))
            texts = [
                pl.Series([item.decode() for item in block.tolist()], dtype=pl.String)
                for block in blocks
            ]
            return pl.concat(texts) if texts else pl.Series([], dtype=pl.String)
        except UnicodeDecodeError:
            raise DatasetError(
                f"{place} holds bytes that are not UTF-8 text", cure="Store it as text (dtype str)."
            ) from None
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64)
    return pl.Series(array.astype(array.dtype.newbyteorder("="), copy=False))


def _count_bytes(file: IO[bytes], size: int) -> int:
    """Return the memory that an ``.npy`` takes as a column, of which every text is an object."""
    try:
        count, dtype = read_array_header(file, size)
    except (MemoryError, RecursionError):
        message = "its header is nested too deeply"
        raise ValueError(message) from None
    return max(size, count * TEXT_BYTES * (dtype.kind in TEXT_KINDS))


CSV_CURE = "Take fewer columns, or store numbers as .npy."
SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
DECIMAL_COMMA = re.compile(r"\d,\d")


def read_csv(raw: bytes, name: str) -> pl.DataFrame:
    """Read comma-separated text with one header line; every cell stays the text it is.

    Rows that are wholly blank are dropped. Raises ``DatasetError`` for other encodings and
    separators, for a header that is malformed or has unnamed or repeated columns, and for rows of
    another length.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as mistake:
        raise DatasetError(
            f"{name} is not UTF-8 text (byte {mistake.start})", cure="Save it as UTF-8."
        ) from None
    _refuse_other_separator(text, name)
    header, body = _split(text, name)
    refuse_decompression_bomb(name, len(raw), len(header) * COLUMN_BYTES, cure=CSV_CURE)
    known: dict[str, str] = {}
    for position, column in enumerate(header, start=1):
        if not column.strip():
            raise DatasetError(
                f"{name}: column {position} has no name in the header",
                cure="Name it, or leave the column out (pandas: to_csv(…, index=False)).",
            )
        folded = " ".join(fold_name(column, cased=True).split())
        if folded in known:
            twin = "twice" if known[folded] == column else f"beside {known[folded]!r}"
            raise DatasetError(
                f"{name}: column {column!r} stands {twin} in the header",
                cure="Rename or remove one of the two.",
            )
        known[folded] = column
    if not header:
        raise DatasetError(f"{name} has no header", cure="Name the columns in the first line.")
    # One parser reads the names. The other would leave quotes in some, and take rows into others.
    plain = ",".join(f"c{position}" for position in range(len(header)))
    try:
        table = pl.read_csv(io.BytesIO(f"{plain}\n{body}".encode()), infer_schema=False)
    except pl.exceptions.PolarsError as mistake:
        _refuse_ragged(text, name)
        reason = str(mistake).splitlines()[0]
        raise DatasetError(
            f"{name} is not CSV ({reason})", cure="Save it again, with commas and straight quotes."
        ) from None
    if table[:, -1].null_count():
        # The parser fills short rows with nulls; only they end in one, so most files skip this.
        _refuse_ragged(text, name)
    table.columns = header
    return table.filter(~pl.all_horizontal(pl.all().is_null()))


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    lines = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in lines:
            yield lines.line_num, row
    except csv.Error as mistake:
        raise DatasetError(
            f"{name}, line {lines.line_num}: {mistake}", cure="Fix the CSV at that line."
        ) from None


def _split(text: str, name: str) -> tuple[list[str], str]:
    """Return the names in the header, and all that comes after it."""
    taken: list[str] = []
    lines = io.StringIO(text, newline="")

    def each() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    try:
        header = next(csv.reader(each(), strict=True), [])
    except csv.Error as mistake:
        raise DatasetError(
            f"{name}: the header cannot be read ({mistake})",
            cure="Close every quote, and write a quote within quotes twice.",
        ) from None
    if taken and taken[-1].endswith("\r"):
        raise DatasetError(
            f"{name}: its lines end in a carriage return alone", cure=r"End them in \n or \r\n."
        )
    return header, text[sum(map(len, taken)) :]


def _refuse_other_separator(text: str, name: str) -> None:
    """Refuse a file whose header is one column by commas, and several by another sign.

    The first row has to hold that sign, too: a name may.
    """
    lines = io.StringIO(text, newline="")
    header, row = lines.readline(), lines.readline()
    for sign, shown in SEPARATORS.items():
        if (row.strip() and sign not in row) or _count_cells(header, sign) == 1:
            continue
        if _count_cells(header, ",") == 1:
            decimal = ", decimal=','" if DECIMAL_COMMA.search(row) else ""
            raise DatasetError(
                f"{name} is separated by {shown}, not by commas",
                cure="Save it with commas. In Python: "
                f"pandas.read_csv(OLD, sep={sign!r}{decimal}).to_csv(NEW, index=False).",
            )


def _count_cells(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator), [""]))
    except csv.Error:  # the whole header is read next, and the error told
        return 1


def _refuse_ragged(text: str, name: str) -> None:
    width = 0
    for line, row in _rows(text, name):
        width = width or len(row)
        if row and len(row) != width:
            raise DatasetError(
                f"{name}, line {line}: {len(row)} cells, but the header names {width} columns",
                cure="Give every row one cell a column; quote cells that hold commas.",
            )


@dataclass(frozen=True, slots=True)
class InputFileBytes:
    """A file's bytes and what they are known by. ``path`` is as written, for messages."""

    path: str
    stream: IO[bytes]
    input: InputFile

    @property
    def raw(self) -> bytes:
        """All of the bytes."""
        self.stream.seek(0)
        return self.stream.read(self.input.file.size)  # by size it is read without a copy


def read_file(path: str, locate: Locate) -> InputFileBytes:
    """Hash one file, to be read in parts or whole.

    Raises ``DatasetError`` when it is missing, a folder, or empty.
    """
    with _explain_unreadable(real := locate(path), path):
        found = HashedFile(real, path)
    _refuse_empty(found.size, path)
    digest = FileDigest(record_name(path), found.size, found.sha256)
    return InputFileBytes(path, io.BufferedReader(found, BLOCK), InputFile(path, digest))


def read_bytes(real: Path, shown: str) -> bytes:
    """Return a file's bytes; ``shown`` names it in messages. Raises ``DatasetError``."""
    with _explain_unreadable(real, shown):
        raw = real.read_bytes()
    _refuse_empty(len(raw), shown)
    return raw


def _refuse_empty(size: int, shown: str) -> None:
    if not size:
        raise DatasetError(f"{shown} is empty (0 bytes)", cure="Write the data again.")


@contextmanager
def _explain_unreadable(real: Path, shown: str) -> Iterator[None]:
    try:
        if real.exists() and not real.is_dir() and not real.is_file():
            # A pipe would block for ever, and a device may never end.
            raise DatasetError(f"{shown} is not a regular file", cure="Name a plain file.")
        yield
    except FileNotFoundError:
        raise DatasetError(
            f"{shown} does not exist", cure="Fix the path; it is relative to the audit file."
        ) from None
    except IsADirectoryError:
        raise DatasetError(
            f"{shown} is a folder, where a file is expected", cure="Name a file in it."
        ) from None
    except (OSError, ValueError) as mistake:
        raise DatasetError(
            f"{shown} cannot be read ({mistake})", cure="Fix the path or the file's permissions."
        ) from None


def named_digest(name: str, raw: bytes) -> FileDigest:
    """Return the digest of bytes under a name."""
    return FileDigest(name, len(raw), hashlib.sha256(raw).hexdigest())


def record_name(path: str) -> str:
    """Return the name that a record gives a file: relative, with forward slashes.

    An absolute path keeps its last part alone, so that a record says nothing of a machine.
    """
    written = PureWindowsPath(path)
    if written.is_absolute() or path.startswith("/"):
        return written.name
    return posixpath.normpath(written.as_posix())


SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MODES = ("L", "RGB")
CLASS, FILE = "class", "file"


def read_pictures(section: DataSection, folder: Path) -> RawDataset:
    """Read every picture below ``folder``, ordered by class and then by file name.

    Inputs are ``[n, height, width]`` (grey) or ``[n, height, width, 3]`` bytes as stored: no
    resizing, no turning by EXIF. The columns are ``class`` (the label) and ``file`` (the id).
    Files whose name starts with a dot do not count. Raises ``DatasetError``.
    """
    path = section.path
    files: list[str] = []
    for entry in sorted(_visible(folder)):
        if not entry.is_dir():
            raise DatasetError(
                f"{path}/{entry.name} lies outside the classes",
                cure="Put every picture into a sub-folder named like its class.",
            )
        found = []
        for item in sorted(_visible(entry)):
            relative = item.relative_to(folder).as_posix()
            if item.is_dir() or item.suffix.lower() not in SUFFIXES:
                raise DatasetError(
                    f"{path}/{relative} is not a picture",
                    cure="Keep only PNG and JPEG files in the classes' folders.",
                )
            found.append(relative)
        files += found
    if not files:
        raise DatasetError(
            f"{path} is a folder without pictures",
            cure="Make one sub-folder a class with PNG or JPEG files in it, or name a file.",
        )
    raws = [read_bytes(folder / relative, f"{path}/{relative}") for relative in files]
    name = record_name(path)
    classes = [relative.split("/", 1)[0] for relative in files]
    return RawDataset(
        name=path,
        rows=len(files),
        files=tuple(
            InputFile(path, named_digest(f"{name}/{relative}", raw))
            for relative, raw in zip(files, raws, strict=True)
        ),
        columns={CLASS: pl.Series(classes), FILE: pl.Series(files)},
        inputs=_stack(path, files, raws),
        input_name="pixels",
        labels=section.labels or CLASS,
        id=section.id or FILE,
        scores=section.scores,
        pictures=True,
    )


def _stack(path: str, files: list[str], raws: list[bytes]) -> Array:
    arrays: list[Array] = []
    size = sum(map(len, raws))
    for relative, raw in zip(files, raws, strict=True):
        place = f"{path}/{relative}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(raw), formats=FORMATS) as picture:
                    mode = picture.mode
                    pixels: Array = np.asarray(picture)
        except (OSError, SyntaxError, ValueError, EOFError, TypeError, OverflowError) as mistake:
            raise DatasetError(
                f"{place} is not a picture that can be read ({mistake})",
                cure="Write it again; it may have been cut short.",
            ) from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as mistake:
            raise DatasetError(
                f"{place} is too large ({mistake})", cure="Take smaller pictures."
            ) from None
        if mode not in MODES:
            raise DatasetError(
                f"{place} has pixels of kind {mode!r}",
                cure="Convert it to 8-bit grey (L) or RGB, as the model takes it.",
            )
        arrays.append(pixels)
        # all have one size, so that the first tells what they take together
        refuse_decompression_bomb(
            path, size, arrays[0].nbytes * len(files), cure="Take fewer or smaller pictures."
        )
        if arrays[-1].shape != arrays[0].shape:
            raise DatasetError(
                f"{path}/{relative} is {_words(arrays[-1])}, but {files[0]} is {_words(arrays[0])}",
                cure="Give every picture the same size and the same kind of colour.",
            )
    return np.stack(arrays)


def _visible(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as mistake:
        raise DatasetError(
            f"the folder {folder.name} cannot be read ({mistake})", cure="Fix its permissions."
        ) from None


def _words(pixels: Array) -> str:
    height, width = pixels.shape[:2]
    return f"{width}x{height} {'grey' if pixels.ndim == 2 else 'RGB'}"  # noqa: PLR2004 -- no colour axis


CHILD = Path(__file__).with_name("parquet_child.py")
TIME_LIMIT = 300.0
OUTGROWN = (b"memory allocation of", b"MemoryError", b"larger than allowed")
"""What the reader says, or its process, where it may not have more memory."""
PARQUET_CURE = "Take fewer columns or rows, or store numbers as .npy."


def read_parquet(raw: bytes, name: str, child: Path = CHILD) -> pl.DataFrame:
    """Read a Parquet file with the script ``child``.

    What it holds comes back through a file that is mapped, so that columns which nobody keeps take
    no memory. Raises ``DatasetError`` when it is damaged or something else.
    """
    with scratch_folder() as folder:
        table = folder / "table.arrow"
        _read_in_child(raw, name, table, child)
        return pl.read_ipc(table)


def list_index_columns(raw: bytes, name: str) -> tuple[str, ...]:
    """Return the columns of a Parquet file that pandas wrote as the index of its table.

    Raises ``DatasetError`` when it is damaged or something else.
    """
    with scratch_folder() as folder:
        names = folder / "names.json"
        _read_in_child(raw, name, names, CHILD, "index")
        return tuple(json.loads(names.read_bytes()))


def _read_in_child(raw: bytes, name: str, into: Path, child: Path, *asked: str) -> None:
    try:
        with into.open("wb") as out:
            done = subprocess.run(  # noqa: S603 -- our own interpreter and script, no shell
                [sys.executable, "-P", str(child), str(memory_limit_of(len(raw))), *asked],
                input=raw,
                stdout=out,
                stderr=subprocess.PIPE,
                timeout=TIME_LIMIT,
                check=False,
                env={**os.environ, "RUST_BACKTRACE": "0"},
            )
    except subprocess.TimeoutExpired:
        raise _refused(name, f"reading takes more than {TIME_LIMIT:.0f} s") from None
    if any(said in done.stderr for said in OUTGROWN):
        refuse_oversized(name, len(raw), cure=PARQUET_CURE)
    if done.returncode != 0:
        # Exit 1 comes with a reason; anything else means that the reader itself broke.
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _refused(
            name, said[-1] if said and done.returncode == 1 else "the reader broke on it"
        )


def _refused(name: str, reason: str) -> DatasetError:
    return DatasetError(
        f"{name} is not a Parquet file that can be read ({reason})",
        cure="Write it again; it may have been cut short.",
    )
