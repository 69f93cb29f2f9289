"""CPU emulation with QEMU user mode: finds, downloads and prepares emulators.

QEMU in user mode runs one program for another processor and passes its system calls to this kernel.
Results are those of the emulated processor; execution time is not meaningful. Source:
https://www.qemu.org/docs/master/user/main.html

Packages are unpacked into a folder without installation. This needs ``apt-get`` and ``dpkg``
(Debian and derivatives), but neither root nor the system's package lists: apt uses a separate
state, for any architecture, with the system's sources and keys.
"""

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import RuntimeMissingError, TargetError
from auditor.targets.emulated_python import (
    ROOT,
    ForeignPython,
    find_foreign_interpreter,
    find_foreign_python,
    list_requirements,
    packages_folder,
)
from auditor.targets.protocol import to_plain_text

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
    foreign: ForeignPython | None = None

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


def architecture_of_cpu(cpu: str) -> str:
    """Return the architecture of a processor, as ``platform.machine`` names it.

    Raises ``TargetError`` for what is no name.
    """
    if not NAME.fullmatch(cpu):
        raise TargetError(
            f"{to_plain_text(cpu, 100)!r} is not a name of a processor",
            cure="Name one that qemu knows, such as Haswell, Nehalem or Cortex-A72.",
        )
    return "aarch64" if cpu.lower().startswith(ARM) else "x86_64"


def emulator_folder(cpu: str, home: Path) -> Path:
    """Return where under ``AUDITOR_HOME`` the emulator of a processor is kept."""
    return home / "emulators" / architecture_of_cpu(cpu)


def is_native(cpu: str) -> bool:
    """Whether this machine's own programs are what the emulator of ``cpu`` runs."""
    return architecture_of_cpu(cpu) == platform.machine()


def find_emulator_program(cpu: str, home: Path) -> Path | None:
    """Return the emulator's program: the one that was fetched, else one on the path."""
    name = f"qemu-{architecture_of_cpu(cpu)}"
    fetched = emulator_folder(cpu, home) / name
    if fetched.is_file():
        return fetched
    installed = shutil.which(f"{name}-static") or shutil.which(name)
    # A relative entry of PATH is a folder that came with what is audited, as likely as not.
    return Path(installed) if installed is not None and Path(installed).is_absolute() else None


def is_emulator_ready(cpu: str, home: Path) -> bool:
    """Whether all that emulating ``cpu`` needs is here. Raises ``TargetError`` for no name."""
    if find_emulator_program(cpu, home) is None:
        return False
    return is_native(cpu) or find_foreign_python(emulator_folder(cpu, home)) is not None


@functools.cache
def find_emulator(cpu: str, home: Path) -> Emulator:
    """Return the emulator of ``cpu`` that is here, after a trial.

    Raises ``TargetError`` where there is none, and where it cannot play ``cpu``: a processor
    without the instructions that make its numbers would be another processor.
    """
    program, foreign = find_emulator_program(cpu, home), None
    if program is not None and not is_native(cpu):
        foreign = find_foreign_python(emulator_folder(cpu, home))
    if program is None or not (foreign or is_native(cpu)):
        raise TargetError(
            f"the processor {cpu!r} cannot be emulated: what it needs is not here",
            cure=f"Fetch it with `auditor targets emulate {cpu}`.",
        )
    start = [str(program), *(() if foreign is None else ("-L", str(foreign.root)))]
    interpreter = sys.executable if foreign is None else str(foreign.interpreter)
    readable = {program.parent} if foreign is None else {program.parent, emulator_folder(cpu, home)}
    lines = _run([str(program), "--version"]).stdout.decode(errors="replace").splitlines()
    return Emulator(
        cpu,
        to_plain_text(lines[0], 200) if lines else "unknown",
        (*start, "-cpu", _played(start, cpu, interpreter)),
        tuple(sorted(readable)),
        foreign,
    )


