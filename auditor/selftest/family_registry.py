"""Registry of the selftest's specimen families, found by the files of a package."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

import auditor.selftest.families
from auditor.errors import BrokenCheckError, UsageError
from auditor.selftest.specimens import SpecimenFamily

DECLARED = ("name", "title", "packages", "specimens", "write")


def discover_families() -> Mapping[str, SpecimenFamily]:
    """Return every family by its name, in the order of names.

    Raises ``BrokenCheckError`` when a file does not import or declares no family: what silently
    stays away would look like defects that were found.
    """
    return load_families(auditor.selftest.families)


def load_families(package: ModuleType) -> Mapping[str, SpecimenFamily]:
    """Return the families whose files lie in a package. Raises ``BrokenCheckError``."""
    found = sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name)
    return {item.name: _family(package.__name__, item.name) for item in found}


def select_families(
    known: Mapping[str, SpecimenFamily], names: Iterable[str]
) -> tuple[SpecimenFamily, ...]:
    """Return the families that are named, each once, or all. Raises ``UsageError``."""
    wanted = tuple(dict.fromkeys(names))
    strangers = sorted(set(wanted) - set(known))
    if strangers:
        raise UsageError(
            f"there is no family {', '.join(strangers)}",
            cure=f"There are {', '.join(known)}, named after what is planted, not after the checks "
            "that find it (`provenance.*`: artifacts).",
        )
    return tuple(known[name] for name in wanted or known)


def list_missing_packages(family: SpecimenFamily) -> tuple[str, ...]:
    """Return the modules that a family needs and that are not installed."""
    return tuple(name for name in family.packages if find_spec(name) is None)


def _family(package: str, name: str) -> SpecimenFamily:
    place = f"{package}.{name}"
    try:
        module = importlib.import_module(place)
    except Exception as error:
        raise BrokenCheckError(
            f"{place} does not import: {type(error).__name__}: {error}",
            cure="Fix the file, or remove it.",
        ) from error
    family: Any = getattr(module, "FAMILY", None)
    absent = [field for field in DECLARED if not hasattr(family, field)]
    if absent:
        raise BrokenCheckError(
            f"{place} declares no family: it lacks {', '.join(absent)}",
            cure="End the file with `FAMILY: SpecimenFamily = TheClass()`.",
        )
    if family.name != name:
        raise BrokenCheckError(
            f"{place} has the name {family.name!r}, and its place says {name!r}",
            cure="Move the file, or fix the name.",
        )
    return cast("SpecimenFamily", family)
