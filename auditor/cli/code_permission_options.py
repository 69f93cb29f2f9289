"""Command-line options that permit the code that targets name to run, or to run unsandboxed."""

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def target_code_option(command: F) -> F:
    """Let a command be told that all code that targets name may run."""
    return click.option(
        "--allow-target-code",
        is_flag=True,
        help="Allow targets from the audit file, the record or their folder to run "
        "interpreters, plugins and libraries, and to read environment variables. "
        "By default, only targets.yaml in AUDITOR_HOME or in your own working "
        "folder can do this.",
    )(command)


def unsandboxed_option(command: F) -> F:
    """Let a command be told that a recipe may run where bubblewrap does not work."""
    return click.option(
        "--allow-unsandboxed",
        "unsandboxed",
        is_flag=True,
        help="Also run the training recipe if bubblewrap does not work here, and "
        "`recipe.allow` in the audit file is `unsandboxed`. Read the code first.",
    )(command)
