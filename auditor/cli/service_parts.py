"""What `auditor serve` and `auditor worker` share: their log, and what they need installed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from auditor.domain.canonical import Json
from auditor.errors import MissingExtraError
from auditor.extras import to_install


@contextmanager
def needing_server() -> Iterator[None]:
    """Say which extra is missing where a part of a service is imported and is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"what a service is made of is not installed ({error.name})",
            cure=f"{to_install('server')}.",
        ) from error


def log_line(line: Mapping[str, Json]) -> None:
    """Write one line of a service's log, as JSON."""
    click.echo(json.dumps(line, ensure_ascii=True), err=True)
