"""Resolves the settings of an audit file to the files that they name."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from auditor._yaml import REQUEST, Place, YamlDocument, locate_json_lines
from auditor.domain.auditfiles import AuditFile
from auditor.domain.name_suggestions import suggest_near_names
from auditor.domain.policies import Policy
from auditor.errors import AuditFileError, InvalidInputError, PolicyMissingError

Locate: TypeAlias = Callable[[str], Path]
"""Turns a path as the audit file writes it into where the file really lies."""
MEND = "Fix the path; it is relative to {}."


def locate_setting(file: AuditFile, *place: str | int) -> str:
    """Say ``file:line: setting`` of a setting, at the line of the nearest part that it has."""
    where = YamlDocument(file.source, {}, locate_json_lines(file.raw)).where(place)
    return f"{where}: {'.'.join(map(str, place))}"


def resolve_setting_path(  # noqa: PLR0913 -- what is named, where, and what to say where it is not
    file: AuditFile,
    place: Place,
    written: str,
    locate: Locate,
    *,
    cure: str | None = None,
    error: type[InvalidInputError] = AuditFileError,
    plain: bool = True,
) -> Path:
    """Return where a file lies that the setting at ``place`` names; a folder unless ``plain``.

    Raises ``error`` that says where it was looked for, and which file there has nearly that name.
    """
    path = locate(written)
    if _lies(path) and (not plain or path.is_file()):
        return path
    if _lies(path):
        problem = "is not a regular file"
    else:
        problem = f"does not exist (looked for {path.absolute()}){_beside(path)}"
    base = "the working directory" if file.source == REQUEST else "the audit file"
    problem = f"{locate_setting(file, *place)}: {written} {problem}"
    raise error(problem, cure=cure or MEND.format(base))


def load_audit_policy(file: AuditFile, load: Callable[[str], Policy]) -> Policy:
    """Load an audit file's policy; where it is its own, that there is none is told at its line.

    Raises ``PolicyError``.
    """
    try:
        return load(file.policy)
    except PolicyMissingError as error:
        if not file.own_policy:
            raise
        problem = f"{locate_setting(file, 'policy')}: {error.problem}"
        raise PolicyMissingError(problem, cure=error.cure) from None


def _lies(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # whoever opens it says what is wrong
    return True


def _beside(path: Path) -> str:
    try:
        names = sorted(item.name for item in path.parent.iterdir())
    except OSError:
        return ""
    return suggest_near_names(path.name, names)
