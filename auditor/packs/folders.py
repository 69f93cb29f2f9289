"""Where policies lie: packs by name in a folder, or files by path."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from auditor.documents import validate
from auditor.domain.canonical import Json
from auditor.domain.nearest import near_by
from auditor.errors import PolicyError, PolicyMissingError
from auditor.packs.merging import Written, merged
from auditor.packs.shapes import PolicyShape

SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What a list of packs says of one."""

    name: str
    version: str
    owner: str
    rules: int
    description: str

    def to_json(self) -> dict[str, Json]:
        """Return the form that lists print."""
        return asdict(self)


def find_policy(wanted: str, base: Path, folder: Path) -> tuple[bytes, str]:
    """Return the bytes of a policy and the name that messages give it, as ``find_written`` does."""
    found = find_written(wanted, base, folder)
    return found.raw, found.source


def find_written(wanted: str, base: Path, folder: Path) -> Written:
    """Return a policy as it is written, from which those that it extends can be found.

    ``wanted`` is the name of a pack in ``folder``, or a path relative to ``base``. Raises
    ``PolicyError`` that lists the packs when there is no such policy.
    """
    pack = folder / f"{wanted}.yaml"
    if _is_name(wanted) and pack.is_file():
        return _written(pack, pack.name, folder)
    path = base / wanted
    if path.is_file():
        return _written(path, wanted, folder)
    packs = _packs(folder)
    nearest = near_by(path.name, [*_files(path.parent), *packs])
    raise PolicyMissingError(
        f"there is no policy {wanted!r}: no pack has that name, and {path} is no file{nearest}",
        cure=f"Write the path of a policy file, or a pack's name: {', '.join(packs)}.",
    )


def _written(path: Path, source: str, folder: Path) -> Written:
    return Written(
        _read(path, source),
        source,
        str(path.resolve()),
        partial(find_written, base=path.parent, folder=folder),
    )


def list_policies(folder: Path) -> tuple[PackSummary, ...]:
    """Return every pack in a folder, by name. Raises ``PolicyError`` for a malformed one."""
    return tuple(_summary(find_written(name, folder, folder)) for name in _packs(folder))


def _is_name(wanted: str) -> bool:
    return wanted == Path(wanted).name and not wanted.endswith(SUFFIXES)


def policy_path(wanted: str, base: Path, folder: Path) -> Path | None:
    """Return the file that ``wanted`` names, or ``None`` where it is the name of a pack."""
    named = _is_name(wanted) and (folder / f"{wanted}.yaml").is_file()
    return None if named else base / wanted


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.y*ml"))


def _packs(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _summary(written: Written) -> PackSummary:
    shape = validate(merged(written).document, PolicyShape, PolicyError)
    about = shape.metadata
    return PackSummary(
        about.name, about.version, about.owner, len(shape.rules), about.description or ""
    )


def _read(path: Path, source: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise PolicyError(
                f"{source} has {size:,} bytes, more than {MOST_BYTES:,}",
                cure="Split the policy into several.",
            )
        return path.read_bytes()
    except OSError as mistake:
        raise PolicyError(
            f"{source} cannot be read: {mistake.strerror}", cure="Check its permissions."
        ) from None
