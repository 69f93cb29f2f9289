"""Read Parquet from standard input, write Arrow to standard output; run as a script.

Damaged Parquet can make the reader panic or abort its process, so the process is this one.
It imports nothing of ours, so that it starts fast.
"""

import io
import sys

import polars as pl

ADDRESS_SPACE = 16 * 2**30
BROKEN = 3  # what the reader said of its own fault helps nobody


def main() -> None:
    """Convert; a damaged file ends this process with one line on standard error."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 -- only systems that have limits have it

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = ADDRESS_SPACE if hard == resource.RLIM_INFINITY else min(ADDRESS_SPACE, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        table = pl.read_parquet(io.BytesIO(sys.stdin.buffer.read()))
    except pl.exceptions.PanicException:
        sys.exit(BROKEN)
    except (pl.exceptions.PolarsError, OSError) as mistake:
        lines = str(mistake).splitlines() or ["no reason given"]
        sys.exit(lines[0])
    table.write_ipc(sys.stdout.buffer)


if __name__ == "__main__":
    main()
