"""The option that says how much the records of a key may claim."""

from collections.abc import Callable
from typing import TypeVar

import click

from auditor.domain.policies import Assurance

F = TypeVar("F", bound=Callable[..., object])


def assurance_option(command: F) -> F:
    """Add ``--assurance``; the command takes an ``Assurance``, A0 where nothing is said."""
    return click.option(
        "--assurance",
        type=click.Choice([item.name for item in Assurance]),
        default=Assurance.A0.name,
        show_default=True,
        callback=lambda _context, _option, name: Assurance[name],
        help="The most that records of --key may claim; A1 for the key of a service you trust.",
    )(command)
