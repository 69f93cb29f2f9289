"""Write a record's verdict as a comment for a pull request."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.checks.discovery import discover
from auditor.cli.assurances import assurance_option
from auditor.cli.believing import Whose, ledger_options, read_trust
from auditor.cli.comparing import baseline_named, named_baseline_option
from auditor.cli.decision_options import DecisionOptions, deciding, decision_options
from auditor.cli.exits import Exit
from auditor.cli.opening import counts
from auditor.domain.policies import Assurance
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.errors import RecordError
from auditor.folders import RecordFolder
from auditor.gates import Question, conditions, parse_age
from auditor.rendering.comments import Standing, render_comment, render_unbelieved
from auditor.rendering.inputs import RenderedInputs
from auditor.wiring import readers_of

Verify = Callable[[RecordFolder], tuple[Step, ...]]
SHUTS = frozenset({StepResult.FAILED, StepResult.WITHHELD})


@click.command("comment")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--base", type=click.Path(path_type=Path), help="A record to compare with.")
@click.option("--key", type=click.Path(path_type=Path), help="The public key that you trust.")
@click.option("--trust", type=click.Path(path_type=Path), help="A trust policy instead of a key.")
@assurance_option
@ledger_options
@click.option("--max-age", help="How old the record may be: 12h, 30d, 4w.")
@named_baseline_option
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: print it.")
@decision_options
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    folder: Path,
    base: Path | None,
    key: Path | None,
    trust: Path | None,
    assurance: Assurance,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
    max_age: str | None,
    baseline: str | None,
    out: Path | None,
    **decisions: Any,  # noqa: ANN401 -- click's
) -> int:
    """Write the verdict in FOLDER as Markdown for a comment on a pull request.

    It begins with a hidden line by which a bot finds its own comment. A record that does not
    verify, is too old, is contested or was rejected is never shown as a pass, nor is one that
    rests on waivers that a gate would not take or on a baseline that --baseline does not name, that
    lacks approvals, or that is not sealed where its policy asks for that (which --ledger-key
    shows). Exit code 1 says that the record does not verify; the comment is written all the same,
    and says so.
    """
    read, believed = RecordFolder(folder), read_trust(trust)
    record = read.record
    limit = None if max_age is None else parse_age(max_age)
    verify = Whose(key, trust, assurance, ledger_key, witness_keys).verify
    steps, mistakes = _verified(read, verify)
    if mistakes:
        written = render_unbelieved(record, mistakes)
    else:
        policy = readers_of(record, read).load_policy(record.request.policy.name)
        may = deciding(DecisionOptions(**decisions), believed, policy)
        named = baseline_named(baseline)
        question = Question("", policy, None, None, limit, datetime.now(UTC), named)
        asked = conditions(record, question, steps)
        steps = counts(record, read, believed, may, asked, strict=False)
        inputs = RenderedInputs(record=record, policy=policy, checks=discover(), blob=read.evidence)
        written = render_comment(inputs, _standing(_said(steps), base, verify))
    if out is None:
        click.echo(written, nl=False)
    else:
        out.write_text(written, encoding="utf-8")
    return Exit.FAILED if mistakes else Exit.DONE


def _verified(folder: RecordFolder, verify: Verify) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the steps of a folder's verification, and what keeps it from being believed."""
    try:
        steps = verify(folder)
    except RecordError as error:
        return (), (f"record: {error.problem}",)
    silent = () if all_hold(steps) else ("record: nothing of it could be checked",)
    return steps, _said(steps) or silent


def _said(steps: Iterable[Step]) -> tuple[str, ...]:
    return tuple(f"{step.name}: {step.detail}" for step in steps if step.result in SHUTS)


def _standing(mistakes: tuple[str, ...], base: Path | None, verify: Verify) -> Standing:
    if base is None:
        return Standing(mistakes)
    folder = RecordFolder(base)
    _, unverified = _verified(folder, verify)
    if unverified:
        return Standing(mistakes, because=f"the base does not verify ({unverified[0]})")
    return Standing(mistakes, folder.record)
