"""What the options of a command say of whose timestamps to believe."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.errors import UsageError
from auditor.signatures.clocks import Clocks
from auditor.signatures.trust import Moment
from auditor.signing.keys import load_certificates, read_pem

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


def clock_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whose timestamps to believe."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def clocks_of(roots: tuple[Path, ...], policies: tuple[str, ...]) -> Clocks | None:
    """Return whose timestamps to believe, if anybody's. Raises ``KeyFileError``, ``UsageError``."""
    if not roots:
        if policies:
            raise UsageError(
                "a policy says nothing without whose it is", cure="Give --tsa-roots too."
            )
        return None
    for path in roots:
        load_certificates(path)
    return Clocks(tuple(read_pem(path) for path in roots), frozenset(policies))


def right_now() -> Moment:
    """Return the time of looking."""
    return Moment(datetime.now(UTC))
