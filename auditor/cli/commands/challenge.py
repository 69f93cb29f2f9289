"""Try counterexamples on the target of a record, and compare them with its claims."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from auditor._resources import scratch_folder
from auditor._time import utc_now
from auditor.cli.code_permission_options import target_code_option
from auditor.cli.console import show_new_keys, show_rows
from auditor.cli.input_paths import EXAMPLES, KEY_FILE, RECORD_FOLDER
from auditor.cli.main import ExitCode
from auditor.cli.workspace import open_own_workspace
from auditor.domain.baselines import load_compared_record
from auditor.domain.challenges import REASONS, Challenge, ChallengeOutcome, ExampleResult
from auditor.domain.json import compute_digest
from auditor.domain.number_text import format_counted
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.inputs.datasets.counterexamples import read_counterexamples
from auditor.inputs.materialize import FetchInput, materialize_inputs
from auditor.reports.folder import RecordFolder, add_challenge
from auditor.reports.terminal import create_console
from auditor.reports.terminal_text import make_printable
from auditor.targets.config import load_operator_targets, require_operator_permission
from auditor.trust.signatures.decisions import sign_challenge
from auditor.workflows.challenge import (
    ChallengeRefusal,
    RecordClaims,
    choose_challenged_target,
    is_robustness_untested,
    list_untested_checks,
    open_challenged_subject,
    run_challenge,
)
from auditor.workflows.challenge_status import (
    collect_earlier_examples,
    describe_challenge,
    list_challenges,
)
from auditor.workflows.evidence import load_record_policy, load_results
from auditor.workflows.human_decisions import read_record_waivers
from auditor.workflows.prepare import PreparedAudit, prepare_audit
from auditor.workflows.reproduce import read_recorded_audit_file
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.verifiers import build_own_verifier
from auditor.workflows.wiring import OPENERS, build_input_finder, build_record_resolvers

SHOWN = 40


@click.command("challenge")
@click.argument("folder", type=RECORD_FOLDER)
@click.option(
    "--examples",
    type=EXAMPLES,
    required=True,
    help=(
        ".npz file with one kind of example: inputs with rows or labels, rows with "
        "views, or perturbations."
    ),
)
@click.option("--key", type=KEY_FILE, help="Public key of the record; default: its signer.pub.")
@click.option("--target", help="Target to run the examples on, if the record has several.")
@click.option(
    "--inputs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with the inputs of the audit, found by digest; default: AUDITOR_HOME.",
)
@target_code_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    folder: Path,
    examples: Path,
    key: Path | None,
    target: str | None,
    inputs: Path | None,
    allow_target_code: bool,  # noqa: FBT001 -- click's
) -> int:
    r"""Try counterexamples against the record in FOLDER, on its target.

    Each example is tested under the threat model of every robustness check of the record, and the
    answers of the target decide. The .npz file holds one kind of example:

    \b
    inputs [n, ...] (texts: [n]) and rows [n], the ids of the rows that they
      start from: attacks in norms, on tables, by patches and on words, walks
      on decisions, transfer, proofs; unchanged rows: quality.accuracy
    rows [n] and parts of a view [n], as angle, down, right, scale, shear,
      brightness, contrast, hue, mirrored: evasion.spatial
    perturbations [m, ...], each put on every row: evasion.universal

    A counterexample that holds is signed and added to FOLDER and to the ledger permanently. It
    keeps gates closed if the policy does not pass because of it. Exit code: 0 if no example holds,
    1 if one holds, 3 if this machine is not the target of the record, or if none of the checks of
    the record accepts this kind of example.
    """
    console = create_console()
    given, old = read_counterexamples(examples), RecordFolder(folder)
    record = old.record
    _refuse_sealed(record)
    require_operator_permission(
        record.request, load_operator_targets(folder, allow_code=allow_target_code)
    )
    spec = choose_challenged_target(record, target)
    claims = _claims(old, record, build_own_verifier(old, key))
    with open_own_workspace() as place:
        show_new_keys(console, place.made_keys)
        fetch = build_input_finder(place.store.blobs, inputs)
        against = list_challenges(record, old, place.settings.place)
        counted = collect_earlier_examples(record, against, old, place.store.blobs)
        with (
            _prepared(old, record, fetch) as prepared,
            open_challenged_subject(prepared, spec, OPENERS) as subject,
        ):
            # The examples of earlier challenges that can be tried here, and name the others
            fitting = counted.fitting(subject)
            for why in fitting.left_out:
                said = make_printable(f"An earlier challenge was skipped: {why}.")
                console.print(said, markup=False, highlight=False, soft_wrap=True)
            files = (*fitting.files, given)
            told = run_challenge(claims, files, subject, place.identity, utc_now())
        if isinstance(told, ChallengeRefusal):
            console.print(make_printable(f"Not tried: {told.reason}. {told.cure}"), markup=False)
            return ExitCode.INCONCLUSIVE
        _show(console, told)
        if told.outcome is not ChallengeOutcome.FAILED:
            bundle = sign_challenge(told, place.signer)
            place.store.blobs.put(given.raw)
            with place.store.unit_of_work() as work:
                work.challenge(told, bundle)
            where = add_challenge(folder, bundle, given.raw)
            click.echo(f"Kept: {where}, and in the ledger ({compute_digest(bundle)})")
            return ExitCode.FAILED
    # Say what was not tried; where that is all the robustness there is, nothing was decided
    beside = list_untested_checks(claims, told.target, given.kind)
    for item in beside:
        console.print(make_printable(f"Not tried: {item.why}."), markup=False, highlight=False)
    return ExitCode.INCONCLUSIVE if is_robustness_untested(claims, told, beside) else ExitCode.DONE


def _refuse_sealed(record: AuditRecord) -> None:
    """Refuse a record whose rows can be withheld. Raises ``RecordError``.

    A challenge names rows and what is decided of them, and the ledger keeps it for good.
    """
    if record.request.disclosure is not None:
        raise RecordError(
            f"record {record.id} uses `disclosure: rows`, and a challenge would publish "
            "its row IDs in the ledger permanently",
            cure="Audit again without `disclosure: rows`, and challenge that record.",
        )


def _claims(old: RecordFolder, record: AuditRecord, checker: RecordVerifier) -> RecordClaims:
    """Return what a record claims; raises ``RecordError`` unless its folder verifies."""
    failed = [step for step in verify_folder(old, checker) if step.result is StepResult.FAILED]
    if failed:
        raise RecordError(
            f"{old.path} does not verify: {failed[0].name}: {failed[0].detail}",
            cure="Use the unchanged folder and the public key of its signer.",
        )
    results = load_results(old, record, checker.checks)
    waivers = tuple(item.waiver for item in read_record_waivers(old, record))
    compared = load_compared_record(record.request, old.evidence)
    policy = load_record_policy(old, record, checker.load_policy)
    return RecordClaims(record, results, policy, waivers, compared)


@contextmanager
def _prepared(old: RecordFolder, record: AuditRecord, fetch: FetchInput) -> Iterator[PreparedAudit]:
    """Lay out the record's own inputs, and prepare its audit again. Raises ``RecordError``."""
    with scratch_folder() as scratch:
        laid = materialize_inputs(record.request.inputs, fetch, scratch)
        parts = build_record_resolvers(record, old)
        waivers = read_record_waivers(old, record)
        raw = fetch(record.request.audit_file)
        asked = read_recorded_audit_file(raw, record.request, parts, waivers)
        with prepare_audit(asked, laid.locate, parts) as given:
            prepared = given.against(load_compared_record(record.request, old.evidence))
            if prepared.request.digest != record.request.digest:
                raise RecordError(
                    "the inputs differ from those of the record",
                    cure="Name the folder with the inputs of the audit with --inputs.",
                )
            yield prepared


def _show(console: Console, told: Challenge) -> None:
    """Show each example under the claim that says most, then what it comes to."""
    rows = [
        (
            str(item.example),
            item.row or "-",
            item.check,
            "-" if item.distance is None else f"{item.distance:.4g}",
            item.budget or ("-" if item.eps is None else f"{item.eps:.4g}"),
            item.decided,
            "holds" if item.result is ExampleResult.HOLDS else REASONS[item.result],
        )
        for item in told.furthest
    ]
    show_rows(
        console,
        ("example", "row", "claim", "distance", "budget", "decided", "result"),
        rows[:SHOWN],
    )
    if len(rows) > SHOWN:
        console.print(f"Not shown: {format_counted(len(rows) - SHOWN, 'more example')}.")
    tried = dict.fromkeys(item.check for item in told.trials)
    said = {
        ChallengeOutcome.FAILED: f"No example holds under {', '.join(tried)}.",
        ChallengeOutcome.LOWERED: f"Lowered: {describe_challenge(told)}.",
        ChallengeOutcome.REFUTED: f"REFUTED: {describe_challenge(told)}.",
    }
    console.print(make_printable(said[told.outcome]), markup=False, highlight=False, soft_wrap=True)
