"""What ``torch.export.save`` wrote, read as data: JSON and raw numbers, nothing unpickled.

``torch.export.load`` unpickles example inputs, evaluates expressions of sizes and compiles guards,
each of which runs what the file says (https://docs.pytorch.org/docs/stable/export.html). A twin
needs none of them: the graph is JSON, and weights lie beside it as bytes.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from auditor.errors import TwinError

MAJOR = 8
"""The version of the schema that is read, as torch 2.13 writes it; minor ones only add to it."""
MOST_BYTES = 4 * 2**30
DTYPES: Mapping[int, torch.dtype] = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
"""``ScalarType`` of the schema, the kinds that a network's weights have."""
STRIDED = 7
BROKEN = (
    zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, TypeError, AttributeError,
    IndexError, RuntimeError, RecursionError, NotImplementedError,
)  # fmt: skip
CURE = (
    "Save it with torch.export.save of a recent torch, on the CPU, in eval mode, with plain "
    "tensors as weights."
)


class Archive:
    """An opened ``.pt2`` file. Whatever it holds beside graph and numbers is left alone."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises ``TwinError`` where it is no such archive."""
        self._name = path.name
        try:
            self._zip = zipfile.ZipFile(path)
            self._root = self._only("models/model.json").removesuffix("models/model.json")
            self.document: Mapping[str, Any] = json.loads(self._read("models/model.json"))
            version = self.document["schema_version"]["major"]
        except BROKEN as mistake:
            raise self.unreadable(str(mistake)) from mistake
        if version != MAJOR:
            raise self.unreadable(f"its schema is version {version}, and {MAJOR} is read")

    def __enter__(self) -> Self:
        """Return the archive itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._zip.close()

    def tensors(self, folder: str, config: str) -> dict[str, Tensor]:
        """Return the tensors that a JSON file of ``data/`` lists, by name.

        Raises ``TwinError`` for one that is a pickle or an object of code.
        """
        try:
            listed = json.loads(self._read(f"data/{folder}/{config}"))["config"]
            return {name: self._tensor(folder, name, item) for name, item in listed.items()}
        except BROKEN as mistake:
            raise self.unreadable(str(mistake)) from mistake

    def unreadable(self, why: str) -> TwinError:
        """Return the error that says why this file is not read."""
        return TwinError(f"{self._name} cannot be read as an exported program: {why}", cure=CURE)

    def _tensor(self, folder: str, name: str, item: Mapping[str, Any]) -> Tensor:
        meta = item["tensor_meta"]
        if item["use_pickle"] or meta is None or meta["layout"] != STRIDED:
            raise self.unreadable(f"{name!r} is a pickle, which may run code, and no plain tensor")
        if meta["device"]["type"] != "cpu":
            raise self.unreadable(f"{name!r} lies on the device {meta['device']['type']!r}")
        dtype, raw = DTYPES[meta["dtype"]], self._read(f"data/{folder}/{item['path_name']}")
        sizes, strides = ([size["as_int"] for size in meta[key]] for key in ("sizes", "strides"))
        if 0 in sizes:
            return torch.zeros(sizes, dtype=dtype)
        flat = torch.frombuffer(bytearray(raw), dtype=dtype)
        # A view of a copy: as_strided refuses whatever lies outside of the bytes.
        return torch.as_strided(flat, sizes, strides, meta["storage_offset"]["as_int"]).clone()

    def _read(self, name: str) -> bytes:
        entry = self._zip.getinfo(self._root + name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > MOST_BYTES:
            raise self.unreadable(f"{name} is compressed or too large, which torch never writes")
        return self._zip.read(entry)

    def _only(self, end: str) -> str:
        found = [name for name in self._zip.namelist() if name.endswith("/" + end)]
        if len(found) != 1:
            message = f"it holds {len(found)} programs of the name 'model', and one is needed"
            raise ValueError(message)
        return found[0]
