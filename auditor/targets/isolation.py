"""How far a child process is cut off from the machine, and the command that starts it so."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import auditor
from auditor.domain.targets import TargetSpec

PACKAGE = Path(auditor.__file__).resolve().parent
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/sys/devices/system/cpu",  # kernels choose their tile sizes by the caches listed there
)  # fmt: skip
PASSED_ON = ("LD_LIBRARY_PATH",)
PROBE_SECONDS = 20.0


class Isolation(StrEnum):
    """What a child cannot reach.

    ``bubblewrap``: no network, no other process, and of the file system only the runtime's own
    files and the staged artifact, to read. ``namespaces``: no network. ``limits``: memory, time,
    open files and writing are limited at every level; here nothing more.
    """

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "namespaces"
    LIMITS = "limits"


@functools.cache
def strongest() -> Isolation:
    """Return the strongest level to ask for here; bubblewrap is tried once a process."""
    if shutil.which("bwrap") is None:
        return Isolation.NAMESPACES
    trial = [*_bubblewrap(()), sys.executable, "-I", "-S", "-c", "pass"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own command
            trial, capture_output=True, check=False, timeout=PROBE_SECONDS, env=environment(1)
        )
    except (OSError, subprocess.TimeoutExpired):
        return Isolation.NAMESPACES
    return Isolation.BUBBLEWRAP if done.returncode == 0 else Isolation.NAMESPACES


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child is held to, and the folders that it may read."""

    level: Isolation
    readable: tuple[Path, ...]
    memory_limit: int
    threads: int
    interpreter: str = sys.executable


def bounds_of(
    spec: TargetSpec,
    folder: Path | None,
    *,
    memory_limit: int | None = None,
    isolation: Isolation | None = None,
) -> Bounds:
    """Return the bounds of a child that may read ``folder``, as narrow as this machine allows."""
    return Bounds(
        level=isolation or strongest(),
        readable=() if folder is None else (folder.resolve(),),
        memory_limit=memory_limit or spec.memory_limit,
        threads=spec.threads,
    )


def command(role: str, bounds: Bounds) -> list[str]:
    """Return the command that starts a child of ``role`` within ``bounds``."""
    program = [
        # -P: the working directory is no place to import from; -s: nor is the user's own folder
        bounds.interpreter, "-P", "-s", "-B", "-m", "auditor.targets.child", role,
        "--isolation", bounds.level.value,
        "--memory-limit", str(bounds.memory_limit),
        "--parent", str(os.getpid()),
    ]  # fmt: skip
    bare = bounds.level is not Isolation.BUBBLEWRAP
    return program if bare else [*_bubblewrap(bounds.readable), *program]


def environment(threads: int) -> dict[str, str]:
    """Return all that a child sees of the environment: nothing of the user's."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    counted = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)
    )
    return {
        **passed,
        **counted,
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONHASHSEED": "0",
    }


def _bubblewrap(readable: Iterable[Path]) -> list[str]:
    parts = [
        "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",  # noqa: S108 -- inside the sandbox
    ]  # fmt: skip
    for place in SYSTEM:
        if Path(place).is_symlink():
            parts += ["--symlink", str(Path(place).readlink()), place]
        else:
            parts += ["--ro-bind-try", place, place]
    for place in SYSTEM_FILES:
        parts += ["--ro-bind-try", place, place]
    for folder in (*_interpreter(), PACKAGE, *readable):
        parts += ["--ro-bind", str(folder), str(folder)]
    return [*parts, "--chdir", "/"]


def _interpreter() -> list[Path]:
    """Return the folders of this Python, under the names by which it knows them."""
    named = {Path(sys.prefix), Path(sys.base_prefix)}
    folders = named | {folder.resolve() for folder in named}
    return sorted(folder for folder in folders if folder != Path("/usr"))
