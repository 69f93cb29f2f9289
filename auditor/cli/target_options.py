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
        help="Run the interpreters, plugins and libraries, and send the variables of the "
        "environment, that targets of the audit file, the record or the folder beside them name. "
        "Default: only those that targets.yaml in "
        "AUDITOR_HOME, or in a working folder of your own, names.",
    )(command)


def unsandboxed_option(command: F) -> F:
    """Let a command be told that a recipe may run where bubblewrap does not work."""
    return click.option(
        "--allow-unsandboxed",
        "unsandboxed",
        is_flag=True,
        help="Run the recipe of the audit file where bubblewrap does not work, too, if its "
        "`recipe.allow` says `unsandboxed`. Read the code first.",
    )(command)
