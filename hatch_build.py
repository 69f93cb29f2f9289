"""Builds what is native, where that can be done; everything works without it."""

import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("auditor/signing/_lanes.c")
MODULE = SOURCE.with_suffix(".abi3.so")
TAG = "cp311-abi3-linux_x86_64"
FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-fPIC", "-shared")
PURE = "AUDITOR_PURE"
"""Set in the environment, it keeps a wheel free of native code, so that it goes to any machine."""


class NativeHook(BuildHookInterface[Any]):
    """Compiles the two lanes of SHA-256 for this machine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the module into a wheel, or for an editable install beside its source."""
        root = Path(self.root)
        if version == "editable":
            self._built(root, root / MODULE)
            return
        self._scratch = tempfile.TemporaryDirectory()
        built = self._built(root, Path(self._scratch.name) / MODULE.name)
        if built:
            build_data["force_include"][str(built)] = MODULE.as_posix()
            build_data["pure_python"] = False
            build_data["tag"] = TAG

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 -- hatchling's signature
        """Remove what was compiled for the wheel that now holds it."""
        if version != "editable":
            self._scratch.cleanup()

    def _built(self, root: Path, module: Path) -> Path | None:
        """Compile the module; return ``None``, and leave none there, where that does not work."""
        fresh = module.with_name(f"{module.name}.{os.getpid()}")
        try:
            objection = compiled(root / SOURCE, fresh)
            if objection is None:
                fresh.replace(module)  # a process that runs keeps the one that it has loaded
                return module
        finally:
            fresh.unlink(missing_ok=True)
        module.unlink(missing_ok=True)
        self.app.display_warning(f"{SOURCE} is left out, and hashing is slower: {objection}")
        return None


def compiled(source: Path, module: Path) -> str | None:
    """Compile a module by the compiler that ``CC`` names, else ``cc``; return why not, if so."""
    if not fits():
        return f"it is for CPython on Linux and x86-64, and {PURE} unset"
    try:
        words = [*shlex.split(os.environ.get("CC") or "cc"), *FLAGS]
        words += [f"-I{sysconfig.get_path('include')}", str(source), "-o", str(module)]
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)  # noqa: S603 -- the user's own compiler
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def fits() -> bool:
    """Return whether a module can be of use to this interpreter, and is wanted."""
    return (
        sys.platform == "linux"
        and platform.machine() == "x86_64"
        and sys.maxsize > 2**32
        and sys.implementation.name == "cpython"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and not os.environ.get(PURE)
    )
