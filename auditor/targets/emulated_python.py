"""A Python of another CPU architecture, in which an emulated child process runs."""

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = "root"
REQUIRED = ("numpy", "onnxruntime")
"""What a child that runs a model imports, beside the standard library."""


@dataclass(frozen=True, slots=True)
class ForeignPython:
    """A Python with its C library below ``root``, and the packages of this environment for it."""

    root: Path
    interpreter: Path
    packages: Path


def list_requirements() -> tuple[str, ...]:
    """Return the packages to have there, of the versions that this environment has."""
    found = []
    for name in REQUIRED:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # another build of onnxruntime has another name
            found.append(name)
    return tuple(found)


def packages_folder(folder: Path) -> Path:
    """Return where the packages lie: another version of one of them is another folder."""
    return folder / "-".join(
        ["packages", *(item.replace("==", "-") for item in list_requirements())]
    )


def find_foreign_interpreter(root: Path) -> Path | None:
    """Return the Python below ``root``."""
    found = sorted((root / "usr/bin").glob("python3.*[0-9]"))
    return found[-1] if found else None


def find_foreign_python(folder: Path) -> ForeignPython | None:
    """Return the Python kept in ``folder``, with packages that are those of this environment."""
    root, packages = folder / ROOT, packages_folder(folder)
    interpreter = find_foreign_interpreter(root)
    if interpreter is None or not packages.is_dir() or platform.system() != "Linux":
        return None
    return ForeignPython(root, interpreter, packages)
