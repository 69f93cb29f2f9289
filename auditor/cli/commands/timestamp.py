"""Add and verify timestamps of a time-stamping authority (RFC 3161)."""

import secrets
from pathlib import Path

import click

from auditor.cli.console import show_rows
from auditor.cli.input_paths import TIMESTAMPED, TIMESTAMPS
from auditor.cli.main import ExitCode
from auditor.cli.timestamp_options import read_timestamp_authorities, timestamp_options
from auditor.errors import TimestampError, UsageError
from auditor.reports.terminal import create_console
from auditor.trust.encoding.hash_oids import OF_HASH
from auditor.trust.timestamps import (
    TimestampAuthorities,
    TimestampQuery,
    open_timestamp_token,
    read_timestamp_answers,
)
from auditor.trust.verification_result import VerificationError
from auditor.workflows.verify.timestamps import (
    TimestampedBytes,
    current_moment,
    describe_moment,
    read_signed_bytes,
    request_timestamp,
)

PATH = click.argument("path", type=TIMESTAMPED)
HASH = click.option("--hash", "kind", type=click.Choice(list(OF_HASH)), default="sha256")
POLICY = click.option("--policy", metavar="OID", help="Policy of the authority to request.")
NONCE_BITS = 64


@click.group("timestamp")
def command() -> None:
    """Add and verify timestamps of a time-stamping authority (RFC 3161)."""


@command.command("add")
@PATH
@click.option(
    "--url", help=("Time-stamping authority to ask. The command connects to no other host.")
)
@click.option(
    "--answer",
    type=TIMESTAMPS,
    help=("File with the answer of an authority, or with a bare token."),
)
@click.option("--request", type=TIMESTAMPS, help="Request file that --answer answers.")
@click.option("--renew", is_flag=True, help="Add a timestamp over the existing ones.")
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

    A valid timestamp is written to PATH/timestamp.tsr, or to PATH.tsr for a file.
    """
    trusted = _trusted(tsa_roots, tsa_policy)
    found = TimestampedBytes.find(path)
    _refuse_unmeant(found, renew=renew)
    if (url is None) == (answer is None) or (request is not None and answer is None):
        raise UsageError(
            "the timestamp needs one source",
            cure="Use --url, or --answer with its --request.",
        )
    if answer is not None:
        if request is None:
            query = None
        else:
            try:
                query = TimestampQuery.parse(read_signed_bytes(request))
            except VerificationError as refused:
                raise UsageError(
                    f"{request} is not a timestamp request: {refused.problem}",
                    cure="Name the file that `auditor timestamp request` wrote.",
                ) from None
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
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output file.")
@click.option("--renew", is_flag=True, help="Request a timestamp over the existing ones.")
@HASH
@POLICY
def request_stamp(path: Path, out: Path, kind: str, policy: str | None, *, renew: bool) -> int:
    """Write a timestamp request for PATH, to send to an authority from another machine."""
    found = TimestampedBytes.find(path)
    _refuse_unmeant(found, renew=renew)
    query = found.query(secrets.randbits(NONCE_BITS), kind, policy)
    try:
        out.write_bytes(query.emit())
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Choose another file with --out."
        ) from None
    return ExitCode.DONE


@command.command("verify")
@PATH
@timestamp_options
def verify(path: Path, tsa_roots: tuple[Path, ...], tsa_policy: tuple[str, ...]) -> int:
    """Show since when PATH provably exists unchanged. Exit code: 1 if this is not proven."""
    trusted = _trusted(tsa_roots, tsa_policy)
    found = TimestampedBytes.find(path)
    if not found.answers:
        raise UsageError(f"there is no {found.place}", cure="Add one with `auditor timestamp add`.")
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
    """Show the timestamps of PATH. This does not verify them: use `auditor timestamp verify`."""
    found = TimestampedBytes.find(path)
    rows, offset = [], 0
    try:
        for answer, raw in read_timestamp_answers(found.answers):
            said = open_timestamp_token(raw).stamped
            rows.append((str(offset), said.time.isoformat(), said.policy, said.hash))
            offset += len(answer)
    except VerificationError as refused:
        raise TimestampError(
            f"{found.place}: {refused.problem}", cure="Add one with `auditor timestamp add`."
        ) from None
    show_rows(create_console(), ("at byte", "time", "policy", "hash"), rows)
    return ExitCode.DONE


def _trusted(roots: tuple[Path, ...], policies: tuple[str, ...]) -> TimestampAuthorities:
    found = read_timestamp_authorities(roots, policies)
    if found is None:
        raise UsageError(
            "verifying a timestamp needs a trusted authority",
            cure="Name the roots of the authority: --tsa-roots PEM.",
        )
    return found


def _refuse_unmeant(found: TimestampedBytes, *, renew: bool) -> None:
    if bool(found.answers) != renew:
        there = f"{found.place} already exists" if found.answers else f"there is no {found.place}"
        cure = "Add another timestamp with --renew." if found.answers else "Remove --renew."
        raise UsageError(there, cure=cure)
