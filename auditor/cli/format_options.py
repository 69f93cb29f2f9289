"""The option --format json: one JSON document on standard output, messages on standard error."""

import json
from collections.abc import Callable, Mapping
from typing import TypeVar

import click
from rich.console import Console

from auditor.domain.json import Json
from auditor.reports.terminal import create_console

F = TypeVar("F", bound=Callable[..., object])
JSON = "json"


def format_option(command: F) -> F:
    """Let a command print its result as text or as JSON."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", JSON]),
        default="text",
        show_default=True,
        help="Print the result as text, or as one JSON document.",
    )(command)


def create_message_console(form: str) -> Console:
    """Return the console of progress and notices: standard error where the result is JSON."""
    return create_console(stderr=form == JSON)


def print_json(document: Mapping[str, Json]) -> None:
    """Print a JSON document and nothing else on standard output."""
    click.echo(json.dumps(document, indent=2, allow_nan=False))