def _played(start: list[str], cpu: str, interpreter: str) -> str:
    """Return the processor in the emulator's words, without what it cannot play and warns of."""
    if architecture_of_cpu(cpu) == "aarch64":
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
        f"the emulator does not start ({done.returncode}): {to_plain_text(said, 300)}",
        cure=f"Update it where it is installed; where it was fetched, delete {start[0]} and call "
        "`auditor targets emulate` again.",
    )


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


Progress = Callable[[str], None]
NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of architectures, by those of ``platform.machine``."""
URI = re.compile(r"^'[^']+' \S+ (\d+) ", re.MULTILINE)
FETCH_SECONDS = 1800.0


def download_packages(
    packages: Sequence[str], architecture: str, folder: Path, progress: Progress
) -> list[Path]:
    """Download packages and all that they depend on; return the archives.

    ``folder`` holds what apt keeps, and may be deleted afterwards. Raises ``RuntimeMissingError``
    where there is no apt, no network, or no such package.
    """
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise RuntimeMissingError(
                f"{tool} is not here, with which {packages[0]} would be fetched",
                cure="Install qemu-user by your distribution's own means, so that "
                "`qemu-x86_64 --version` answers.",
            )
    # The options by which apt leaves the system alone; makes the folders they name
    options_architecture = NAMES[architecture]
    for name in ("state/lists/partial", "cache/archives/partial", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "state" / "status").touch()
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state" / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Log": folder / "log",
        "APT::Architecture": options_architecture,
        "APT::Architectures": options_architecture,
        "APT::Sandbox::User": "",
        "APT::Update::Error-Mode": "any",  # lists that are not read would otherwise be a warning
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
        "Acquire::Retries": "2",
        "Debug::NoLocking": "1",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    apt = ["apt-get", *options]
    progress(f"reading the lists of packages for {architecture} (about 10 MB)")
    run_program([*apt, "update"], "the distribution's lists of packages")
    wanted = ["install", "-y", "--no-install-recommends", *packages]
    listed = run_program([*apt, "--print-uris", *wanted], f"the package {packages[0]}")
    sizes = [int(size) for size in URI.findall(listed)]
    progress(f"downloading {', '.join(packages)}: {len(sizes)} files, {sum(sizes) / 1e6:.0f} MB")
    run_program([*apt, "--download-only", *wanted], f"the package {packages[0]}")
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def unpack_packages(archives: Iterable[Path], root: Path) -> None:
    """Unpack archives below ``root``, and name the folders of libraries as a system does."""
    for archive in archives:
        run_program(["dpkg", "-x", str(archive), str(root)], archive.name)
    for name in ("lib", "lib64"):
        if (root / "usr" / name).is_dir() and not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")


def extract_program(archives: Iterable[Path], names: Sequence[str], to: Path) -> bool:
    """Write the first program of one of these names in ``/usr/bin`` to ``to``; say if it is there.

    The rest of the archive, hundreds of megabytes, is not unpacked.
    """
    wanted = {f"./usr/bin/{name}" for name in names}
    return any(_take(archive, wanted, to) for archive in archives)


def _take(archive: Path, wanted: set[str], to: Path) -> bool:
    command = ["dpkg", "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(  # noqa: S603 -- our own command
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as files,
    ):
        for member in files:
            source = files.extractfile(member) if member.isfile() else None
            if member.name in wanted and source is not None:
                with to.open("wb") as written:
                    shutil.copyfileobj(source, written)
                to.chmod(0o755)
                return True
    return False


def run_program(command: Sequence[str], what: str) -> str:
    """Run a program and return what it says. Raises ``RuntimeMissingError`` where it fails."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 -- our own command
            command, capture_output=True, check=False, timeout=FETCH_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    else:
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")
        said = " | ".join(done.stderr.decode(errors="replace").strip().splitlines()[-2:])
    raise RuntimeMissingError(
        f"{what} cannot be fetched: {to_plain_text(said, 500)}",
        cure="Connect this machine, or install your distribution's package qemu-user; then try "
        "`auditor targets emulate` again.",
    )


