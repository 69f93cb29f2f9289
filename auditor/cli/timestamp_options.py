"""What the options of a command say of whose timestamps to believe."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.errors import UsageError
from auditor.trust.keys.files import load_certificates, read_pem
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.timestamps import TimestampAuthorities

_OPTIONS = (
    click.option(
        "--tsa-roots",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Roots (PEM) of time-stamping authorities that you trust. Repeats.",
    ),
    click.option(
        "--tsa-policy",
        multiple=True,
        metavar="OID",
        help="A policy of theirs that you trust, such as 1.2.3.4; default: any. Repeats.",
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
            raise UsageError(
                "a policy says nothing without whose it is", cure="Give --tsa-roots too."
            )
        return None
    for path in roots:
        load_certificates(path)
    return TimestampAuthorities(tuple(read_pem(path) for path in roots), frozenset(policies))


def current_moment() -> VerificationTime:
    """Return the time of looking."""
    return VerificationTime(datetime.now(UTC))
