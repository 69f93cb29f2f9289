"""The workplace of whoever called the command, and the files that they name from there."""

from contextlib import AbstractContextManager
from pathlib import Path

from auditor.cli.asking import passwords
from auditor.settings import Settings
from auditor.wiring import policy_file
from auditor.workplaces import Workplace, workplace


def own_workplace() -> AbstractContextManager[Workplace]:
    """Open the store, its ledger and the signer that the environment names."""
    settings = Settings.from_environment()
    return workplace(settings, passwords(settings))


def policy_asked(wanted: str | None, audit_file: Path) -> str | None:
    """Return what ``--policy`` names as an audit file would: a pack's name, or a path.

    A path is one from the working folder; only where nothing lies there, from the audit file's.
    """
    if wanted is None:
        return None
    here, there = policy_file(wanted, Path.cwd()), policy_file(wanted, audit_file.parent)
    if here is None or there is None:
        return wanted
    if there.is_file() and (not here.is_file() or here.samefile(there)):
        return wanted
    return str(here)
