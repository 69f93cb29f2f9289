"""Projects of a service: made on its own machine, each with the key of its first admin."""

import re
from pathlib import Path

from auditor.acting import act_of_operator
from auditor.callers import caller_of, end_of, new_key
from auditor.domain.acts import ActKind
from auditor.domain.api_keys import Role
from auditor.domain.rations import Rations
from auditor.errors import StoreError, UsageError
from auditor.refusals import UnauthorizedError
from auditor.signing.keys import write_key
from auditor.store.service.store import ServiceStore

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def new_project(kept: ServiceStore, name: str, path: Path, at: str) -> None:
    """Make a project and its first admin's key, whose text is written to ``path``.

    ``at`` is now (UTC). Raises ``UsageError`` for a name that is none or is taken.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is no project's name",
            cure="Use up to 63 lower-case letters, digits and dashes; begin with no dash.",
        )
    if not make_project(kept, name, at):
        raise UsageError(
            f"there is a project {name} already",
            cure=f"Name another; `auditor projects key {name}` gives this one another admin's key.",
        )
    new_admin(kept, name, path, at)


def make_project(kept: ServiceStore, name: str, at: str) -> bool:
    """Make a project as who runs the service, and say whether it is new."""
    return kept.add_project(name, at, act_of_operator(name, ActKind.PROJECT_MADE, name, at))


def new_admin(kept: ServiceStore, project: str, path: Path, at: str) -> None:
    """Make an admin's key of a project, and write its text where nobody else can read it.

    Raises ``SubmissionError`` where there is no such project, ``StoreError`` where the file cannot
    be written; then there is a key whose text nobody has.
    """
    ends = end_of(None, at, Rations().keys)
    made = new_key(project, Role.ADMIN, "first admin", at, ends)
    act = act_of_operator(project, ActKind.KEY_MADE, made.key.id, at, role=Role.ADMIN.value)
    kept.add_key(made.key, act)
    _write_private(path, f"{made.text}\n")


def holds(kept: ServiceStore, path: Path, at: str) -> bool:
    """Whether the key in a file holds in this store now."""
    try:
        return path.is_file() and bool(
            caller_of(path.read_text(encoding="utf-8").strip(), kept.key, at)
        )
    except UnauthorizedError:
        return False  # of another store, or ended


def _write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read at any moment, whole or not at all."""
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        write_key(path, text.encode(), mode=PRIVATE_FILE)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}", cure="Make AUDITOR_HOME writable."
        ) from None
