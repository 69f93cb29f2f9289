"""Libraries of others in environments of their own, and what a job costs."""

import json
import os
import resource
import subprocess
import time
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from figures import absent
from numpy.typing import NDArray

MOST_SECONDS = 900


def cpu(job: Callable[[], object], runs: int = 5) -> float:
    """Return the least CPU seconds of several runs."""
    spent = []
    for _ in range(runs):
        start = time.process_time()
        job()
        spent.append(time.process_time() - start)
    return min(spent)


def one_read(*arrays: NDArray[Any]) -> float:
    """Return the CPU seconds of reading arrays once, which nothing that looks at them can beat."""
    return cpu(lambda: [int(np.bitwise_or.reduce(_words(item))) for item in arrays])


def _words(array: NDArray[Any]) -> NDArray[np.uint64]:
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return flat[: flat.size // 8 * 8].view(np.uint64)


def peak() -> int:
    """Return the most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def environment(
    folder: Path,
    name: str,
    packages: tuple[str, ...] = (),
    settings: Mapping[str, str] | None = None,
) -> Path | None:
    """Return the python of an environment that has a module, made if need be; or say why none.

    ``packages`` are what pip is asked for, if that is not what the module is called.
    """
    home = folder / name
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    if _run(python, ["-c", f"import {name}"], MOST_SECONDS, settings).returncode:
        try:
            words = ["-m", "pip", "install", "-q", *(packages or (name,))]
            told = _run(python, words, MOST_SECONDS)
        except subprocess.TimeoutExpired:
            absent(f"the peer {name}", "pip does not come to an end")
            print(f"{name}: pip does not come to an end, so its ratios are left out")
            return None
        if told.returncode:
            last = told.stderr.strip().splitlines()[-1:]
            absent(f"the peer {name}", f"cannot be installed: {' '.join(last)}")
            print(f"{name}: cannot be installed, so its ratios are left out: {last}")
            return None
    return python


def named(python: Path | None, package: str) -> str:
    """Return a package of an environment with its version, as ``netcal 1.3.6``."""
    if python is None:
        return package
    program = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    told = _run(python, ["-c", program, package], MOST_SECONDS)
    return f"{package} {told.stdout.strip()}".strip()


def asked(
    python: Path | None,
    program: str,
    *args: object,
    most: int = MOST_SECONDS,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """Run a peer's program, and return what it says; nothing where it fails, which is told."""
    if python is None:
        return None
    told = _run(python, ["-c", program, *map(str, args)], most, settings)
    if told.returncode:
        last = told.stderr.strip().splitlines()[-1:]
        absent(f"a peer in {python.parts[-3]}", f"fails: {' '.join(last)}")
        print(f"  a peer fails: {last}")
        return None
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def _run(
    python: Path, words: list[str], most: int, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own words
        [python, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=most,
        env={**os.environ, **(settings or {})},
    )
