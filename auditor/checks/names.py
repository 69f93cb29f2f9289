"""Ids of the checks that come with auditor, read without importing a check."""

import pkgutil

import auditor.checks

GROUP = "auditor.checks"
"""The group of entry points by which other packages bring checks."""


def list_check_modules() -> list[str]:
    """Return the module of each check, in the order of their names."""
    package = auditor.checks
    return sorted(
        item.name
        for item in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not item.ispkg and item.name.count(".") > package.__name__.count(".") + 1
    )


def list_shipped_check_ids() -> list[str]:
    """Return the id of each check, in the order of ids: the place of its file (``family.name``)."""
    return sorted(name.removeprefix(f"{GROUP}.") for name in list_check_modules())
