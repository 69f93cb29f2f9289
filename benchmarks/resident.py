"""How much memory a command holds at most, together with every process that it starts.

Memory is the proportional set size: what is private counts whole, what processes share counts once
among them, and so do pages of files that they map. Linux alone tells it.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.1
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Held:
    """What a command came to: its exit code, the most memory (bytes), and the seconds it took."""

    code: int
    peak: int
    seconds: float
    said: str


def held(command: Sequence[object], settings: Mapping[str, str]) -> Held:
    """Run a command, and look many times a second at what it and its children hold."""
    begun, most = time.monotonic(), 0
    with subprocess.Popen(  # noqa: S603 -- our own command
        list(map(str, command)), env={**os.environ, **settings}, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        while running.poll() is None:
            most = max(most, sum(map(_resident, _tree(running.pid))))
            time.sleep(EVERY)
        said = running.stderr.read() if running.stderr else ""
    return Held(running.returncode, most, time.monotonic() - begun, said)


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for listed in PROC.glob(f"{pid}/task/*/children"):
            try:
                found += map(int, listed.read_text().split())
            except OSError:
                continue
    return found


def _resident(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
