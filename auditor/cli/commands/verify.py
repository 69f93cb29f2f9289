"""Verify a record's folder or bundle, or an artifact's signature, offline."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from auditor.cli.console import show_steps
from auditor.cli.main import exit_for_verification
from auditor.cli.progress_bars import show_hashing
from auditor.cli.terminal import create_console
from auditor.cli.timestamp_options import (
    current_moment,
    read_timestamp_authorities,
    timestamp_options,
)
from auditor.cli.trust_options import (
    TrustOptions,
    VerifierOptions,
    assurance_option,
    find_policy_acceptance,
    ledger_options,
    read_document,
    read_trust_policy_option,
    trust_options,
    verify_record_folder,
)
from auditor.domain.policies import AssuranceLevel
from auditor.domain.verification_steps import VerificationStep
from auditor.errors import UsageError
from auditor.reports.folder import RecordFolder
from auditor.reports.formats.bundle_zip import unpack_bundle
from auditor.trust.artifacts.files import count_artifact_bytes
from auditor.trust.artifacts.verify import verify_artifact, verify_by_policy
from auditor.trust.policies.query import ModelAttestations, QueryTime
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.timestamps import SUFFIX, TimestampAuthorities
from auditor.workflows.verify.timestamps import check_signature_timestamps, read_signed_bytes


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--signature", type=click.Path(path_type=Path), help="PATH is an artifact.")
@trust_options
@click.option(
    "--timestamp",
    type=click.Path(path_type=Path),
    help="The timestamps of --signature; default: that file with .tsr.",
)
@assurance_option
@timestamp_options
@ledger_options
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    path: Path,
    signature: Path | None,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
    timestamp: Path | None,
    tsa_roots: tuple[Path, ...],
    tsa_policy: tuple[str, ...],
    assurance: AssuranceLevel,
    **options: Any,  # noqa: ANN401 -- click's
) -> int:
    """Verify the record in the folder or bundle PATH, or the artifact PATH against --signature.

    Say whom to trust: a --key or a --trust policy (the only ways for a record); or --roots with
    --identity, for certificates; or --trusted-root with --identity and --issuer, for keyless
    signatures of Sigstore. A trust policy judges an artifact as the --model and --version given.
    With --tsa-roots the signature must have been there at a proven time, which is when keys and
    certificates have to be valid; without it the clocks of a trust policy are believed, where there
    is a timestamp. Needs nothing but the files. Exit code: 0 when every step holds, 1 when one
    fails, 3 where withheld rows leave figures unchecked.
    """
    trust = TrustOptions(**options)
    clocks = read_timestamp_authorities(tsa_roots, tsa_policy)
    if timestamp is not None and (signature is None or (clocks is None and trust.trust is None)):
        raise UsageError(
            "a timestamp's file is named for a signature, and needs who is trusted for the time",
            cure="Give --signature too, and --tsa-roots or --trust; or leave --timestamp out.",
        )
    if signature is None:
        steps = _record(path, trust, VerifierOptions(ledger_key, witness_keys, clocks, assurance))
    elif ledger_key is not None or witness_keys or assurance is not AssuranceLevel.A0:
        raise UsageError(
            "records lie in ledgers and claim assurance, and no artifact's signature does",
            cure="Leave --ledger-key, --witness-key and --assurance out, or --signature.",
        )
    else:
        steps = _artifact(path, signature, trust, clocks, timestamp)
    show_steps(create_console(), steps)
    return exit_for_verification(steps)


def _artifact(
    path: Path,
    signature: Path,
    trust: TrustOptions,
    clocks: TimestampAuthorities | None,
    timestamp: Path | None,
) -> tuple[VerificationStep, ...]:
    if trust.trust is not None:
        return _by_policy(path, signature, trust, trust.trust, clocks, timestamp)
    question, timed = trust.question(), _TimestampReport()
    if clocks is not None:
        _refuse_two_times(trust)
        clocks = replace(clocks, revoked=question.trusted.revoked)
        timed = _timed(signature, clocks, timestamp)
        moment = timed.moment or question.moment
        question = replace(question, moment=moment, beside=timed.beside)
    with show_hashing(
        create_console(stderr=True), lambda: count_artifact_bytes(path, (signature,))
    ) as advance:
        return (*timed.steps, *verify_artifact(path, signature, question, advance))


def _by_policy(  # noqa: PLR0913, PLR0917 -- what the command was given
    path: Path,
    signature: Path,
    trust: TrustOptions,
    policy_file: Path,
    clocks: TimestampAuthorities | None,
    timestamp: Path | None,
) -> tuple[VerificationStep, ...]:
    policy = load_trust_policy(policy_file).policy
    asked, timed = trust.asked(policy), _TimestampReport()
    if clocks is not None:
        _refuse_two_times(trust)
        timed = _timed(signature, replace(clocks, revoked=policy.revoked), timestamp)
        asked = replace(asked, when=QueryTime(current_moment().at, timed.moment))
    beside = None if clocks is not None else _beside(signature, trust, policy, timestamp)
    presented = ModelAttestations(
        None,
        tuple(read_document(item) for item in trust.documents),
        standing=find_policy_acceptance(policy),
        timestamps=None if beside is None else read_signed_bytes(beside),
    )
    apart = (signature, *timed.beside, *(() if beside is None else (beside,)))
    with show_hashing(
        create_console(stderr=True), lambda: count_artifact_bytes(path, (signature,))
    ) as advance:
        found = verify_by_policy(path, apart, asked, presented, advance)
    return (*timed.steps, *found)


def _beside(
    signature: Path, trust: TrustOptions, policy: TrustPolicy, timestamp: Path | None
) -> Path | None:
    """Return the timestamps that the policy's own clocks are to be asked of, if there are any."""
    if timestamp is not None:
        _refuse_two_times(trust)
        if policy.clocks is None:
            raise UsageError(
                f"the trust policy {policy} names no clocks",
                cure="Give --tsa-roots, or leave --timestamp out.",
            )
        return timestamp
    found = signature.with_name(signature.name + SUFFIX)
    asked = policy.clocks is not None and trust.at is None
    return found if asked and found.is_file() else None


