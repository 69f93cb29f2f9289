"""Checks that a path in a file stays inside the file's own folder."""

import posixpath
from pathlib import Path

MEMORY = "_ORT_MEM_ADDR_"
"""The mark by which ONNX Runtime takes an external tensor for an address in its own memory."""


def path_inside_folder(location: str) -> str | None:
    """Return the plain relative form of an external-data path, or ``None`` where it leaves.

    A ``..`` counts as leaving even where another part makes up for it: no exporter writes one, and
    with a linked folder on the way it leads elsewhere than it reads.
    """
    odd = "\\" in location or "\0" in location or MEMORY in location
    parts = location.split("/")
    if not location or odd or location.startswith("/") or ".." in parts or parts[0].endswith(":"):
        return None
    plain = posixpath.normpath(location)
    return None if plain == "." else plain


def has_symbolic_link(folder: Path, name: str) -> bool:
    """Whether a symbolic link stands anywhere on the way from ``folder`` to the file ``name``."""
    place = folder
    for part in name.split("/"):
        place = place / part
        if place.is_symlink():
            return True
    return False
