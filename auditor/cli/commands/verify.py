"""Verify a record's folder or bundle, or an artifact's signature, offline."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from auditor.cli.console import print_plain, show_steps, summarize_steps
from auditor.cli.format_options import JSON, format_option, print_json
from auditor.cli.hashing_progress import show_hashing
from auditor.cli.input_paths import SIGNATURE_FILE, TIMESTAMPS, VERIFIED
from auditor.cli.main import exit_for_verification
from auditor.cli.timestamp_options import read_timestamp_authorities, timestamp_options
from auditor.cli.trust_options import (
    TrustOptions,
    assurance_option,
    describe_key_beside,
    ledger_options,
    read_document,
    trust_options,
)
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import UsageError
from auditor.policy.pack_names import explain_pack_name
from auditor.reports.folder import SIGNER, RecordFolder
from auditor.reports.formats.bundle_zip import unpack_bundle
from auditor.reports.html.verdict import describe_second_judgement
from auditor.reports.scope_wording import build_verdict_headline
from auditor.reports.signer_text import shorten_key
from auditor.reports.terminal import create_console
from auditor.trust.artifacts.files import count_artifact_bytes
from auditor.trust.artifacts.verify import verify_artifact, verify_by_policy
from auditor.trust.policies.query import ModelAttestations, QueryTime
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.timestamps import SUFFIX, TimestampAuthorities
from auditor.workflows.command_documents import describe_verification
from auditor.workflows.verify.rendered_report import describe_makers, was_compared
from auditor.workflows.verify.timestamps import (
    check_signature_timestamps,
    current_moment,
    read_signed_bytes,
)
from auditor.workflows.verify.trusted_record import (
    VerifierOptions,
    find_policy_acceptance,
    read_trust_policy_option,
    verify_record_folder,
)


@click.command("verify")
@click.argument("path", type=VERIFIED)
@click.option("--signature", type=SIGNATURE_FILE, help="Signature file. PATH is then an artifact.")
@trust_options
@click.option(
    "--timestamp",
    type=TIMESTAMPS,
    help="Timestamps of --signature; default: the signature file with .tsr.",
)
@assurance_option
@timestamp_options
@ledger_options
@format_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    path: Path,
    signature: Path | None,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
    timestamp: Path | None,
    tsa_roots: tuple[Path, ...],
    tsa_policy: tuple[str, ...],
    assurance: AssuranceLevel,
    form: str,
    **options: Any,  # noqa: ANN401 -- click's
) -> int:
    """Verify the record in the folder or bundle PATH, or the artifact PATH against --signature.

    Choose the signers that you trust: --key or --trust (the only options for a record); --roots
    with --identity, for certificates; or --trusted-root with --identity and --issuer, for keyless
    Sigstore signatures. A trust policy evaluates an artifact as the given --model and --version.
    With --tsa-roots, a timestamp must prove the time of the signature, and keys and certificates
    must be valid at that time. Without it, timestamps count if the trust policy names their clocks.
    The command works offline, with the files only. Exit code: 0 when all steps pass, 1 when a step
    fails, 3 when withheld rows leave figures unchecked.
    """
    trust = TrustOptions(**options)
    clocks = read_timestamp_authorities(tsa_roots, tsa_policy)
    if timestamp is not None and (signature is None or (clocks is None and trust.trust is None)):
        raise UsageError(
            "--timestamp needs a signature and a trusted timestamp authority",
            cure="Add --signature, and --tsa-roots or --trust; or remove --timestamp.",
        )
    said: tuple[str, ...] = ()
    record: AuditRecord | None = None
    if signature is None:
        steps, said, record = _record(
            path, trust, VerifierOptions(ledger_key, witness_keys, clocks, assurance)
        )
    elif ledger_key is not None or witness_keys or assurance is not AssuranceLevel.A0:
        raise UsageError(
            "--ledger-key, --witness-key and --assurance are only for records, not for artifacts",
            cure="Remove them, or remove --signature.",
        )
    else:
        steps = _artifact(path, signature, trust, clocks, timestamp)
    code = exit_for_verification(steps)
    if form == JSON:
        print_json(describe_verification(steps, record, exit_code=code))
    else:
        console = create_console()
        show_steps(console, steps)
        print_plain(console, summarize_steps("Verified", steps))
        for line in said:
            print_plain(console, line)
    return code


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
    if clocks is not None:
        beside = None
    elif timestamp is not None:
        _refuse_two_times(trust)
        if policy.clocks is None:
            raise UsageError(
                f"the trust policy {policy} names no clocks",
                cure="Add --tsa-roots, or remove --timestamp.",
            )
        beside = timestamp
    else:
        beside_found = signature.with_name(signature.name + SUFFIX)
        beside_asked = policy.clocks is not None and trust.at is None
        beside = beside_found if beside_asked and beside_found.is_file() else None
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
            "--at conflicts with the timestamps",
            cure="Remove --at, or --tsa-roots and --timestamp.",
        )


def _record(
    path: Path,
    trust: TrustOptions,
    asides: VerifierOptions,
) -> tuple[tuple[VerificationStep, ...], tuple[str, ...], AuditRecord | None]:
    """Verify a record, and return it with what it says where nothing is wrong with it."""
    if not trust.alone or (trust.key is None and trust.trust is None):
        own = trust.alone and (path / SIGNER).is_file()
        raise UsageError(
            "A record needs exactly one of --key and --trust, and no other trust options",
            cure=f"Give --key {path / SIGNER} for an audit of your own, else the owner's key or "
            "--trust."
            if own
            else "Give --key or --trust only.",
        )
    believed = (trust.key, read_trust_policy_option(trust.trust), asides)
    if path.is_file() and path.suffix == ".zip":
        with unpack_bundle(path) as folder:
            steps = verify_record_folder(folder, *believed)
            return _report(folder, steps, trust.key, path.parent)
    if not path.is_dir():
        raise UsageError(
            f"{path} is neither a record folder nor a bundle.zip",
            cure="Name the output folder of `auditor audit`, or add --signature for an artifact.",
        )
    folder = RecordFolder(path)
    steps = verify_record_folder(folder, *believed)
    return _report(folder, steps, trust.key, path)


def _report(
    folder: RecordFolder, steps: tuple[VerificationStep, ...], key: Path | None, place: Path
) -> tuple[tuple[VerificationStep, ...], tuple[str, ...], AuditRecord | None]:
    if any(step.result is StepResult.FAILED for step in steps):
        return steps, (), None  # a record that fails says nothing for sure
    return steps, tuple(_describe_record(folder, steps, key, place)), folder.record


def _describe_record(
    folder: RecordFolder, steps: Iterable[VerificationStep], key: Path | None, place: Path
) -> Iterator[str]:
    """Say which verdict a record that verified has, last where its report was not compared."""
    record = folder.record
    asked, policy = record.request, record.request.policy
    signer = shorten_key(read_public_key(folder.read(SIGNER)).identity)
    yield from (f"Note: {text}" for text in describe_second_judgement(record))
    yield (
        f"The record is intact, signed by key {signer}. Its verdict on {asked.name} "
        f"{asked.version} under policy {policy.name} {policy.version}: "
        f"{build_verdict_headline(record)}."
    )
    if named := explain_pack_name(policy):
        yield f"Note: {named}"
    if beside := describe_key_beside(key, place):
        yield f"Note: {beside}"
    if not was_compared(steps):
        yield (
            f"report.html was NOT compared with the record ({describe_makers(record)}). The "
            f"record's verdict is: {build_verdict_headline(record)}. To read it as the record has "
            f"it, render it: `auditor export {place} --format html --out report.html`."
        )
