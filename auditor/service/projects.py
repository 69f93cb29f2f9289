"""Creates projects of a service on its own machine, each with the key of its first admin."""

import re
from pathlib import Path

from auditor.errors import StoreError, UnauthorizedError, UsageError
from auditor.service.auth.api_keys import authenticate_key, create_api_key, resolve_key_expiry
from auditor.service.domain.access import (
    AccessRole,
    AuditLogAction,
    ServiceLimits,
    build_operator_log_entry,
)
from auditor.service.store.submission_history import ServiceStore
from auditor.trust.keys.files import write_key

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def create_project(kept: ServiceStore, name: str, path: Path, at: str) -> None:
    """Make a project and its first admin's key, whose text is written to ``path``.

    ``at`` is now (UTC). Raises ``UsageError`` for a name that is none or is taken.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is not a project name",
            cure="Use up to 63 lower-case letters, digits and dashes; do not start with a dash.",
        )
    if not ensure_project(kept, name, at):
        raise UsageError(
            f"project {name} already exists",
            cure=(
                f"Choose another name; `auditor projects key {name}` creates another "
                "admin API key for this project."
            ),
        )
    create_admin_key(kept, name, path, at)


def ensure_project(kept: ServiceStore, name: str, at: str) -> bool:
    """Make a project as who runs the service, and say whether it is new."""
    return kept.add_project(
        name, at, build_operator_log_entry(name, AuditLogAction.PROJECT_MADE, name, at)
    )


def create_admin_key(kept: ServiceStore, project: str, path: Path, at: str) -> None:
    """Make an admin's key of a project, and write its text where nobody else can read it.

    Raises ``SubmissionError`` where there is no such project, ``StoreError`` where the file cannot
    be written; then there is a key whose text nobody has.
    """
    ends = resolve_key_expiry(None, at, ServiceLimits().keys)
    made = create_api_key(project, AccessRole.ADMIN, "first admin", at, ends)
    act = build_operator_log_entry(
        project, AuditLogAction.KEY_MADE, made.key.id, at, role=AccessRole.ADMIN.value
    )
    kept.add_key(made.key, act)
    # Write a file that nobody else can read at any moment, whole or not at all
    text = f"{made.text}\n"
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        write_key(path, text.encode(), mode=PRIVATE_FILE)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}", cure="Make AUDITOR_HOME writable."
        ) from None


def is_key_file_valid(kept: ServiceStore, path: Path, at: str) -> bool:
    """Whether the key in a file holds in this store now."""
    try:
        return path.is_file() and bool(
            authenticate_key(path.read_text(encoding="utf-8").strip(), kept.key, at)
        )
    except UnauthorizedError:
        return False  # of another store, or ended
