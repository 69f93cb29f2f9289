"""A folder of pictures: one sub-folder a class, PNG or JPEG files in it."""

import io
import warnings
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from auditor.datasets.bounds import refuse_bomb
from auditor.datasets.files import digest_of, read_bytes, record_name
from auditor.datasets.sources import Source
from auditor.domain.auditfiles import DataSection
from auditor.domain.requests import InputFile
from auditor.domain.tasks import Array
from auditor.errors import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MODES = ("L", "RGB")
CLASS, FILE = "class", "file"


def read_pictures(section: DataSection, folder: Path) -> Source:
    """Read every picture below ``folder``, ordered by class and then by file name.

    Inputs are ``[n, height, width]`` (grey) or ``[n, height, width, 3]`` bytes as stored: no
    resizing, no turning by EXIF. The columns are ``class`` (the label) and ``file`` (the id).
    Files whose name starts with a dot do not count. Raises ``DatasetError``.
    """
    path = section.path
    files = _files(path, folder)
    raws = [read_bytes(folder / relative, f"{path}/{relative}") for relative in files]
    name = record_name(path)
    classes = [relative.split("/", 1)[0] for relative in files]
    return Source(
        name=path,
        rows=len(files),
        files=tuple(
            InputFile(path, digest_of(f"{name}/{relative}", raw))
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
        arrays.append(_decode(raw, f"{path}/{relative}"))
        # all have one size, so that the first tells what they take together
        refuse_bomb(
            path, size, arrays[0].nbytes * len(files), cure="Take fewer or smaller pictures."
        )
        if arrays[-1].shape != arrays[0].shape:
            raise DatasetError(
                f"{path}/{relative} is {_words(arrays[-1])}, but {files[0]} is {_words(arrays[0])}",
                cure="Give every picture the same size and the same kind of colour.",
            )
    return np.stack(arrays)


def _files(path: str, folder: Path) -> list[str]:
    found: list[str] = []
    for entry in sorted(_visible(folder)):
        if not entry.is_dir():
            raise DatasetError(
                f"{path}/{entry.name} lies outside the classes",
                cure="Put every picture into a sub-folder named like its class.",
            )
        found += [_picture(path, folder, item) for item in sorted(_visible(entry))]
    if not found:
        raise DatasetError(
            f"{path} is a folder without pictures",
            cure="Make one sub-folder a class with PNG or JPEG files in it, or name a file.",
        )
    return found


def _visible(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as mistake:
        raise DatasetError(
            f"the folder {folder.name} cannot be read ({mistake})", cure="Mend its permissions."
        ) from None


def _picture(path: str, folder: Path, item: Path) -> str:
    relative = item.relative_to(folder).as_posix()
    if item.is_dir() or item.suffix.lower() not in SUFFIXES:
        raise DatasetError(
            f"{path}/{relative} is not a picture",
            cure="Keep only PNG and JPEG files in the classes' folders.",
        )
    return relative


def _decode(raw: bytes, place: str) -> Array:
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
    return pixels


def _words(pixels: Array) -> str:
    height, width = pixels.shape[:2]
    return f"{width}x{height} {'grey' if pixels.ndim == 2 else 'RGB'}"  # noqa: PLR2004 -- no colour axis