QEMU = ("qemu-user-static",)
"""Needs no library: where qemu-user itself is linked so, this name stands for it."""
PYTHON = ("python3", "libstdc++6")
GLIBC = (17, 24, 26, 27, 28, 31, 34)
"""Minor versions of the C library for which wheels are built; Debian's is newer than all."""


def _silent(_: str) -> None:
    return


def prepare_emulator(cpu: str, home: Path, progress: Progress = _silent) -> Emulator:
    """Return the emulator of ``cpu``, which is fetched where it is not here.

    Raises ``RuntimeMissingError`` where it cannot be fetched, ``TargetError`` where it cannot
    play ``cpu``.
    """
    if is_emulator_ready(cpu, home):
        return find_emulator(cpu, home)
    return fetch_emulator(cpu, home, progress)


def fetch_emulator(cpu: str, home: Path, progress: Progress = _silent) -> Emulator:
    """Fetch what emulating ``cpu`` needs into ``AUDITOR_HOME``, and return it after a trial.

    That is qemu from the distribution (some 70 MB to download, 15 MB to keep); for another
    architecture than this machine's also its Python and the packages that run a model (another
    60 MB to download, 220 MB to keep). ``progress`` hears what is being done. Raises
    ``RuntimeMissingError`` offline, on other systems than Debian and its children, and without
    pip; ``TargetError`` where qemu cannot play ``cpu``.
    """
    folder = emulator_folder(cpu, home)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as name:
        if find_emulator_program(cpu, home) is None:
            _fetch_program(architecture_of_cpu(cpu), folder, Path(name), progress)
        if not is_native(cpu) and find_foreign_python(folder) is None:
            arch = architecture_of_cpu(cpu)
            scratch = Path(name)
            root, packages = folder / ROOT, packages_folder(folder)
            if find_foreign_interpreter(root) is None:
                archives = download_packages(PYTHON, arch, scratch / "python", progress)
                made = scratch / ROOT
                made.mkdir()
                unpack_packages(archives, made)
                _place(made, root)
            interpreter = find_foreign_interpreter(root)
            if interpreter is None:
                raise RuntimeMissingError(
                    f"the distribution's package python3 for {arch} holds no Python",
                    cure="Emulate on another release of the distribution.",
                )
            if not packages.is_dir():
                made = scratch / "packages"
                wanted = list_requirements()
                progress(f"downloading {', '.join(wanted)} for {arch} (about 50 MB)")
                run_program(
                    _pip(arch, interpreter.name.removeprefix("python"), made, wanted), wanted[-1]
                )
                _place(made, packages)
    progress(f"trying to play {cpu}")
    emulator = find_emulator(cpu, home)
    if emulator.foreign is not None:
        # Let the foreign Python compile its modules once: it may not write later
        imports = "import argparse, ctypes, hashlib, importlib.util, json, numpy, onnxruntime"
        environment = ["env", f"PYTHONPATH={emulator.foreign.packages}", "OMP_NUM_THREADS=1"]
        command = [*emulator.prefix, str(emulator.foreign.interpreter), "-s", "-c", imports]
        run_program([*environment, *command], "what the foreign Python imports")
    return emulator


def _fetch_program(arch: str, folder: Path, scratch: Path, progress: Progress) -> None:
    name = f"qemu-{arch}"
    archives = download_packages(QEMU, platform.machine(), scratch / "qemu", progress)
    made = scratch / name
    if not extract_program(archives, (f"{name}-static", name), made):
        raise RuntimeMissingError(
            f"the distribution's package qemu-user-static has no {name}",
            cure="Install a qemu-user of your own, so that it is on the path.",
        )
    made.replace(folder / name)


def _pip(arch: str, python: str, target: Path, wanted: Sequence[str]) -> list[str]:
    platforms = [f"--platform=manylinux_2_{minor}_{arch}" for minor in GLIBC]
    return [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-compile", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}",
        *platforms, f"--platform=manylinux2014_{arch}", f"--target={target}", *wanted,
    ]  # fmt: skip


def _place(made: Path, to: Path) -> None:
    """Move a finished folder to its place, where another process may have put one by now."""
    if not to.exists():
        made.rename(to)
