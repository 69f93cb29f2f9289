"""Where the three data folders lie: in a wheel, an editable install and a bare checkout."""

from pathlib import Path
from typing import Literal

PACKAGE = Path(__file__).resolve().parent

Folder = Literal["policies", "reports", "alembic"]


def shipped(name: Folder) -> Path:
    """Return the folder ``name`` as installed, or as it stands in the checkout."""
    installed = PACKAGE / "_data" / name
    return installed if installed.is_dir() else PACKAGE.parent / name
