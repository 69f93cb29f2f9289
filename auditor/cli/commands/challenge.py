"""Try counterexamples on a record's target, and hold what it claims against them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from auditor.challenging import NotTried, chosen_target, try_examples
from auditor.claimed import Claims, undecided, untried
from auditor.cli.exits import Exit
from auditor.cli.places import own_workplace
from auditor.cli.showing import show_made, show_rows
from auditor.cli.target_options import target_code_option
from auditor.cli.terminals import terminal
from auditor.cli.texts import printable
from auditor.clock import now
from auditor.confronting import opened
from auditor.contested import Earlier, challenges_against, examples_of, words
from auditor.datasets.examples import Examples, read_examples
from auditor.deciding import waivers_of
from auditor.domain.baselines import compared_of
from auditor.domain.canonical import digest
from auditor.domain.challenges import REASONS, Challenge, Outcome, Result
from auditor.domain.records import AuditRecord
from auditor.domain.steps import StepResult
from auditor.domain.subjects import Subject
from auditor.errors import RecordError
from auditor.folders import RecordFolder, add_challenge
from auditor.laying import FetchInput, lay_out
from auditor.preparing import Prepared, prepare, read_asked
from auditor.recalling import load_results, policy_of
from auditor.reproducing import overrides_of
from auditor.scratch import scratch_folder
from auditor.signatures.challenges import sign_challenge
from auditor.targetfiles import operator_targets, require_leave
from auditor.verifiers import own_verifier
from auditor.verifying import Verifier, verify_folder
from auditor.wiring import OPENERS, fetch_from, readers_of
from auditor.workplaces import Workplace

SHOWN = 40
PATH = click.Path(path_type=Path)


@click.command("challenge")
@click.argument("folder", type=PATH)
@click.option(
    "--examples",
    type=PATH,
    required=True,
    help="An .npz of one kind: inputs with rows or labels, rows with views, or perturbations.",
)
@click.option("--key", type=PATH, help="The record's public key; default: its own signer.pub.")
@click.option("--target", help="The target of the record to try them on, where it has several.")
@click.option(
    "--inputs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder in which the inputs lie, found by digest; default: AUDITOR_HOME.",
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

    Each is held to the threat of every check that the record claims something by, and counts by
    what the target answers. The .npz holds one kind of example:

    \b
    inputs [n, ...] (texts: [n]) and rows [n], the ids of the rows that they
      start from: attacks in norms, on tables, by patches and on words, walks
      on decisions, transfer, proofs; unchanged rows: quality.accuracy
    rows [n] and parts of a view [n], as angle, down, right, scale, shear,
      brightness, contrast, hue, mirrored: evasion.spatial
    perturbations [m, ...], each put on every row: evasion.universal

    One that holds is signed, put into FOLDER and into the ledger for good, and keeps a gate shut
    where the policy is not kept without it. Exit code: 0 when none holds, 1 when one does, 3 when
    this is not the record's target, or all the robustness that it claims is of checks that such
    examples are not tried under.
    """
    console = terminal()
    given, old = read_examples(examples), RecordFolder(folder)
    record = old.record
    _refuse_sealed(record)
    require_leave(record.request, operator_targets(folder, allow_code=allow_target_code))
    spec = chosen_target(record, target)
    claims = _claims(old, record, own_verifier(old, key))
    with own_workplace() as place:
        show_made(console, place.made_keys)
        fetch = fetch_from(place.store.blobs, inputs)
        against = challenges_against(record, old, place.settings.place)
        counted = examples_of(record, against, old, place.store.blobs)
        with (
            _prepared(old, record, fetch) as prepared,
            opened(prepared, spec, OPENERS) as subject,
        ):
            files = (*_fitting(console, counted, subject), given)
            told = try_examples(claims, files, subject, place.identity, now())
        if isinstance(told, NotTried):
            console.print(printable(f"Not tried: {told.reason}. {told.cure}"), markup=False)
            return Exit.INCONCLUSIVE
        _show(console, told)
        if told.outcome is not Outcome.FAILED:
            _keep(place, folder, told, given)
            return Exit.FAILED
    return _left(console, told, claims, given)


