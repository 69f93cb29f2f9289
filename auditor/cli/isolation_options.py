"""How far models must be isolated from this machine, asked of a service and of its workers."""

from collections.abc import Callable
from typing import TypeVar

import click

from auditor.domain.isolation import IsolationLevel
from auditor.targets.isolation import REQUIRED
from auditor.targets.probe import set_required_isolation

F = TypeVar("F", bound=Callable[..., object])


def isolation_option(command: F) -> F:
    """Let a command be told the weakest level; it hands it to ``require_isolation_level``."""
    return click.option(
        "--require-isolation",
        "isolation",
        type=click.Choice([level.value for level in IsolationLevel]),
        envvar=REQUIRED,
        show_envvar=True,
        help="The weakest isolation of model processes, the strongest first. Where this machine "
        "cannot give it, nothing starts, and no model is opened.",
    )(command)


def require_isolation_level(isolation: str | None) -> None:
    """Hold this machine's model processes to a level, if one is named. Raises ``TargetError``."""
    if isolation is not None:
        set_required_isolation(IsolationLevel(isolation))
