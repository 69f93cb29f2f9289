"""The parts of the pages: each is one module of ``pages``, found by lying there."""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache

from fastapi import APIRouter

import auditor.web.pages
from auditor.domain.api_keys import Role
from auditor.errors import BrokenCheckError


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of the pages: the path that it begins with, its routes, and its place in the menu.

    ``order`` is its place from the left; a part without a ``title`` is in no menu. Who has less
    than the role ``least`` does not see it there. Parts of one ``group`` share a place in it.
    """

    path: str
    router: APIRouter
    title: str = ""
    order: int = 0
    least: Role = Role.VIEWER
    group: str = ""

    @property
    def first(self) -> str:
        """The first part of its paths; whatever begins with it is a page."""
        return self.path.split("/")[1]


@cache
def entries() -> tuple[Entry, ...]:
    """Return every part, in the order of the menu.

    Raises ``BrokenCheckError`` for a module without an ``ENTRY``, and for a path claimed twice.
    """
    package = auditor.web.pages
    found: dict[str, Entry] = {}
    for item in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        entry = getattr(importlib.import_module(item.name), "ENTRY", None)
        if not isinstance(entry, Entry) or entry.path in found:
            raise BrokenCheckError(
                f"{item.name} has no ENTRY, or one with the path of another",
                cure="Let it end with `ENTRY = Entry(path, router)`.",
            )
        found[entry.path] = entry
    return tuple(sorted(found.values(), key=lambda entry: (entry.order, entry.path)))


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a menu: its name, where it leads, and the paths of which it is the place."""

    title: str
    path: str
    paths: tuple[str, ...]

    def is_of(self, path: str) -> bool:
        """Whether a page lies there."""
        return any(path == it or (it != "/" and path.startswith(f"{it}/")) for it in self.paths)


def menu(caller: Role) -> tuple[Place, ...]:
    """Return the places that a menu shows to a role; a group is one."""
    found: dict[str, list[str]] = {}
    for item in _shown(caller):
        found.setdefault(item.group or item.title, []).append(item.path)
    return tuple(Place(title, paths[0], tuple(paths)) for title, paths in found.items())


def near(caller: Role, path: str) -> tuple[Place, ...]:
    """Return the places of the group that a page is of, where it is of one."""
    shown = [item for item in _shown(caller) if item.group]
    groups = {it.group for it in shown if Place(it.title, it.path, (it.path,)).is_of(path)}
    return tuple(Place(it.title, it.path, (it.path,)) for it in shown if it.group in groups)


def _shown(caller: Role) -> tuple[Entry, ...]:
    return tuple(item for item in entries() if item.title and caller.may(item.least))
