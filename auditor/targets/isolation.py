"""Isolation of a child process from the machine, and the command that starts it so."""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import auditor
from auditor.domain.isolation import REQUIRED, IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError, UsageError
from auditor.targets.emulation import Emulator

PACKAGE = Path(auditor.__file__).resolve().parent
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/sys/devices/system/cpu",  # kernels choose their tile sizes by the caches listed there
)  # fmt: skip
ALONE = PACKAGE / "targets" / "sandbox" / "standalone.py"
EMULATOR_ROOM = 2**30
"""Address space that an emulator takes for itself: 0.85 GiB was seen with qemu 10."""
PASSED_ON = ("LD_LIBRARY_PATH", "VK_DRIVER_FILES", "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER")
"""Where a runtime finds its libraries and drivers, and whether a GPU played in software will do."""
PROBE_SECONDS = 20.0
RECIPE = "sandbox.training"
"""The child program that runs the owner's code, which may start processes."""


@functools.cache
def find_strongest_isolation() -> IsolationLevel:
    """Return the strongest level to ask for here; bubblewrap is tried once a process.

    A child that cannot have Landlock says so, and has less.
    """
    if shutil.which("bwrap") is None:
        return IsolationLevel.LANDLOCK
    trial = [*_bubblewrap(()), sys.executable, "-I", "-S", "-c", "pass"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own command
            trial,
            capture_output=True,
            check=False,
            timeout=PROBE_SECONDS,
            env=build_base_environment(1),
        )
    except (OSError, subprocess.TimeoutExpired):
        return IsolationLevel.LANDLOCK
    return IsolationLevel.BUBBLEWRAP if done.returncode == 0 else IsolationLevel.LANDLOCK


def find_required_isolation() -> IsolationLevel:
    """Return the weakest level at which children of this process may open anything.

    Raises ``UsageError`` where the environment names no level: an unread limit would be none.
    """
    written = os.environ.get(REQUIRED) or IsolationLevel.LIMITS.value
    if written not in list(IsolationLevel):
        raise UsageError(
            f"{REQUIRED} is {written[:40]!r}, which is not an isolation level",
            cure=f"Write one of {', '.join(IsolationLevel)}, or unset it.",
        )
    return IsolationLevel(written)


@dataclass(frozen=True, slots=True)
class SandboxBounds:
    """What a child is held to, and the folders that it may read.

    ``interpreter`` is the Python that it runs in, and ``emulated`` the processor that an emulator
    plays: both only for children that run the artifact on its target. ``emulator`` is the one
    that plays it, once it is ready. ``driven`` says that a driver beside the runtime is
    loaded, or code of the owner's, which may keep files in memory. ``keeps_memory`` is for the
    auditor's own work alone: times and memory of a target are measured as a deployment has them. A
    child that turns out to be isolated less than ``least`` is ended before it opens anything.
    """

    level: IsolationLevel
    readable: tuple[Path, ...]
    memory_limit: int
    threads: int
    interpreter: str = sys.executable
    emulated: str | None = None
    emulator: Emulator | None = None
    driven: bool = False
    keeps_memory: bool = False
    least: IsolationLevel = field(default_factory=find_required_isolation)

    def on_auditor(self) -> "SandboxBounds":
        """Return the bounds of a child that works on the file, on this machine as it is."""
        return replace(
            self, interpreter=sys.executable, emulated=None, emulator=None, driven=False,
            keeps_memory=True,
        )  # fmt: skip


def build_sandbox_bounds(
    spec: TargetSpec,
    folder: Path | None,
    *,
    memory_limit: int | None = None,
    isolation: IsolationLevel | None = None,
) -> SandboxBounds:
    """Return the bounds of a child that may read ``folder``, as narrow as this machine allows.

    Raises ``TargetError`` where the target's interpreter is not there.
    """
    return SandboxBounds(
        level=isolation or find_strongest_isolation(),
        readable=() if folder is None else (folder.resolve(),),
        memory_limit=memory_limit or spec.memory_limit,
        threads=spec.threads,
        interpreter=_python(spec),
        emulated=spec.emulated,
        driven=spec.library is not None,
    )


