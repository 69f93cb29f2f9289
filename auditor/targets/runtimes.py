"""Registry of runtimes that open model files, each with its driver.

A driver is a module of ``drivers``, or one that another package names under the entry-point group
``auditor.drivers``. Its ``operations()`` answers requests in a confined child process; this process
never imports it.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint
from importlib.util import find_spec

import auditor.targets.drivers
from auditor._resources import list_entry_points
from auditor.errors import BrokenCheckError, TargetError

GROUP = "auditor.drivers"
SERVED = ("endpoint", "cascade", "callable")
"""Runtimes of targets that open no file here."""


def runs_files(runtime: str) -> bool:
    """Whether a runtime opens a model's file, and so has a driver."""
    return runtime in _list_shipped() or runtime in _list_installed()


def list_runtimes() -> tuple[str, ...]:
    """Return the runtimes that a target may name.

    Raises ``BrokenCheckError`` for one that two drivers serve.
    """
    return (*_list_shipped(), *_list_installed(), *SERVED)


def find_driver(runtime: str) -> str:
    """Return the child program that serves a runtime: a module of ours, or the path of a file.

    Raises ``TargetError`` for a runtime without a driver, and for a driver whose file is not there.
    """
    if runtime in _list_shipped():
        return f"drivers.{runtime}"
    entry = _list_installed().get(runtime)
    if entry is None:
        raise TargetError(
            f"no driver serves the runtime {runtime!r}",
            cure=f"Install the package that serves it (entry-point group {GROUP}).",
        )
    try:
        found = find_spec(entry.module)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.has_location or found.origin is None:
        raise TargetError(
            f"the driver of the runtime {runtime!r} is not a file: {entry.value}",
            cure="Let the package name a module that is one file.",
        )
    return found.origin


@cache
def _list_shipped() -> tuple[str, ...]:
    return tuple(item.name for item in pkgutil.iter_modules(auditor.targets.drivers.__path__))


def _list_installed() -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in list_entry_points(GROUP):
        if entry.name in {*_list_shipped(), *SERVED, *found}:
            raise BrokenCheckError(
                f"{entry.value} serves the runtime {entry.name!r}, which another driver serves",
                cure="Give one of them another name.",
            )
        found[entry.name] = entry
    return found
