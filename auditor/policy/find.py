"""Finds the file of a policy by the name of a pack or by a path, without reading it."""

from pathlib import Path

from auditor.domain.name_suggestions import suggest_near_names
from auditor.errors import PolicyMissingError

SUFFIXES = (".yaml", ".yml")


def find_policy_file(wanted: str, base: Path, folder: Path) -> Path:
    """Return the file of the pack ``wanted`` in ``folder``, or at a path relative to ``base``.

    Raises ``PolicyMissingError`` that lists the packs where there is neither.
    """
    path = find_policy_path(wanted, base, folder)
    if path is None:
        return folder / f"{wanted}.yaml"
    if path.is_file():
        return path
    packs = list_pack_names(folder)
    nearest = suggest_near_names(
        path.name, [*sorted(item.name for item in path.parent.glob("*.y*ml")), *packs]
    )
    raise PolicyMissingError(
        f"there is no policy {wanted!r}: no pack has that name, and {path} is not a file{nearest}",
        cure=f"Write the path of a policy file, or a pack's name: {', '.join(packs)}.",
    )


def find_policy_path(wanted: str, base: Path, folder: Path) -> Path | None:
    """Return the file that ``wanted`` names, or ``None`` where it is the name of a pack."""
    is_name = wanted == Path(wanted).name and not wanted.endswith(SUFFIXES)
    return None if is_name and (folder / f"{wanted}.yaml").is_file() else base / wanted


def list_pack_names(folder: Path) -> list[str]:
    """Return the names of the packs in a folder, in the order of names."""
    return sorted(path.stem for path in folder.glob("*.yaml"))
