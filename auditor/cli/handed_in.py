"""Decisions that are handed in at a service, on a folder here or on a record that is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from auditor.cli.texts import printable
from auditor.cli.there import client_of
from auditor.domain.people import DecisionKind
from auditor.domain.submissions import DIGEST
from auditor.errors import UsageError
from auditor.folders import RecordFolder
from auditor.scratch import scratch_folder

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Held:
    """A record's folder, and with a service its key (PEM), and whether it was fetched there."""

    folder: RecordFolder
    key: bytes | None = None
    fetched: bool = False


def server_option(command: F) -> F:
    """Let a command be told to hand a decision in. No environment says so: it is an act."""
    return click.option(
        "--server",
        metavar="URL",
        help="Hand it in at this service too; FOLDER may be the digest of a record there.",
    )(command)


@contextmanager
def held(named: Path, server: str | None) -> Iterator[Held]:
    """Open a record's folder, or fetch that of a record at a service by its digest.

    What is fetched goes when the block ends. Raises as ``ServiceClient`` does, and ``UsageError``
    where nothing has that name.
    """
    by_digest = DIGEST.fullmatch(str(named)) is not None
    _refuse_absent(named, by_digest=by_digest, asks=server is not None)
    if server is None:
        yield Held(RecordFolder(named))
        return
    with client_of(server) as client, scratch_folder() as root:
        if by_digest:
            client.download_record(str(named), root)
        folder = RecordFolder(root if by_digest else named)
        yield Held(folder, client.report_key(), by_digest)


def _refuse_absent(named: Path, *, by_digest: bool, asks: bool) -> None:
    if named.is_dir() or (by_digest and asks):
        return
    if by_digest:
        raise UsageError(
            f"{named} is a record's digest, and no folder here",
            cure="Say with --server at which service that record is.",
        )
    raise UsageError(f"there is no folder {named}", cure="Name the folder of a record.")


def hand_in(server: str, kind: DecisionKind, bundle: bytes, key: bytes) -> None:
    """Hand a decision in at a service, and say what it did. Raises as ``ServiceClient`` does."""
    with client_of(server) as client:
        taken = client.decide(kind, bundle, key)
    click.echo(printable(f"Handed in at {server} ({taken.digest})"))
    for record, verdict in taken.rejudged:
        click.echo(printable(f"Judged again there: {record} ({verdict})"))
