"""Command-line options that require a level of isolation of models from this machine."""

from collections.abc import Callable
from typing import TypeVar

import click

from auditor.domain.isolation import REQUIRED, IsolationLevel
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
        help="Weakest isolation to accept for model processes; values are listed "
        "strongest first. If this machine cannot provide it, the command stops "
        "before it opens a model.",
    )(command)


def require_isolation_level(isolation: str | None) -> None:
    """Hold this machine's model processes to a level, if one is named. Raises ``TargetError``."""
    if isolation is not None:
        set_required_isolation(IsolationLevel(isolation))
