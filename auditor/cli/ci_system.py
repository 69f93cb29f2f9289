"""The CI systems that commands speak to, and how the running one is detected."""

import os
from enum import StrEnum
from types import MappingProxyType

import click


class CiSystem(StrEnum):
    """The CI systems that are spoken to in their own way."""

    NONE = "none"
    GITHUB = "github"
    GITLAB = "gitlab"


AUTO = "auto"
SIGNS = MappingProxyType({"GITHUB_ACTIONS": CiSystem.GITHUB, "GITLAB_CI": CiSystem.GITLAB})
"""What runners set to ``true``."""
ci_option = click.option(
    "--ci",
    type=click.Choice([AUTO, *(item.value for item in CiSystem)]),
    default=AUTO,
    help=(
        "CI system to write annotations and a summary for; default: the one that runs this command."
    ),
)


def detect_ci(wanted: str) -> CiSystem:
    """Return the CI system to speak to: the one that was named, or the one that runs this."""
    if wanted != AUTO:
        return CiSystem(wanted)
    found = (ci for name, ci in SIGNS.items() if os.environ.get(name) == "true")
    return next(found, CiSystem.NONE)
