"""Fetches decisions of a real model about real people, and writes the files that are audited.

    python make.py [FOLDER]

The rows are of the American Community Survey in Massachusetts, 2015 to 2018, with what a model said
of whether each person works. They come in the wheel of nannyml (Apache-2.0), which is fetched by
pip, held to its digest, and only read: nothing of it is installed or run.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import polars as pl

PACKAGE = "nannyml==0.13.1"
DIGEST = "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
PLACE = "nannyml/datasets/data/employment_MA_"
TO_PARQUET = {"reference": "reference.parquet", "current": "current.parquet"}


def fetch(folder: Path) -> bytes:
    """Return the wheel's bytes. Raises ``ValueError`` for another wheel than the pinned one."""
    # The package asks for an older Python than some run, and none of it is run here.
    anyhow = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11"]
    command = [sys.executable, "-m", "pip", "download", "-q", *anyhow, "-d", str(folder), PACKAGE]
    subprocess.run(command, check=True)  # noqa: S603 -- our own words
    (wheel,) = folder.glob("nannyml-*.whl")
    raw = wheel.read_bytes()
    if hashlib.sha256(raw).hexdigest() != DIGEST:
        message = f"{wheel.name} is not the pinned file"
        raise ValueError(message)
    return raw


def tables(raw: bytes) -> dict[str, pl.DataFrame]:
    """Return the year before, and the years after with the labels that came later."""
    with zipfile.ZipFile(io.BytesIO(raw)) as wheel:
        read = {
            part: pl.read_parquet(io.BytesIO(wheel.read(f"{PLACE}{part}.pq")))
            for part in ("reference", "analysis", "analysis_target")
        }
    current = read["analysis"].join(read["analysis_target"], on="id", how="left")
    return {"reference": read["reference"], "current": current}


def main() -> None:
    """Write both tables."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    with tempfile.TemporaryDirectory() as place:
        raw = fetch(Path(place))
    for name, table in tables(raw).items():
        table.write_parquet(folder / TO_PARQUET[name])
        print(f"{folder / TO_PARQUET[name]}: {table.height:,} rows")


if __name__ == "__main__":
    main()
