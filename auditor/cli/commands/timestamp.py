"""Have signatures and checkpoints stamped by a time-stamping authority (RFC 3161)."""

import secrets
from pathlib import Path

import click

from auditor.cli.console import show_rows
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.cli.timestamp_options import (
    current_moment,
    read_timestamp_authorities,
    timestamp_options,
)
from auditor.errors import TimestampError, UsageError
from auditor.trust.timestamps import (
    OF_HASH,
    TimestampAuthorities,
    TimestampQuery,
    open_timestamp_token,
    read_timestamp_answers,
)
from auditor.trust.verification_result import VerificationError
from auditor.workflows.verify.timestamps import (
    TimestampedBytes,
    describe_moment,
    read_signed_bytes,
    request_timestamp,
)

PATH = click.argument("path", type=click.Path(path_type=Path))
HASH = click.option("--hash", "kind", type=click.Choice(list(OF_HASH)), default="sha256")
POLICY = click.option("--policy", metavar="OID", help="The authority's policy to ask for.")
NONCE_BITS = 64


@click.group("timestamp")
def command() -> None:
    """Have signatures and checkpoints stamped by a time-stamping authority (RFC 3161)."""


@command.command("add")
@PATH
@click.option("--url", help="The authority to ask; nothing else is ever connected to.")
@click.option(
    "--answer", type=click.Path(path_type=Path), help="An authority's answer, or bare token."
)
@click.option(
    "--request", type=click.Path(path_type=Path), help="The request that --answer answers."
)
@click.option("--renew", is_flag=True, help="Add a timestamp over those that are there.")
@HASH
@POLICY
@timestamp_options
def add(  # noqa: PLR0913, PLR0917 -- one argument an option
    path: Path,
    url: str | None,
    answer: Path | None,
    request: Path | None,
    kind: str,
    policy: str | None,
    tsa_roots: tuple[Path, ...],
    tsa_policy: tuple[str, ...],
    *,
    renew: bool,
) -> int:
    """Add a timestamp to PATH, a record's folder or a file, such as a signature or a checkpoint.

    It is kept in PATH/timestamp.tsr, or in PATH.tsr beside a file, if it holds.
    """
    trusted = _trusted(tsa_roots, tsa_policy)
    found = TimestampedBytes.find(path)
    _refuse_unmeant(found, renew=renew)
    if (url is None) == (answer is None) or (request is not None and answer is None):
        raise UsageError(
            "it must be clear where the timestamp comes from",
            cure="Give --url; or --answer, with the --request that it answers.",
        )
    if answer is not None:
        query = None if request is None else _query(request)
        moment = found.add(read_signed_bytes(answer), query, trusted, current_moment())
    else:
        query = found.query(secrets.randbits(NONCE_BITS), kind, policy)
        moment = found.add(
            request_timestamp(url or "", query.emit()), query, trusted, current_moment()
        )
    click.echo(f"{path} {describe_moment(moment)}: {found.place}")
    return ExitCode.DONE


@command.command("request")
@PATH
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.option("--renew", is_flag=True, help="Ask for one over those that are there.")
@HASH
@POLICY
def request_stamp(path: Path, out: Path, kind: str, policy: str | None, *, renew: bool) -> int:
    """Write a request for PATH, to be carried to an authority from another machine."""
    found = TimestampedBytes.find(path)
    _refuse_unmeant(found, renew=renew)
    query = found.query(secrets.randbits(NONCE_BITS), kind, policy)
    try:
        out.write_bytes(query.emit())
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Name another file with --out."
        ) from None
    return ExitCode.DONE


@command.command("verify")
@PATH
@timestamp_options
def verify(path: Path, tsa_roots: tuple[Path, ...], tsa_policy: tuple[str, ...]) -> int:
    """Say since when PATH, as it is, is proven to have been there. Exit code: 1 where it is not."""
    trusted = _trusted(tsa_roots, tsa_policy)
    found = TimestampedBytes.find(path)
    if not found.answers:
        raise UsageError(f"there is no {found.place}", cure="Get one: `auditor timestamp add`.")
    try:
        moment = found.moment(trusted, current_moment())
    except TimestampError as error:
        click.echo(f"failed: {error.problem}")
        return ExitCode.FAILED
    click.echo(f"{path} {describe_moment(moment)}")
    return ExitCode.DONE


@command.command("show")
@PATH
def show(path: Path) -> int:
    """Show what the timestamps of PATH say; whether to believe it, `verify` says."""
    found = TimestampedBytes.find(path)
    rows, offset = [], 0
    try:
        for answer, raw in read_timestamp_answers(found.answers):
            said = open_timestamp_token(raw).stamped
            rows.append((str(offset), said.time.isoformat(), said.policy, said.hash))
            offset += len(answer)
    except VerificationError as refused:
        raise TimestampError(
            f"{found.place}: {refused.problem}", cure="Get one: `auditor timestamp add`."
        ) from None
    show_rows(create_console(), ("at byte", "time", "policy", "hash"), rows)
    return ExitCode.DONE


def _trusted(roots: tuple[Path, ...], policies: tuple[str, ...]) -> TimestampAuthorities:
    found = read_timestamp_authorities(roots, policies)
    if found is None:
        raise UsageError(
            "It must be clear whose clock to believe",
            cure="Give the roots of the authority as a file: --tsa-roots PEM.",
        )
    return found


def _refuse_unmeant(found: TimestampedBytes, *, renew: bool) -> None:
    if bool(found.answers) != renew:
        there = f"{found.place} is there" if found.answers else f"there is no {found.place}"
        cure = "Give --renew to add another one." if found.answers else "Leave --renew out."
        raise UsageError(there, cure=cure)


def _query(path: Path) -> TimestampQuery:
    try:
        return TimestampQuery.parse(read_signed_bytes(path))
    except VerificationError as refused:
        raise UsageError(
            f"{path} is no request: {refused.problem}",
            cure="Name what `auditor timestamp request` wrote.",
        ) from None
