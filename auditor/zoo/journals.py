"""Rows of a selftest in a file, one a line, so that a run of hours can go on where it stopped."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor import __version__
from auditor.domain.canonical import Json
from auditor.errors import UsageError
from auditor.zoo.specimens import Specimen
from auditor.zoo.tallies import Row, Seen

BY = "auditor"


def read_rows(path: Path) -> Mapping[str, Row]:
    """Return the rows of a file by the names of their specimens; none where there is no file.

    A last line that was torn off is taken away, so that others can be written behind. Raises
    ``UsageError`` where the file holds something else, or what another version of auditor found.
    """
    if not path.exists():
        return {}
    text = path.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = [_row(path, number, line) for number, line in enumerate(whole.splitlines(), 1)]
    if whole != text:
        path.write_text(whole, "utf-8")
    return {row.specimen.name: row for row in rows}


def write_row(path: Path, row: Row) -> None:
    """Add a row to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({BY: __version__, **row.to_json()}, sort_keys=True) + "\n")


def _row(path: Path, number: int, line: str) -> Row:
    try:
        told: dict[str, Any] = json.loads(line)
        by: Json = told[BY]
        found = _read(told)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"line {number} of {path} is no row of a selftest: {type(error).__name__}: {error}",
            cure="Name a new file, or one that a selftest wrote.",
        ) from error
    if by != __version__:
        raise UsageError(
            f"line {number} of {path} was written by auditor {by}, and this is {__version__}",
            cure="Name a new file: what one version finds says nothing of another.",
        )
    return found


def _read(told: Mapping[str, Any]) -> Row:
    strength = told["strength"]
    specimen = Specimen(
        family=str(told["family"]),
        defect=str(told["defect"]),
        architecture=str(told["architecture"]),
        seed=int(told["seed"]),
        planted=bool(told["planted"]),
        strength=None if strength is None else float(strength),
    )
    return Row(
        specimen,
        Seen(told["seen"]),
        float(told["seconds"]),
        tuple(told["by"]),
        str(told["why"]),
        dict(told["outcomes"]),
    )
