"""The Python environment of a record: installed distributions under one digest."""

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import distributions


@cache
def environment_lock() -> bytes:
    """Return the canonical JSON (RFC 8785) of the interpreter, the platform and all distributions.

    Names are normalised (PEP 503); of a distribution that lies there twice, the first one counts,
    which is also the one that is imported.
    """
    packages: dict[str, str] = {}
    for item in distributions():
        name = (item.metadata["Name"] or "").lower().replace("_", "-").replace(".", "-")
        packages.setdefault(name, item.version)
    found = {
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "packages": packages,
        "python": platform.python_version(),
        "system": platform.system(),
    }
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def environment_digest() -> str:
    """Return the digest of ``environment_lock``."""
    return "sha256:" + hashlib.sha256(environment_lock()).hexdigest()
