"""Emulators of other processors: where they lie, what they can play, and how they are called.

An emulator is qemu in user mode: it runs one program whose instructions are those of another
processor, and hands its system calls to this kernel. What a program computes is what it would
compute on that processor; how long it takes says nothing.
Source: https://www.qemu.org/docs/master/user/main.html
"""

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import TargetError
from auditor.targets.foreign import Foreign, find_foreign
from auditor.targets.messages import plain

ARM = ("cortex-", "neoverse-", "a64fx")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
LACKING = re.compile(r"TCG doesn't support requested feature: \S*(?:E[ABCD]X|\))\.(\S+) \[bit")
NUMERIC = ("amx", "avx", "f16c", "fma", "pni", "sse", "ssse")
"""How the names of instructions begin that runtimes choose their kernels by."""
TRIAL_SECONDS = 120.0
FAKED_FILES = 2**20


@dataclass(frozen=True, slots=True)
class Emulator:
    """How a program is run as if on the processor ``cpu``: put ``prefix`` before its command.

    ``foreign`` is the Python of another architecture, where this machine's own cannot be used.
    ``readable`` are the folders that the emulator itself reads.
    """

    cpu: str
    version: str
    prefix: tuple[str, ...]
    readable: tuple[Path, ...]
    foreign: Foreign | None = None

    @property
    def interpreter(self) -> str | None:
        """The Python to run, where it is not this one."""
        return None if self.foreign is None else str(self.foreign.interpreter)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the emulated program's environment has beside the usual."""
        packages = {} if self.foreign is None else {"PYTHONPATH": str(self.foreign.packages)}
        return {**packages, "AUDITOR_EMULATED": self.cpu, "AUDITOR_EMULATOR": self.version}

    @property
    def faked_files(self) -> int:
        """Bytes of a file that the emulator must be able to write into its own memory.

        It shows a foreign program its processor's /proc files, and keeps them there.
        """
        return 0 if self.foreign is None else FAKED_FILES


def architecture(cpu: str) -> str:
    """Return the architecture of a processor, as ``platform.machine`` names it.

    Raises ``TargetError`` for what is no name.
    """
    if not NAME.fullmatch(cpu):
        raise TargetError(
            f"{plain(cpu, 100)!r} is no name of a processor",
            cure="Name one that qemu knows, such as Haswell, Nehalem or Cortex-A72.",
        )
    return "aarch64" if cpu.lower().startswith(ARM) else "x86_64"


def folder_of(cpu: str, home: Path) -> Path:
    """Return where under ``AUDITOR_HOME`` the emulator of a processor is kept."""
    return home / "emulators" / architecture(cpu)


def is_native(cpu: str) -> bool:
    """Whether this machine's own programs are what the emulator of ``cpu`` runs."""
    return architecture(cpu) == platform.machine()


def find_program(cpu: str, home: Path) -> Path | None:
    """Return the emulator's program: the one that was fetched, else one on the path."""
    name = f"qemu-{architecture(cpu)}"
    fetched = folder_of(cpu, home) / name
    if fetched.is_file():
        return fetched
    installed = shutil.which(f"{name}-static") or shutil.which(name)
    # A relative entry of PATH is a folder that came with what is audited, as likely as not.
    return Path(installed) if installed is not None and Path(installed).is_absolute() else None


def is_ready(cpu: str, home: Path) -> bool:
    """Whether all that emulating ``cpu`` needs is here. Raises ``TargetError`` for no name."""
    if find_program(cpu, home) is None:
        return False
    return is_native(cpu) or find_foreign(folder_of(cpu, home)) is not None


@functools.cache
def find_emulator(cpu: str, home: Path) -> Emulator:
    """Return the emulator of ``cpu`` that is here, after a trial.

    Raises ``TargetError`` where there is none, and where it cannot play ``cpu``: a processor
    without the instructions that make its numbers would be another processor.
    """
    program, foreign = find_program(cpu, home), None
    if program is not None and not is_native(cpu):
        foreign = find_foreign(folder_of(cpu, home))
    if program is None or not (foreign or is_native(cpu)):
        raise TargetError(
            f"the processor {cpu!r} cannot be emulated: what it needs is not here",
            cure=f"Fetch it with `auditor targets emulate {cpu}`.",
        )
    start = [str(program), *(() if foreign is None else ("-L", str(foreign.root)))]
    interpreter = sys.executable if foreign is None else str(foreign.interpreter)
    readable = {program.parent} if foreign is None else {program.parent, folder_of(cpu, home)}
    return Emulator(
        cpu,
        _version(program),
        (*start, "-cpu", _played(start, cpu, interpreter)),
        tuple(sorted(readable)),
        foreign,
    )


def _played(start: list[str], cpu: str, interpreter: str) -> str:
    """Return the processor in the emulator's words, without what it cannot play and warns of."""
    if architecture(cpu) == "aarch64":
        _trial(start, cpu.lower(), interpreter)
        return cpu.lower()
    lacking = list(dict.fromkeys(LACKING.findall(_trial(start, cpu, interpreter))))
    numeric = [name for name in lacking if name.startswith(NUMERIC)]
    if numeric:
        raise TargetError(
            f"the emulator cannot play {cpu}: it lacks {', '.join(numeric)}, on which numbers "
            "depend",
            cure="Audit on such a machine, or emulate an older processor, such as Haswell.",
        )
    played = ",".join([cpu, *(f"{name}=off" for name in lacking), "enforce"])
    _trial(start, played, interpreter)
    return played


def _trial(start: list[str], played: str, interpreter: str) -> str:
    """Run nothing on a processor, and return what the emulator says of it."""
    done = _run([*start, "-cpu", played, interpreter, "-I", "-S", "-c", "pass"])
    said = done.stderr.decode(errors="replace")
    if done.returncode == 0:
        return said
    if "unable to find CPU model" in said:
        raise TargetError(
            f"the emulator does not know the processor {played!r}",
            cure=f"Name one of those that `{start[0]} -cpu help` lists.",
        )
    raise TargetError(
        f"the emulator does not start ({done.returncode}): {plain(said, 300)}",
        cure=f"Update it where it is installed; where it was fetched, delete {start[0]} and call "
        "`auditor targets emulate` again.",
    )


def _version(program: Path) -> str:
    lines = _run([str(program), "--version"]).stdout.decode(errors="replace").splitlines()
    return plain(lines[0], 200) if lines else "unknown"


def _run(argv: list[str]) -> subprocess.CompletedProcess[bytes]:
    libraries = {k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ}
    environment = {**libraries, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    try:
        return subprocess.run(  # noqa: S603 -- our own command
            argv, capture_output=True, check=False, timeout=TRIAL_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(
            f"the emulator {argv[0]} cannot be run: {error}",
            cure=f"Delete {argv[0]} and call `auditor targets emulate` again, or install "
            "qemu-user.",
        ) from None
