"""Read Parquet from standard input, write Arrow to standard output; run as a script.

Damaged Parquet can make the reader panic or abort its process, so the process is this one.
It imports nothing of ours, so that it starts fast. Its first argument is how many bytes of memory
the table may take; a second one, ``index``, asks for the names of pandas' index columns instead.
"""

import io
import json
import sys

import polars as pl

SPARE = 3
"""So many times a table is held while it is read and written."""
INDEX = "index"
CELL = 8
CPU_SECONDS = 60
"""With as many for every gigabyte that the table may take."""
BROKEN = 3  # what the reader said of its own fault helps nobody


def main() -> None:
    """Convert; a damaged file ends this process with one line on standard error."""
    most = int(sys.argv[1])
    limit_resources(most)
    raw = sys.stdin.buffer.read()
    try:
        columns = len(pl.read_parquet_schema(io.BytesIO(raw)))
        rows = pl.scan_parquet(io.BytesIO(raw)).select(pl.len()).collect().item()
        if rows * columns * CELL > most:
            sys.exit("larger than allowed")
        if sys.argv[2:] == [INDEX]:
            sys.stdout.write(json.dumps(list_index_columns(raw)))
            return
        table = pl.read_parquet(io.BytesIO(raw))
        if table.estimated_size() > most:
            sys.exit("larger than allowed")
    except pl.exceptions.PanicException:
        sys.exit(BROKEN)
    except (pl.exceptions.PolarsError, OSError) as mistake:
        lines = str(mistake).splitlines() or ["no reason given"]
        sys.exit(lines[0])
    table.write_ipc(sys.stdout.buffer)


def list_index_columns(raw: bytes) -> list[str]:
    """Return the columns that pandas wrote as the index of its table, by the file's metadata."""
    try:
        told = json.loads(pl.read_parquet_metadata(io.BytesIO(raw)).get("pandas", "{}"))
        named = told["index_columns"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    known = pl.read_parquet_schema(io.BytesIO(raw))
    listed = named if isinstance(named, list) else []
    return [it for it in listed if isinstance(it, str) and it in known]


def limit_resources(most: int) -> None:
    """Let this process grow by what the table may take, and work so long."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 -- only systems that have limits have it

        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 -- starts fast
            now = int(file.read().split()[0]) * resource.getpagesize()
        gigabytes = most // 2**30
        for kind, wanted in (
            (resource.RLIMIT_AS, now + SPARE * most),
            (resource.RLIMIT_CPU, CPU_SECONDS * (1 + gigabytes)),
        ):
            hard = resource.getrlimit(kind)[1]
            least = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (least, least))


if __name__ == "__main__":
    main()
