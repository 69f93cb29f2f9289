"""What a CI system is told: annotations, a summary, and outputs for the steps that follow."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType

import click

from auditor.cli.texts import printable
from auditor.errors import AuditorError, UsageError
from auditor.rendering.annotations import Annotation, Kind, commands
from auditor.rendering.summary import escape_markdown

MOST_SUMMARY = 1_000_000
"""Bytes; GitHub drops a step's summary that is larger than 1 MiB."""
CUT = "\n\nThe rest is in `summary.md` of the record's folder.\n"
DOTENV = "auditor.env"


class Ci(StrEnum):
    """The CI systems that are spoken to in their own way."""

    NONE = "none"
    GITHUB = "github"
    GITLAB = "gitlab"


AUTO = "auto"
SIGNS = MappingProxyType({"GITHUB_ACTIONS": Ci.GITHUB, "GITLAB_CI": Ci.GITLAB})
"""What runners set to ``true``."""
ci_option = click.option(
    "--ci",
    type=click.Choice([AUTO, *(item.value for item in Ci)]),
    default=AUTO,
    help="Speak to this CI system too; default: the one that runs this.",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a CI system is told of one command, when it has ended."""

    annotations: Sequence[Annotation]
    summary: str
    outputs: Mapping[str, str] = field(default_factory=dict)


Tell = Callable[[Told], None]


def ci_of(wanted: str) -> Ci:
    """Return the CI system to speak to: the one that was named, or the one that runs this."""
    if wanted != AUTO:
        return Ci(wanted)
    found = (ci for name, ci in SIGNS.items() if os.environ.get(name) == "true")
    return next(found, Ci.NONE)


@contextmanager
def speaking(ci: Ci) -> Iterator[Tell]:
    """Tell a CI system what the block gives to ``tell``, or why it ended without.

    Until then a runner obeys nothing that is printed: names and messages come from others.
    """
    told: list[Told] = []
    token = token_hex(16)
    if ci is Ci.GITHUB:
        click.echo(f"::stop-commands::{token}")
    try:
        yield told.append
    except AuditorError as error:
        told.append(_broken(str(error)))
        raise
    finally:
        if ci is Ci.GITHUB:
            click.echo(f"::{token}::")
        for item in told or [_broken("It ended without a verdict.")]:
            TELLERS[ci](item)


def _broken(reason: str) -> Told:
    said = printable(reason)
    page = f"# Nothing was decided\n\n{escape_markdown(said)}\n"
    return Told([Annotation(Kind.ERROR, "auditor", said)], page, {"verdict": "error"})


def _nobody(_told: Told) -> None:
    """Say nothing more than the terminal shows."""


def _github(told: Told) -> None:
    for line in commands(told.annotations):
        click.echo(line)
    _append("GITHUB_STEP_SUMMARY", shortened(told.summary))
    _append("GITHUB_OUTPUT", "".join(_output(*item) for item in told.outputs.items()))


def _gitlab(told: Told) -> None:
    """Write variables for later jobs, as ``artifacts:reports:dotenv`` takes them."""
    place = Path(os.environ.get("CI_PROJECT_DIR", ".")) / DOTENV
    lines = (f"AUDITOR_{name.upper()}={_line(value)}\n" for name, value in told.outputs.items())
    _written(place, "".join(lines), "w")


TELLERS: Mapping[Ci, Callable[[Told], None]] = MappingProxyType(
    {Ci.NONE: _nobody, Ci.GITHUB: _github, Ci.GITLAB: _gitlab}
)


def shortened(page: str) -> str:
    """Return a page that is small enough to be shown, and says so where it was cut."""
    if len(page.encode()) <= MOST_SUMMARY:
        return page
    room = MOST_SUMMARY - len(CUT)
    kept = page.encode()[:room].decode(errors="ignore")
    return kept.rpartition("\n")[0] + CUT


def _append(variable: str, text: str) -> None:
    if place := os.environ.get(variable):
        _written(Path(place), text, "a")


def _written(place: Path, text: str, mode: str) -> None:
    try:
        with place.open(mode, encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be written: {error.strerror}", cure="Mend it, or give --ci none."
        ) from None


def _output(name: str, value: str) -> str:
    # Whatever is in a value, it ends where a word ends that nobody knows beforehand.
    end = f"end_{token_hex(16)}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def _line(value: str) -> str:
    return " ".join(value.split())
