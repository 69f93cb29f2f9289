"""Ask whether a valid, fresh, passing record exists for exactly these bytes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.checks.discovery import discover
from auditor.cli.assurances import assurance_option
from auditor.cli.believing import Whose, ledger_options, read_trust
from auditor.cli.ci import Told, ci_of, ci_option, speaking
from auditor.cli.comparing import baseline_named, named_baseline_option
from auditor.cli.decision_options import DecisionOptions, decision_options, may_decide
from auditor.cli.exits import Exit
from auditor.cli.failing import FailOn, fail_on_option, gate_exit, gate_words
from auditor.cli.gated import Looked, gate_there, record_or_service, refuse_believing
from auditor.cli.opening import counts
from auditor.cli.showing import show_steps, show_words
from auditor.cli.terminals import terminal
from auditor.domain.artifacts import digest_files
from auditor.domain.places import PlacedFile
from auditor.domain.policies import Assurance
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.folders import RecordFolder
from auditor.gates import Question, ask, judged_data, parse_age, read_probe
from auditor.rendering.annotations import annotations
from auditor.rendering.gated import gate_annotations, gate_page
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.locations import policy_location, verdict_location
from auditor.rendering.verdicts import decided_by_silence
from auditor.signing.artifacts import digest_artifact
from auditor.wiring import policy_written_at, readers

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@click.command("gate")
@click.option("--artifact", type=click.Path(path_type=Path), required=True)
@click.option("--policy", required=True, help="A pack's name or a policy file.")
@click.option("--record", type=click.Path(path_type=Path), help="Its folder.")
@click.option("--server", metavar="URL", help="A service that holds records, instead of a folder.")
@click.option("--key", type=click.Path(path_type=Path), help="The public key that you trust.")
@click.option("--trust", type=click.Path(path_type=Path), help="A trust policy instead of a key.")
@assurance_option
@ledger_options
@click.option("--target", help="The target it will run on; default: all that were audited.")
@click.option("--fingerprint", type=click.Path(path_type=Path), help="A probe of this target.")
@click.option(
    "--data", metavar="FILE|DIGEST", help="The evaluation data that must have been judged."
)
@named_baseline_option
@click.option("--max-age", help="How old the record may be: 12h, 30d, 4w.")
@click.option("--strict", is_flag=True, help="Shut at any challenge that holds.")
@decision_options
@fail_on_option
@ci_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    artifact: Path,
    policy: str,
    record: Path | None,
    server: str | None,
    key: Path | None,
    trust: Path | None,
    assurance: Assurance,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
    target: str | None,
    fingerprint: Path | None,
    data: str | None,
    baseline: str | None,
    max_age: str | None,
    fail_on: FailOn | None,
    ci: str,
    *,
    strict: bool,
    **decisions: Any,  # noqa: ANN401 -- click's
) -> int:
    """Open only for exactly these bytes, on this target, under exactly this policy.

    A challenge in the folder or in the store here that refutes the verdict keeps it shut, and so do
    a waiver that has run out or that nobody named here may give, and anybody's no to the record. A
    policy may ask for approvals; with --trust its auditors may waive and approve by role. A policy
    that asks for a sealed audit needs --ledger-key: only the ledger's key shows that it drew the
    seed. What an endpoint or a cascade answered opens the gate for the artifact only where the
    policy required parity with the file there, and it was kept. --data keeps it shut for a record
    that judged other evaluation data. What rests on a baseline opens only where --baseline names
    that record, since whoever asked for the audit chose it. --server asks a service, and believes
    it, about the newest record that it holds. Exit code: 0 opens the gate, 1 keeps it
    shut, 2 for input that cannot be used, 4 where a service cannot be reached. --fail-on makes that
    stricter or laxer, and what is laxer says so.
    """
    with speaking(ci_of(ci)) as tell:
        asked = _question(artifact, policy, target, fingerprint, max_age)
        question = replace(asked, baseline=baseline_named(baseline))
        believed = Whose(key, trust, assurance, ledger_key, witness_keys)
        options = DecisionOptions(**decisions)
        if isinstance(whose := record_or_service(record, server), str):
            refuse_believing(believed, options, strict=strict)
            looked = gate_there(whose, question, max_age)
        else:
            looked = _look(RecordFolder(whose), question, believed, options, strict=strict)
        if data is not None:
            looked = _held_to(looked, _data_digest(data))
        code = gate_exit(fail_on, looked.steps, looked.record, target)
        words = gate_words(fail_on, looked.steps, code)
        _show(looked.steps, words)
        tell(_told(looked, question, code, words, policy_written_at(policy, Path.cwd())))
    return code


def _question(
    artifact: Path, policy: str, target: str | None, fingerprint: Path | None, max_age: str | None
) -> Question:
    limit = None if max_age is None else parse_age(max_age)
    identity = None if fingerprint is None else read_probe(fingerprint)
    chosen = readers(Path.cwd()).load_policy(policy)
    digest = digest_files(digest_artifact(artifact))
    return Question(digest, chosen, target, identity, limit, datetime.now(UTC))


def _data_digest(data: str) -> str:
    """Return the digest of evaluation data, given as such or as their file."""
    return data if DIGEST.fullmatch(data) else digest_files(digest_artifact(Path(data)))


def _held_to(looked: Looked, digest: str) -> Looked:
    """Hold the record that a gate looked at against the evaluation data that were named."""
    if looked.record is None:
        step = Step("data", StepResult.FAILED, "no record verified, so nothing shows its data")
    else:
        step = judged_data(looked.record, digest)
    return replace(looked, steps=(*looked.steps, step))


def _show(steps: Sequence[Step], words: str) -> None:
    """Show each step, in a line whether the gate is open, and else what shuts it, and ``words``."""
    console = terminal()
    show_steps(console, steps)
    failed = [step.name for step in steps if step.result is StepResult.FAILED]
    shut = f"Gate: shut ({', '.join(failed) or 'not everything could be checked'})"
    said = "Gate: open" if all_hold(steps) else shut
    console.print(said, highlight=False, markup=False, soft_wrap=True)
    show_words(console, words)


def _look(
    folder: RecordFolder,
    question: Question,
    whose: Whose,
    options: DecisionOptions,
    *,
    strict: bool,
) -> Looked:
    believed = read_trust(whose.trust)
    may = may_decide(options, believed, question.policy)
    steps, report = whose.verify(folder), str(folder.path / "report.html")
    if not all_hold(steps):
        return Looked(steps, report)
    found = folder.record
    asked = ask(found, question, steps)
    more = counts(found, folder, believed, may, asked, strict=strict)
    return Looked((*steps, *more), report, found, folder.evidence)


def _told(
    looked: Looked, question: Question, code: Exit, words: str, asked: PlacedFile | None
) -> Told:
    """Return what a CI system is told of a gate; of a record only where it verified.

    ``asked`` is where the policy stands that the gate asks for, where it is a file.
    """
    record, opens = looked.record, code is Exit.DONE and all_hold(looked.steps)
    outputs = {"verdict": "pass" if opens else "fail", "report": looked.report}
    if record is None:
        found = gate_annotations(looked.steps, None, opens=opens)
        return Told(found, gate_page(looked.steps, words, opens=opens), outputs)
    mine = tuple(item for item in record.findings if question.target in {None, item.target})
    inputs = RenderedInputs(
        record=replace(record, findings=mine),
        policy=question.policy,
        checks=discover(),
        blob=looked.blob,
    )
    where, policy = verdict_location(inputs), policy_location(inputs, asked)
    found = gate_annotations(looked.steps, where, opens=opens, policy=policy)
    if record.request.policy.digest == question.policy.digest:
        found += [item for item in annotations(inputs) if not decided_by_silence(inputs.record)]
    page = gate_page(looked.steps, words, opens=opens)
    return Told(found, page, {**outputs, "record": record.digest})
