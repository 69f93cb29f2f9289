"""Which installed packages hold the runtime: two builds of it in one environment are one too many.

Both own the folder ``onnxruntime``: the one installed last overwrote the other, whatever its
providers are, and removing either breaks both.
"""

from importlib.metadata import Distribution
from pathlib import Path

from auditor.targets.child.serving import RefusalError

FOLDER = "onnxruntime"


def owners(site: Path, folder: str = FOLDER) -> tuple[str, ...]:
    """Return the packages in ``site`` that own ``folder``, each as ``name version``."""
    found = []
    for place in sorted(site.glob(f"{folder}*.dist-info")):
        package = Distribution.at(place)
        files = package.files or ()
        if any(file.parts[:2] == (folder, "__init__.py") for file in files):
            found.append(f"{package.metadata['Name']} {package.version}")
    return tuple(found)


def require_one_owner(library: Path, folder: str = FOLDER) -> None:
    """Refuse an environment in which several packages own the runtime's folder ``library``."""
    found = owners(library.parent, folder)
    if len(found) > 1:
        raise RefusalError(
            "target",
            f"{' and '.join(found)} are installed in one environment and overwrite each other's "
            f"folder {folder!r}: nobody can say which of them runs",
            "Give each build a worker environment of its own (scripts/make_worker_env.sh, or "
            "`python -m venv`), and name its Python as `interpreter` of the target.",
        )
