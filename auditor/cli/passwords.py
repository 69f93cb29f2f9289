"""Asks for passwords at the terminal."""

import sys

import click

from auditor.errors import KeyFileError
from auditor.trust.keys.files import PASSWORD_FILE, PasswordSource
from auditor.workflows.settings import AuditorSettings


def get_password_source(settings: AuditorSettings) -> PasswordSource:
    """Return how passwords are found out: the file that the environment names, else by asking."""
    return PasswordSource(settings.password_file, ask_password if sys.stdin.isatty() else None)


def ask_password(what: str) -> str:
    """Ask for the password of ``what``, unseen; only standard error is written to."""
    asked: str = click.prompt(f"Password of {what}", hide_input=True, err=True)
    return asked


def ask_new_password(settings: AuditorSettings) -> bytes:
    """Return the password that a new key is to have: of the file, else asked for twice.

    Raises ``KeyFileError`` where nobody is there to be asked.
    """
    if settings.password_file is None and not sys.stdin.isatty():
        raise KeyFileError(
            "--encrypt needs a password, and there is no terminal to ask for one",
            cure=f"Write the password into the first line of a file and set {PASSWORD_FILE}=FILE.",
        )
    return PasswordSource(settings.password_file, _ask_twice).of("the new key")


def _ask_twice(what: str) -> str:
    asked: str = click.prompt(
        f"Password of {what}", hide_input=True, confirmation_prompt=True, err=True
    )
    return asked
