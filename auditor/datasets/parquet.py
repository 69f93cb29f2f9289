"""Parquet files, read in a process of their own: a damaged one can abort its reader."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from auditor.datasets.bounds import most_of, refuse_outgrown
from auditor.errors import DatasetError
from auditor.scratch import scratch_folder

CHILD = Path(__file__).with_name("parquet_child.py")
TIME_LIMIT = 300.0
OUTGROWN = (b"memory allocation of", b"MemoryError", b"larger than allowed")
"""What the reader says, or its process, where it may not have more memory."""
CURE = "Take fewer columns or rows, or store numbers as .npy."


def read_parquet(raw: bytes, name: str, child: Path = CHILD) -> pl.DataFrame:
    """Read a Parquet file with the script ``child``.

    What it holds comes back through a file that is mapped, so that columns which nobody keeps take
    no memory. Raises ``DatasetError`` when it is damaged or something else.
    """
    with scratch_folder() as folder:
        table = folder / "table.arrow"
        _convert(raw, name, child, table)
        return pl.read_ipc(table)


def _convert(raw: bytes, name: str, child: Path, table: Path) -> None:
    try:
        with table.open("wb") as out:
            done = subprocess.run(  # noqa: S603 -- our own interpreter and script, no shell
                [sys.executable, "-P", str(child), str(most_of(len(raw)))],
                input=raw,
                stdout=out,
                stderr=subprocess.PIPE,
                timeout=TIME_LIMIT,
                check=False,
                env={**os.environ, "RUST_BACKTRACE": "0"},
            )
    except subprocess.TimeoutExpired:
        raise _refused(name, f"reading takes more than {TIME_LIMIT:.0f} s") from None
    if any(said in done.stderr for said in OUTGROWN):
        refuse_outgrown(name, len(raw), cure=CURE)
    if done.returncode != 0:
        # Exit 1 comes with a reason; anything else means that the reader itself broke.
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _refused(
            name, said[-1] if said and done.returncode == 1 else "the reader broke on it"
        )


def _refused(name: str, reason: str) -> DatasetError:
    return DatasetError(
        f"{name} is not a Parquet file that can be read ({reason})",
        cure="Write it again; it may have been cut short.",
    )