def _python(spec: TargetSpec) -> str:
    if spec.interpreter is None:
        return sys.executable
    path = Path(spec.interpreter).expanduser().absolute()  # not resolved: a link is an environment
    if not os.access(path, os.X_OK) or path.is_dir():
        raise TargetError(
            f"the target {spec.name!r} asks for the interpreter {path}, which is not there",
            cure="Make that environment, with numpy and the runtime in it, or correct the path.",
        )
    return str(path)


def build_child_command(role: str, bounds: SandboxBounds) -> list[str]:
    """Return the command that starts the child program ``role`` within ``bounds``.

    It is a module below ``auditor.targets``, or the path of another package's driver.
    """
    if role.startswith("/"):
        bounds = replace(bounds, readable=(*bounds.readable, Path(role)))
    room = 0 if bounds.emulator is None else EMULATOR_ROOM
    limits = [
        "--isolation", bounds.level.value,
        "--memory-limit", str(bounds.memory_limit + room),
        "--parent", str(os.getpid()),
    ]  # fmt: skip
    faked = bounds.memory_limit if bounds.driven else 0
    if bounds.emulator is not None:
        faked = bounds.emulator.faked_files
    foreign = is_foreign_program(bounds)
    if not (foreign or bounds.driven or role == RECIPE):
        limits.append("--alone")
    if bounds.level is IsolationLevel.LANDLOCK:
        for place in (
            *SYSTEM,
            *SYSTEM_FILES,
            *map(str, (*_interpreter(), PACKAGE, *_folders(bounds))),
        ):
            limits += ["--readable", place]
    program = [*_program(sys.executable, role, alone=foreign), *limits]
    if faked:
        program += ["--faked-files", str(faked)]
    if foreign:
        # Ours takes on the limits and then becomes that program: no other is trusted to do so.
        prefix = () if bounds.emulator is None else bounds.emulator.prefix
        inner = (bounds.emulator and bounds.emulator.interpreter) or bounds.interpreter
        program += ["--under", *prefix, *_program(inner, role, alone=True)]
    bare = bounds.level is not IsolationLevel.BUBBLEWRAP
    return program if bare else [*_bubblewrap(_folders(bounds)), *program]


def is_foreign_program(bounds: SandboxBounds) -> bool:
    """Whether the program that answers is another Python's, or an emulator's, and not our own."""
    return bounds.emulator is not None or bounds.interpreter != sys.executable


def _program(interpreter: str, role: str, *, alone: bool = False) -> list[str]:
    """Return how the child program is called in a Python, the auditor's own or another."""
    own = interpreter == sys.executable and not alone
    called = ["-m", "auditor.targets.sandbox"] if own else [str(ALONE)]
    # -P: the working directory is no place to import from; -s: nor is the user's own folder
    return [interpreter, "-P", "-s", "-B", *called, role]


def _folders(bounds: SandboxBounds) -> list[Path]:
    emulated = () if bounds.emulator is None else bounds.emulator.readable
    # The folders of another Python: its own, and of the one that it was made from
    if bounds.interpreter == sys.executable:
        prefixes = []
    else:
        prefix = Path(bounds.interpreter).parent.parent
        folders = {prefix, prefix.resolve(), Path(bounds.interpreter).resolve().parent.parent}
        with contextlib.suppress(OSError):
            written = (prefix / "pyvenv.cfg").read_text(encoding="utf-8")
            homes = re.findall(r"^home\s*=\s*(.+?)\s*$", written, re.MULTILINE)
            folders |= {Path(home).parent for home in homes}
        prefixes = sorted(folder for folder in folders if folder not in {Path("/usr"), Path("/")})
    return [*prefixes, *emulated, *bounds.readable]


def build_child_environment(bounds: SandboxBounds) -> dict[str, str]:
    """Return all that a child within ``bounds`` sees of the environment."""
    kept = KEPT_MEMORY if bounds.keeps_memory else {}
    common = {**build_base_environment(bounds.threads), **kept}
    if not is_foreign_program(bounds):
        return common
    # beside auditor lie the packages of this environment, which another Python must not load
    del common["PYTHONPATH"]
    return {**common, **({} if bounds.emulator is None else bounds.emulator.environment)}


KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**29),
    "MALLOC_ARENA_MAX": "1",
}
"""How glibc keeps freed memory. A gradient of a picture of 224 x 224 frees 200 MB a row; a third of
its time went into pages that the kernel cleared anew. 32 MiB is the most that glibc takes."""


def build_base_environment(threads: int) -> dict[str, str]:
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
