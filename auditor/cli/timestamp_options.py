"""Command-line options that name the timestamp authorities to trust."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from auditor.cli.input_paths import CERTIFICATES
from auditor.errors import UsageError
from auditor.trust.keys.files import load_certificates, read_pem
from auditor.trust.timestamps import TimestampAuthorities

_OPTIONS = (
    click.option(
        "--tsa-roots",
        type=CERTIFICATES,
        multiple=True,
        help="Root certificates (PEM) of time-stamping authorities that you trust. Repeatable.",
    ),
    click.option(
        "--tsa-policy",
        multiple=True,
        metavar="OID",
        help=(
            "Policy of these authorities that you trust, such as 1.2.3.4; default: any. Repeatable."
        ),
    ),
)


def timestamp_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whose timestamps to believe."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_timestamp_authorities(
    roots: tuple[Path, ...], policies: tuple[str, ...]
) -> TimestampAuthorities | None:
    """Return whose timestamps to believe, if anybody's. Raises ``KeyFileError``, ``UsageError``."""
    if not roots:
        if policies:
            raise UsageError("--tsa-policy needs --tsa-roots", cure="Add --tsa-roots.")
        return None
    for path in roots:
        load_certificates(path)
    return TimestampAuthorities(tuple(read_pem(path) for path in roots), frozenset(policies))
