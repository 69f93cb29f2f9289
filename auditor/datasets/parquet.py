"""Parquet files, read in a process of their own: a damaged one can abort its reader."""

import io
import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from auditor.errors import DatasetError

CHILD = Path(__file__).with_name("parquet_child.py")
TIME_LIMIT = 300.0


def read_parquet(raw: bytes, name: str, child: Path = CHILD) -> pl.DataFrame:
    """Read a Parquet file with the script ``child``.

    Raises ``DatasetError`` when it is damaged or something else.
    """
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter and script, no shell
            [sys.executable, "-P", str(child)],
            input=raw,
            capture_output=True,
            timeout=TIME_LIMIT,
            check=False,
            env={**os.environ, "RUST_BACKTRACE": "0"},
        )
    except subprocess.TimeoutExpired:
        raise _refused(name, f"reading takes more than {TIME_LIMIT:.0f} s") from None
    if done.returncode != 0:
        # Exit 1 comes with a reason; anything else means that the reader itself broke.
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _refused(
            name, said[-1] if said and done.returncode == 1 else "the reader broke on it"
        )
    return pl.read_ipc(io.BytesIO(done.stdout))


def _refused(name: str, reason: str) -> DatasetError:
    return DatasetError(
        f"{name} is not a Parquet file that can be read ({reason})",
        cure="Write it again; it may have been cut short.",
    )