def _fitting(console: Console, counted: Earlier, subject: Subject) -> tuple[Examples, ...]:
    """Return the examples of earlier challenges that can be tried here, and name the others."""
    fitting = counted.fitting(subject)
    for why in fitting.left_out:
        said = printable(f"An earlier challenge is left out: {why}.")
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    return fitting.files


def _left(console: Console, told: Challenge, claims: Claims, given: Examples) -> Exit:
    """Say what was not tried; where that is all the robustness there is, nothing was decided."""
    beside = untried(claims, told.target, given.kind)
    for item in beside:
        console.print(printable(f"Not tried: {item.why}."), markup=False, highlight=False)
    return Exit.INCONCLUSIVE if undecided(claims, told, beside) else Exit.DONE


def _refuse_sealed(record: AuditRecord) -> None:
    """Refuse a record whose rows can be withheld. Raises ``RecordError``.

    A challenge names rows and what is decided of them, and the ledger keeps it for good.
    """
    if record.request.disclosure is not None:
        raise RecordError(
            f"the record {record.id} keeps its rows apart (`disclosure: rows`), and a challenge "
            "would name them in the ledger for good",
            cure="Audit without `disclosure: rows`, and challenge that record.",
        )


def _claims(old: RecordFolder, record: AuditRecord, checker: Verifier) -> Claims:
    """Return what a record claims; raises ``RecordError`` unless its folder verifies."""
    failed = [step for step in verify_folder(old, checker) if step.result is StepResult.FAILED]
    if failed:
        raise RecordError(
            f"{old.path} does not verify: {failed[0].name}: {failed[0].detail}",
            cure="Take the folder as auditor wrote it, and the key of its signer.",
        )
    results = load_results(old, record, checker.checks)
    waivers = tuple(item.waiver for item in waivers_of(old, record))
    compared = compared_of(record.request, old.evidence)
    policy = policy_of(old, record, checker.load_policy)
    return Claims(record, results, policy, waivers, compared)


@contextmanager
def _prepared(old: RecordFolder, record: AuditRecord, fetch: FetchInput) -> Iterator[Prepared]:
    """Lay out the record's own inputs, and prepare its audit again. Raises ``RecordError``."""
    with scratch_folder() as scratch:
        laid = lay_out(record.request.inputs, fetch, scratch)
        parts = readers_of(record, old)
        overrides = overrides_of(record, waivers_of(old, record))
        asked = read_asked(fetch(record.request.audit_file), "audit file", overrides, parts)
        with prepare(asked, laid.locate, overrides, parts) as given:
            prepared = given.against(compared_of(record.request, old.evidence))
            if prepared.request.digest != record.request.digest:
                raise RecordError(
                    "the inputs make another request than the record's",
                    cure="Give the very inputs of the audit with --inputs.",
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
            "holds" if item.result is Result.HOLDS else REASONS[item.result],
        )
        for item in told.furthest
    ]
    show_rows(
        console,
        ("example", "row", "claim", "distance", "budget", "decided", "result"),
        rows[:SHOWN],
    )
    if len(rows) > SHOWN:
        console.print(f"{len(rows) - SHOWN} more examples are not shown.")
    tried = dict.fromkeys(item.check for item in told.trials)
    said = {
        Outcome.FAILED: f"No example holds under {', '.join(tried)}.",
        Outcome.LOWERED: f"Lowered: {words(told)}.",
        Outcome.REFUTED: f"REFUTED: {words(told)}.",
    }
    console.print(printable(said[told.outcome]), markup=False, highlight=False, soft_wrap=True)


def _keep(place: Workplace, folder: Path, told: Challenge, given: Examples) -> None:
    bundle = sign_challenge(told, place.signer)
    place.store.blobs.put(given.raw)
    with place.store.unit_of_work() as work:
        work.challenge(told, bundle)
    where = add_challenge(folder, bundle, given.raw)
    click.echo(f"Kept: {where}, and in the ledger ({digest(bundle)})")
