"""Run the benchmarks and write what they measured: docs/benchmarks.json, two pages, a picture.

    python benchmarks/table.py [--only AREA] [--quick] [--check] [--render]

Each script's result is kept as soon as it is there, so that a run that was cut off goes on where it
was: what was measured at the same commit is not measured again. ``--check`` writes nothing, and
compares with the committed table; it ends with 1 where a figure is worse or missing. ``--only``
takes an area or a script's name, and may be repeated; scripts run in that order.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench_book import Book, Result, moves
from bench_front import front
from bench_page import page
from bench_picture import picture
from bench_scripts import SCRIPTS, Script
from figures import PLACE, read

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DOCS = ROOT / "docs"
DATA = DOCS / "benchmarks.json"
CACHE = HERE / ".cache"
LIBRARIES = (
    "numpy", "scipy", "onnx", "onnxruntime", "torch", "polars", "cryptography",
    "adversarial-robustness-toolbox", "foolbox", "torchattacks",
)  # fmt: skip
MOST_SECONDS = 4 * 3600


def told(*words: str) -> str:
    """Return what a command says, nothing where it fails."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    """Return the last commit that touched what is measured; a plus where files have changed."""
    paths = ("auditor", "benchmarks", "pyproject.toml")
    head = told("git", "log", "-1", "--format=%h", "--", *paths) or "unknown"
    return head + "+" * bool(told("git", "status", "--porcelain", "--", *paths))


def machine() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of the libraries that figures rest on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def circumstances(run: str, command: str) -> dict[str, Any]:
    """Return where, when and with what something is measured."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "run": run,
        "at": stamp(),
        "commit": commit(),
        "machine": machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages * size / 1e9),
        "load": [os.getloadavg()[0]],
        "python": platform.python_version(),
        "versions": versions(),
        "command": command,
    }


def stamp() -> str:
    """Return the time, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")


def words_of(script: Script) -> list[str]:
    """Return what a script is told for the table."""
    kept = ["--environments", str(CACHE / "environments")] if script.peers else []
    return [*script.words, *kept]


def measured(script: Script, run: str) -> Result:
    """Run a script, and return its result; one that fails is a result as well."""
    occasion = circumstances(run, " ".join([script.name, *script.words]))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "figures"
        command = [sys.executable, str(HERE / script.name), *words_of(script)]
        around = {"OMP_NUM_THREADS": "1", **os.environ, PLACE: str(place)}
        try:
            done = subprocess.run(  # noqa: S603
                command, cwd=ROOT, env=around, stderr=subprocess.PIPE, text=True, check=False,
                timeout=MOST_SECONDS,
            )  # fmt: skip
            said = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
            problem = said[0] if done.returncode else ""
        except subprocess.TimeoutExpired:
            problem = f"no end after {MOST_SECONDS / 3600:.0f} hours"
        figures, gone = read(place)
    occasion["seconds"] = round(time.monotonic() - begun)
    occasion["load"].append(os.getloadavg()[0])
    if not figures and not problem:
        problem = "it told no figure"
    return Result(script.name, occasion, figures, gone, problem)


def results(scripts: Sequence[Script], folder: Path) -> Iterator[Result]:
    """Yield each script's result: the one kept in ``folder`` of this commit, or a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / "begun"
    if not begun.exists():
        begun.write_text(stamp(), encoding="utf-8")
    for script in scripts:
        place = folder / f"{script.name}.json"
        kept = Result.parse(place.read_text(encoding="utf-8")) if place.exists() else None
        if kept is None or kept.occasion["commit"] != commit() or kept.problem:
            print(f"== {script.name}", flush=True)
            kept = measured(script, begun.read_text(encoding="utf-8"))
            place.write_text(kept.emit(), encoding="utf-8")
        yield kept
    shutil.rmtree(folder)


def chosen(only: Sequence[str], *, quick: bool) -> list[Script]:
    """Return the scripts that are asked for, in that order."""
    named = [
        script
        for word in only or dict.fromkeys(script.area for script in SCRIPTS)
        for script in SCRIPTS
        if word in (script.area, script.name)
    ]
    return [script for script in dict.fromkeys(named) if script.quick or not quick]


def rendered(book: Book) -> dict[Path, str]:
    """Return what is made of the figures: the first page, its picture, and the page with all."""
    return {
        DOCS / "benchmarks.md": front(book),
        DOCS / "images" / "benchmarks.svg": picture(book) + "\n",
        DOCS / "benchmarks-full.md": page(book),
    }


def write(book: Book) -> None:
    """Write the figures, the pages and the picture."""
    book.save(DATA)
    for path, text in rendered(book).items():
        path.write_text(text, encoding="utf-8")


def check(book: Book, found: Sequence[Result]) -> int:
    """Print what has moved, and return 1 where something is worse or missing."""
    moved = list(moves(book, found))
    for move in moved:
        print(move)
    told_of = sum(len(result.figures) for result in found)
    print(f"{told_of} figures measured, {len(moved)} moved")
    return int(any(move.worse for move in moved))


def main() -> int:
    """Run what is asked for, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--render", action="store_true", help="write the pages again, run nothing")
    asked = parser.parse_args()
    book = Book.load(DATA)
    if asked.render:
        write(book)
        return 0
    scripts = chosen(asked.only, quick=asked.quick)
    if asked.check:
        return check(book, list(results(scripts, CACHE / "check")))
    for result in results(scripts, CACHE / "run"):
        book = book.with_result(result)
        write(book)
    return 0


if __name__ == "__main__":
    sys.exit(main())
