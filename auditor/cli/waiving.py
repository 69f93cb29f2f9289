"""Waivers on the command line: the options that name them, and what came of each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console

from auditor.cli.texts import printable
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import SignedWaiver
from auditor.judging.waiving import uses_of

F = TypeVar("F", bound=Callable[..., object])


def waiver_key_option(command: F) -> F:
    """Let a command be told the public keys of who may waive."""
    return click.option(
        "--waiver-key",
        "waiver_keys",
        type=click.Path(path_type=Path),
        multiple=True,
        help="The public key of who may waive; repeats.",
    )(command)


def waiver_options(command: F) -> F:
    """Let a command take signed waivers, and the public keys of who may waive."""
    files = click.option(
        "--waiver",
        "waivers",
        type=click.Path(path_type=Path),
        multiple=True,
        help="A signed waiver that counts too; repeats.",
    )
    return files(waiver_key_option(command))


def show_waivers(console: Console, record: AuditRecord, waivers: Sequence[SignedWaiver]) -> None:
    """Say what came of each waiver; one that waived nothing is a warning."""
    for used in uses_of(record, [item.waiver for item in waivers]):
        waiver = used.waiver
        mark = "[yellow]unused waiver[/]" if used.idle else "[magenta]waiver[/]"
        console.print(mark, end=" ")
        said = (
            f"{waiver.ticket} of {waiver.name}: {used.use.value}, {used.detail}; until "
            f"{waiver.expires}, approved by {waiver.approver}, {waiver.owner} answers"
        )
        console.print(printable(said), markup=False, highlight=False, soft_wrap=True)


def show_note(console: Console, text: str) -> None:
    """Say what is odd about the policy, if anything is."""
    if text:
        console.print("[yellow]Note[/]", end=" ")
        console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
