"""Finds the source lines of an audit file and a policy in their repository."""

import re
from collections.abc import Mapping
from pathlib import Path

from auditor._yaml import YamlDocument, read_yaml_document
from auditor.domain.source_locations import SourceFile, SourceLine, SourceLocations
from auditor.errors import AuditFileError, PolicyError

DEEPEST = 2
"""How deep settings of an audit file are named: ``model.artifact``, and no further."""
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line of YAML 1.1 (section 4.1.4), as its readers count them."""
UNREADABLE = re.compile("[\\\\\ud800-\udfff]")


def find_source_locations(audit_file: Path, raw: bytes, policy: Path | None) -> SourceLocations:
    """Return where both files stand, from the root of the repository that the audit file is in.

    That is the nearest folder above it with a ``.git``, else the working directory, if the file
    lies in there. Where it does not, or a record cannot hold the path, it is called by its name
    alone, and such a policy has no place: no record names a path of the machine it was made on.
    """
    path = audit_file.resolve()
    root = find_repository_root(path)
    document = read_yaml_document(raw, path.name, AuditFileError)
    lines = {
        ".".join(map(str, place)): number
        for place, number in document.lines.items()
        if 0 < len(place) <= DEEPEST and all(isinstance(part, str) for part in place)
    }
    written = _from(root, path) or _readable(path.name)
    placed = _placed(written, raw, 1, lines)
    return SourceLocations(placed, None if policy is None else locate_policy(policy, root))


def locate_policy(policy: Path, root: Path | None) -> SourceFile | None:
    """Return where a policy and each of its rules stand; ``None`` where it is not below ``root``.

    Rules that it has of another policy stand where it says so.
    """
    path = policy.resolve()
    written = _from(root, path)
    if written is None:
        return None
    raw = path.read_bytes()
    document = read_yaml_document(raw, path.name, PolicyError)
    return _placed(written, raw, document.lines.get(("extends",), 1), _rules(document))


def find_repository_root(path: Path) -> Path | None:
    """Return the root that paths are written from, or ``None`` where a file is in no such."""
    found = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    here = Path.cwd().resolve()
    return found or (here if path.is_relative_to(here) else None)


def _from(root: Path | None, path: Path) -> str | None:
    if root is None or not path.is_relative_to(root):
        return None
    written = path.relative_to(root).as_posix()
    return written if written == _readable(written) else None


def _readable(written: str) -> str:
    # A record is UTF-8, and on another system a backslash would lead elsewhere.
    return UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", written)


def _rules(document: YamlDocument) -> Mapping[str, int]:
    rules = document.content.get("rules")
    listed = rules if isinstance(rules, list) else []
    return {
        str(rule["id"]): document.lines[("rules", place)]
        for place, rule in enumerate(listed)
        if isinstance(rule, Mapping) and "id" in rule
    }


def _placed(path: str, raw: bytes, first: int, numbers: Mapping[str, int]) -> SourceFile:
    widths = [len(line) for line in BREAK.split(raw.decode("utf-8"))]
    lines = {name: SourceLine(number, widths[number - 1]) for name, number in numbers.items()}
    return SourceFile(path, SourceLine(first, widths[first - 1]), lines)
