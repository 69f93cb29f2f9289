"""The leave to run code that targets name, on the command line."""

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def target_code_option(command: F) -> F:
    """Let a command be told that all code that targets name may run."""
    return click.option(
        "--allow-target-code",
        is_flag=True,
        help="Run the interpreters, plugins and libraries that targets of the audit file, the "
        "record or the folder beside them name. Default: only those that targets.yaml in "
        "AUDITOR_HOME, or in a working folder of your own, names.",
    )(command)
