"""The ONNX Runtime library, and facts about its build."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import onnxruntime

from auditor.domain.digests import Digest

ort: Any = onnxruntime


def read_runtime_facts() -> dict[str, Any]:
    """Return the runtime's version, build and library digest, and the providers it has."""
    return {
        "name": "onnxruntime",
        "version": ort.__version__,
        "build": ort.get_build_info(),
        "library": _library_digest(),
        "providers": list(ort.get_available_providers()),
    }


@functools.cache
def _library_digest() -> str:
    """Return one digest of the runtime's libraries: its own, and those of built-in providers."""
    folder = Path(ort.__file__).parent / "capi"
    libraries = sorted(path for path in folder.iterdir() if ".so" in path.suffixes)
    if not libraries:
        return "unknown"
    whole = hashlib.sha256()
    for path in libraries:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{path.name} {content}\n".encode())
    return Digest.of_hex(whole.hexdigest())
