"""Where things lie: the three data folders as installed, and what is kept for the user."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import platformdirs

PACKAGE = Path(__file__).resolve().parent

Folder = Literal["policies", "reports", "alembic"]


def shipped(name: Folder) -> Path:
    """Return the folder ``name`` as installed, or as it stands in the checkout."""
    installed = PACKAGE / "_data" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def user_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of what is kept for the user: ``AUDITOR_HOME``, else the config folder."""
    home = environment.get("AUDITOR_HOME") or platformdirs.user_config_dir("auditor")
    return Path(home).expanduser().absolute()
