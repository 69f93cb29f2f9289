"""Where things lie: the data folders as installed, and what is kept for the user."""

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import platformdirs

PACKAGE = Path(__file__).resolve().parent

Folder = Literal["policies", "reports", "alembic", "web"]


def find_shipped_folder(name: Folder) -> Path:
    """Return the folder ``name`` as installed, or as it stands in the checkout."""
    installed = PACKAGE / "_data" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def find_user_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of what is kept for the user: ``AUDITOR_HOME``, else the config folder."""
    home = environment.get("AUDITOR_HOME") or platformdirs.user_config_dir("auditor")
    return Path(home).expanduser().absolute()


@cache
def code_digest() -> str:
    """Return one digest over the package's modules and its data folders' files."""
    roots = {
        "auditor": PACKAGE,
        "policies": find_shipped_folder("policies"),
        "reports": find_shipped_folder("reports"),
    }
    hasher = hashlib.sha256()
    for label, root in roots.items():
        for path in sorted(root.rglob("*")):
            if path.is_file() and "_data" not in path.parts and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                hasher.update(f"{label}/{path.relative_to(root).as_posix()} {content}\n".encode())
    return "sha256:" + hasher.hexdigest()
