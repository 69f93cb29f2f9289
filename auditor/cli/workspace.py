"""The workspace of the caller of a command, and the files that are named from there."""

from contextlib import AbstractContextManager
from pathlib import Path

from auditor.cli.passwords import get_password_source
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import find_named_policy_file
from auditor.workflows.workspace import Workspace, open_workspace


def open_own_workspace() -> AbstractContextManager[Workspace]:
    """Open the store, its ledger and the signer that the environment names."""
    settings = AuditorSettings.from_environment()
    return open_workspace(settings, get_password_source(settings))


def parse_policy_option(wanted: str | None, audit_file: Path) -> str | None:
    """Return what ``--policy`` names as an audit file would: a pack's name, or a path.

    A path is one from the working folder; only where nothing lies there, from the audit file's.
    """
    if wanted is None:
        return None
    here, there = (
        find_named_policy_file(wanted, Path.cwd()),
        find_named_policy_file(wanted, audit_file.parent),
    )
    if here is None or there is None:
        return wanted
    if there.is_file() and (not here.is_file() or here.samefile(there)):
        return wanted
    return str(here)
