"""Registry of checks: those in this package, and those that other packages install."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any, cast

import auditor.checks
from auditor._resources import list_entry_points
from auditor.checks.names import GROUP, list_check_modules, list_shipped_check_ids
from auditor.domain.checks import Check
from auditor.domain.report_blocks import CheckOrigin
from auditor.errors import BrokenCheckError

UNNAMED = "a package without a name"
REQUIRED = ("id", "version", "title", "needs", "emits", "cost", "observe", "figures")
DEFAULTS = {
    name: value
    for name, value in vars(Check).items()
    if not name.startswith("_") and name not in REQUIRED
}
"""What a check has that leaves it out; one that inherits ``Check`` has it already."""


def discover_checks() -> Mapping[str, type[Check]]:
    """Return every check by its id, in the order of ids.

    Raises ``BrokenCheckError`` when a file does not import, declares no check, or when an id is
    claimed twice: a check that silently stays away would look like a check that passed.
    """
    installed = [(entry.value, check) for entry, check in _installed()]
    shipped = [(name, _check_of(_import(name), name)) for name in list_check_modules()]
    return _join([*shipped, *installed])


@lru_cache(maxsize=256)
def find_shipped_check(check: str) -> type[Check] | None:
    """Return a check that comes with auditor, on every machine the same, or nothing."""
    name = f"{auditor.checks.__name__}.{check}"
    return _check_of(_import(name), name) if check in list_shipped_check_ids() else None


def add_checks(
    found: Mapping[str, type[Check]], given: Sequence[type[Check]]
) -> Mapping[str, type[Check]]:
    """Return the checks found and those given as classes, by id, in the order of ids.

    Raises ``BrokenCheckError`` when a class lacks a declaration, or an id is claimed twice.
    """
    named = [(f"{check.__module__}.{check.__qualname__}", check) for check in given]
    own = [(place, _complete(check, place)) for place, check in named]
    return _join([*((check.__module__, check) for check in found.values()), *own])


def _join(placed: Iterable[tuple[str, type[Check]]]) -> Mapping[str, type[Check]]:
    found: dict[str, type[Check]] = {}
    for place, check in placed:
        if check.id in found:
            raise BrokenCheckError(
                f"{place} claims the id {check.id!r}, which another check has",
                cure="Give one of them another id.",
            )
        found[check.id] = check
    for uses_check in found.values():
        strangers = sorted(set(uses_check.uses) - set(found))
        if strangers:
            raise BrokenCheckError(
                f"{uses_check.id} uses readings of {', '.join(strangers)}, which no check gives",
                cure="Name checks that exist.",
            )
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


def _installed() -> list[tuple[EntryPoint, type[Check]]]:
    found = []
    for entry in list_entry_points(GROUP):
        try:
            loaded = entry.load()
        except Exception as error:
            raise _unimportable(entry.value, error) from error
        check = _check_of(loaded, entry.value) if isinstance(loaded, ModuleType) else loaded
        found.append((entry, _complete(check, entry.value)))
    return found


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
    """Return a check that has all that is required, with the defaults of what it leaves out."""
    undone = vars(check).get("__abstractmethods__", ()) if isinstance(check, type) else ()
    absent = [field for field in REQUIRED if not hasattr(check, field) or field in undone]
    if absent or not isinstance(check, type):
        raise BrokenCheckError(
            f"the check of {name} lacks {', '.join(absent) or 'a class'}",
            cure="Inherit auditor.domain.checks.Check, and declare what it has no default for.",
        )
    for field, value in DEFAULTS.items():
        if not hasattr(check, field):
            setattr(check, field, value)
    made = cast("Any", check)
    if hasattr(check, "attacks") and made.attacks is True:  # the name that it had
        made.attacks_model = True
    return cast("type[Check]", check)
