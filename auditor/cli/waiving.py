"""Waivers on the command line: the options that name them, and what came of each."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console

from auditor.cli.texts import printable
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect
from auditor.domain.records import AuditRecord
from auditor.domain.trust import Standing
from auditor.domain.verdicts import Outcome
from auditor.domain.waivers import SignedWaiver
from auditor.judging.waiving import uses_of
from auditor.preparing import Prepared
from auditor.signing.keys import load_public_key

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


def waived_unasked(prepared: Prepared, findings: Iterable[Finding], named: Sequence[Path]) -> str:
    """Say why waivers that a verdict rests on do not count in CI; nothing where they do.

    Whoever changes the audit file may name any key there, so that the command line has to name
    whose waivers count, or the trust policy has to be one that was accepted.
    """
    given = prepared.materials.signature.trust
    waived = any(it.effect is Effect.DENY and it.outcome is Outcome.WAIVED for it in findings)
    if not waived or (given is not None and given.standing is Standing.ACCEPTED):
        return ""
    mine = {load_public_key(path).pem for path in named}
    files = [item.ref.file for item in prepared.waivers if item.key not in mine]
    return (
        f"The verdict rests on waivers ({', '.join(files)}) that the audit file alone lets count, "
        "which any change of it could; in CI they count where --waiver-key names the key, or the "
        "trust policy was accepted (auditor trust accept)."
        if files
        else ""
    )


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
