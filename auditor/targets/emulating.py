"""Making an emulator ready: fetching what is not here."""

import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from auditor.errors import RuntimeMissingError
from auditor.targets.debian import Progress, download, run, take_program, unpack
from auditor.targets.emulators import (
    Emulator,
    architecture,
    find_emulator,
    find_program,
    folder_of,
    is_native,
    is_ready,
)
from auditor.targets.foreign import (
    ROOT,
    Foreign,
    find_foreign,
    find_interpreter,
    packages_in,
    requirements,
)

QEMU = ("qemu-user-static",)
"""Needs no library: where qemu-user itself is linked so, this name stands for it."""
PYTHON = ("python3", "libstdc++6")
GLIBC = (17, 24, 26, 27, 28, 31, 34)
"""Minor versions of the C library for which wheels are built; Debian's is newer than all."""


def _silent(_: str) -> None:
    return


def ready_emulator(cpu: str, home: Path, progress: Progress = _silent) -> Emulator:
    """Return the emulator of ``cpu``, which is fetched where it is not here.

    Raises ``RuntimeMissingError`` where it cannot be fetched, ``TargetError`` where it cannot
    play ``cpu``.
    """
    if is_ready(cpu, home):
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
    folder = folder_of(cpu, home)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as name:
        if find_program(cpu, home) is None:
            _fetch_program(architecture(cpu), folder, Path(name), progress)
        if not is_native(cpu) and find_foreign(folder) is None:
            _fetch_foreign(architecture(cpu), folder, Path(name), progress)
    progress(f"trying to play {cpu}")
    emulator = find_emulator(cpu, home)
    if emulator.foreign is not None:
        _compile(emulator, emulator.foreign)
    return emulator


def _fetch_program(arch: str, folder: Path, scratch: Path, progress: Progress) -> None:
    name = f"qemu-{arch}"
    archives = download(QEMU, platform.machine(), scratch / "qemu", progress)
    made = scratch / name
    if not take_program(archives, (f"{name}-static", name), made):
        raise RuntimeMissingError(
            f"the distribution's package qemu-user-static has no {name}",
            cure="Install a qemu-user of your own, so that it is on the path.",
        )
    made.replace(folder / name)


def _fetch_foreign(arch: str, folder: Path, scratch: Path, progress: Progress) -> None:
    root, packages = folder / ROOT, packages_in(folder)
    if find_interpreter(root) is None:
        archives = download(PYTHON, arch, scratch / "python", progress)
        made = scratch / ROOT
        made.mkdir()
        unpack(archives, made)
        _place(made, root)
    interpreter = find_interpreter(root)
    if interpreter is None:
        raise RuntimeMissingError(
            f"the distribution's package python3 for {arch} holds no Python",
            cure="Emulate on another release of the distribution.",
        )
    if not packages.is_dir():
        made = scratch / "packages"
        wanted = requirements()
        progress(f"downloading {', '.join(wanted)} for {arch} (about 50 MB)")
        run(_pip(arch, interpreter.name.removeprefix("python"), made, wanted), wanted[-1])
        _place(made, packages)


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


def _compile(emulator: Emulator, foreign: Foreign) -> None:
    """Let the foreign Python compile its modules once: it may not write later."""
    imports = "import argparse, ctypes, hashlib, importlib.util, json, numpy, onnxruntime"
    environment = ["env", f"PYTHONPATH={foreign.packages}", "OMP_NUM_THREADS=1"]
    command = [*emulator.prefix, str(foreign.interpreter), "-s", "-c", imports]
    run([*environment, *command], "what the foreign Python imports")
