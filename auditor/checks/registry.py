"""Find every check: those that lie in this package, and those that others install."""

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import cast

import auditor.checks
from auditor.domain.checks import Check
from auditor.domain.report_blocks import CheckOrigin
from auditor.errors import BrokenCheckError

GROUP = "auditor.checks"
UNNAMED = "a package without a name"
DECLARED = ("id", "version", "title", "needs", "uses", "emits", "controls", "presets", "grid")


def discover_checks() -> Mapping[str, type[Check]]:
    """Return every check by its id, in the order of ids.

    Raises ``BrokenCheckError`` when a file does not import, declares no check, or when an id is
    claimed twice: a check that silently stays away would look like a check that passed.
    """
    found: dict[str, type[Check]] = {}
    installed = [(entry.value, check) for entry, check in _installed()]
    for place, check in [*_shipped(), *installed]:
        if check.id in found:
            raise BrokenCheckError(
                f"{place} claims the id {check.id!r}, which another check has",
                cure="Give one of them another id.",
            )
        found[check.id] = check
    _resolve_uses(found)
    return dict(sorted(found.items()))


def check_origins() -> Mapping[str, CheckOrigin]:
    """Return the distribution that brings each check which does not come with auditor, by id.

    Raises ``BrokenCheckError`` as ``discover_checks`` does.
    """
    return {check.id: _origin(entry) for entry, check in _installed()}


def _origin(entry: EntryPoint) -> CheckOrigin:
    if entry.dist is None:
        return CheckOrigin(UNNAMED, "")
    said = entry.dist.metadata.json
    return CheckOrigin(str(said.get("name", UNNAMED)), str(said.get("version", "")))


def _shipped() -> list[tuple[str, type[Check]]]:
    package = auditor.checks
    names = [
        item.name
        for item in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not item.ispkg and item.name.count(".") > package.__name__.count(".") + 1
    ]
    return [(name, _check_of(_import(name), name)) for name in sorted(names)]


def _installed() -> list[tuple[EntryPoint, type[Check]]]:
    found = []
    for entry in _declared(tuple(sys.path)):
        try:
            loaded = entry.load()
        except Exception as error:
            raise _unimportable(entry.value, error) from error
        check = _check_of(loaded, entry.value) if isinstance(loaded, ModuleType) else loaded
        found.append((entry, _complete(check, entry.value)))
    return found


@lru_cache(maxsize=1)
def _declared(_where: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return what packages declare; looked for once, for it takes as long as all else together."""
    return tuple(sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _unimportable(name, error) from error


def _unimportable(name: str, error: Exception) -> BrokenCheckError:
    return BrokenCheckError(
        f"{name} does not import: {type(error).__name__}: {error}",
        cure="Mend the file, or remove it.",
    )


def _check_of(module: ModuleType, name: str) -> type[Check]:
    check = getattr(module, "CHECK", None)
    if check is None:
        raise BrokenCheckError(
            f"{name} declares no check", cure="End the file with `CHECK: type[Check] = TheClass`."
        )
    check = _complete(check, name)
    expected = ".".join(name.split(".")[-2:])
    if name.startswith(f"{auditor.checks.__name__}.") and check.id != expected:
        raise BrokenCheckError(
            f"{name} has the id {check.id!r}, and its place says {expected!r}",
            cure="Move the file, or mend the id.",
        )
    return check


def _complete(check: object, name: str) -> type[Check]:
    absent = [field for field in DECLARED if not hasattr(check, field)]
    if absent or not isinstance(check, type):
        raise BrokenCheckError(
            f"the check of {name} lacks {', '.join(absent) or 'a class'}",
            cure="Declare every class variable of auditor.domain.checks.Check.",
        )
    return cast("type[Check]", check)


def _resolve_uses(found: Mapping[str, type[Check]]) -> None:
    for check in found.values():
        strangers = sorted(set(check.uses) - set(found))
        if strangers:
            raise BrokenCheckError(
                f"{check.id} uses readings of {', '.join(strangers)}, which no check gives",
                cure="Name checks that exist.",
            )