@dataclass(frozen=True, slots=True)
class _TimestampReport:
    """What the timestamps of a signature say, and the file in which they lie."""

    steps: tuple[VerificationStep, ...] = ()
    moment: VerificationTime | None = None
    beside: tuple[Path, ...] = ()


def _timed(
    signature: Path, clocks: TimestampAuthorities, timestamp: Path | None
) -> _TimestampReport:
    beside = timestamp or signature.with_name(signature.name + SUFFIX)
    step, moment = check_signature_timestamps(signature, beside, clocks, current_moment())
    return _TimestampReport((step,), moment, (beside,))


def _refuse_two_times(trust: TrustOptions) -> None:
    if trust.at is not None:
        raise UsageError(
            "two times are given", cure="Leave --at out, or --tsa-roots and --timestamp."
        )


def _record(
    path: Path,
    trust: TrustOptions,
    asides: VerifierOptions,
) -> tuple[VerificationStep, ...]:
    if not trust.alone or (trust.key is None and trust.trust is None):
        raise UsageError(
            "A record is verified by the key of its signer, or by a trust policy, alone",
            cure="Give --key or --trust, and no more.",
        )
    believed = (trust.key, read_trust_policy_option(trust.trust), asides)
    if path.is_file() and path.suffix == ".zip":
        with unpack_bundle(path) as folder:
            return verify_record_folder(folder, *believed)
    if not path.is_dir():
        raise UsageError(
            f"{path} is not a record's folder, nor a bundle.zip of one",
            cure="Name the folder that `auditor audit` wrote, or give --signature for an artifact.",
        )
    return verify_record_folder(RecordFolder(path), *believed)
