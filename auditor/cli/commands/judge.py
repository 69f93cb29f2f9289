"""Judge the stored evidence of a record by another policy, or with waivers; runs no model."""

from pathlib import Path

import click

from auditor.cli.baseline_options import baseline_options
from auditor.cli.console import show_new_keys
from auditor.cli.decision_options import show_note, show_waivers, waiver_options
from auditor.cli.format_options import JSON, create_message_console, format_option, print_json
from auditor.cli.input_paths import KEY_FILE, RECORD_FOLDER, TRUST_POLICY, PolicyName
from auditor.cli.main import exit_for_verdict
from auditor.cli.output_folder import write_record_folder
from auditor.cli.record_output import show_closing, show_record, show_report
from auditor.cli.workspace import open_own_workspace
from auditor.reports.folder import RecordFolder, refuse_foreign_files
from auditor.reports.rendering_inputs import ReportInputs
from auditor.workflows.command_documents import describe_record
from auditor.workflows.judge import JudgeOptions, judge_record_folder


@click.command("judge")
@click.argument("folder", type=RECORD_FOLDER)
@click.option(
    "--policy",
    type=PolicyName(),
    help=(
        "Name of a policy pack, or a policy file. With --waiver or --baseline, the "
        "default is the policy of the record."
    ),
)
@click.option(
    "--key",
    type=KEY_FILE,
    help="Public key of the signer of the record; default: your own.",
)
@waiver_options
@baseline_options(newest=False)
@click.option("--trust", type=TRUST_POLICY, help="Trust policy with the people who can waive.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder; default: FOLDER-judged beside FOLDER.",
)
@format_option
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    folder: Path,
    policy: str | None,
    key: Path | None,
    waivers: tuple[Path, ...],
    waiver_keys: tuple[Path, ...],
    trust: Path | None,
    out: Path | None,
    baseline: str | None,
    baseline_key: Path | None,
    form: str,
) -> int:
    """Judge the record in FOLDER by another policy, or with waivers, into a new signed record.

    The record must verify under --key. Only the waivers that you name here count. The baseline of
    the record stays unless you name another one. Exit codes are those of `auditor audit`.
    """
    console = create_message_console(form)
    target = out or folder.with_name(f"{folder.resolve().name}-judged")
    refuse_foreign_files(target)
    old = RecordFolder(folder)
    options = JudgeOptions(
        policy=policy,
        key=key,
        waivers=waivers,
        waiver_keys=waiver_keys,
        trust=trust,
        baseline=baseline,
        baseline_key=baseline_key,
    )
    with open_own_workspace() as place:
        show_new_keys(console, place.made_keys)
        done = judge_record_folder(old, options, place)
        show_note(console, done.odd)
        write_record_folder(console, target, done.files, place.store)
    code = exit_for_verdict(done.record.verdict, done.policy.mode)
    if form == JSON:
        said = describe_record(
            "judge", done.record, done.policy, target, exit_code=code, note=done.odd
        )
        print_json(said)
    else:
        inputs = ReportInputs(
            record=done.record,
            policy=done.policy,
            checks=done.checks,
            blob=RecordFolder(target).evidence,
        )
        show_record(console, inputs)
        show_waivers(console, done.record, done.waivers)
        show_report(console, target)
        show_closing(console, "Judged", done.record)
    return code
