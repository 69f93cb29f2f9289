"""NumPy files as plain arrays: nothing in them is ever unpickled."""

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from tokenize import TokenError

import numpy as np
import polars as pl

from auditor.datasets.bounds import COLUMN_BYTES, TEXT_BYTES, refuse_bomb
from auditor.domain.evidence import declared_array
from auditor.domain.tasks import Array
from auditor.errors import DatasetError

BLOCK = 1 << 20
CURE = "Store it unpacked (numpy.savez), in narrower numbers, or take a smaller sample."
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
    MemoryError,
    OverflowError,
    TypeError,
    SyntaxError,
    TokenError,
)


def read_npy(raw: bytes, name: str) -> Array:
    """Read one ``.npy`` array. Raises ``DatasetError`` for pickles and damaged files."""
    try:
        refuse_bomb(name, len(raw), _held(raw), cure=CURE)
        array: Array = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
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


def read_npz(raw: bytes, name: str) -> dict[str, Array]:
    """Read the arrays of an ``.npz`` archive. Raises ``DatasetError`` for damaged ones."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = _members(archive, name)
        held = sum(_held(member) for member in members.values())
    except DAMAGED_ZIP as mistake:
        raise DatasetError(
            f"{name} is not an .npz archive that can be read ({mistake})",
            cure="Write it again with numpy.savez; it may have been cut short.",
        ) from None
    refuse_bomb(name, len(raw), held, cure=CURE)
    return {key: read_npy(member, f"{name}: array {key!r}") for key, member in members.items()}


def plain(array: Array, place: str) -> Array:
    """Return an input array in the machine's own byte order, truth values as 0 and 1.

    Raises ``DatasetError`` unless it holds ordinary numbers and has a row axis and one more.
    """
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
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        return array.astype(np.float64)
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))


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
        return _decoded(array, place)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64)
    return pl.Series(array.astype(array.dtype.newbyteorder("="), copy=False))


def _decoded(array: Array, place: str) -> pl.Series:
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


def _held(raw: bytes) -> int:
    """Return the memory that an ``.npy`` takes as a column, of which every text is an object."""
    count, dtype = declared_array(raw)
    return max(len(raw), count * TEXT_BYTES * (dtype.kind in TEXT_KINDS))


def _members(archive: zipfile.ZipFile, name: str) -> Mapping[str, bytes]:
    listed = archive.infolist()
    keys = [member.filename.removesuffix(".npy") for member in listed]
    twice = sorted(key for key, count in Counter(keys).items() if count > 1)
    if twice:
        raise DatasetError(f"{name} holds the array {twice[0]!r} twice", cure="Write it again.")
    packings = {member.compress_type for member in listed}
    if not packings <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        # others may ask for gigabytes before they unpack a byte; NumPy writes none of them
        raise DatasetError(f"{name} is packed in a way that NumPy has not", cure="Write it again.")
    size = sum(member.compress_size for member in listed)
    unpacked = sum(member.file_size + COLUMN_BYTES for member in listed)
    refuse_bomb(name, size, unpacked, cure=CURE)
    return {key: archive.read(member) for key, member in zip(keys, listed, strict=True)}
