"""Compare two records: what moved, beyond its intervals."""

from functools import partial
from pathlib import Path

import click

from auditor.cli.compare_output import show_comparison
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.cli.trust_options import (
    VerifierOptions,
    assurance_option,
    read_trust_policy_option,
    verify_record_folder,
)
from auditor.domain.json import encode_canonical
from auditor.domain.policies import AssuranceLevel
from auditor.domain.verification_steps import VerificationStep
from auditor.errors import UsageError
from auditor.reports.folder import SIGNER, RecordFolder
from auditor.reports.formats.comparison_html import render_comparison_html
from auditor.reports.formats.comparison_markdown import render_comparison_markdown
from auditor.reports.html.comparison import ComparisonView
from auditor.reports.inputs import ReportInputs
from auditor.trust.keys.files import load_public_key
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.workflows.compare import compare_folders
from auditor.workflows.evidence import load_record_policy
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.verifiers import build_own_verifier

RENDERERS = {".html": render_comparison_html, ".md": render_comparison_markdown}
UNVERIFIED = (
    "Nobody vouches for these records: each verifies under the key in its own folder alone, which "
    "whoever wrote the folder chose. Give --key or --trust."
)


@click.command("compare")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path),
    multiple=True,
    help="The public key of whoever signed; a second --key where two signed.",
)
@click.option("--trust", type=click.Path(path_type=Path), help="A trust policy instead of keys.")
@assurance_option
@click.option("--all", "everything", is_flag=True, help="Show what did not move too.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--out", type=click.Path(path_type=Path), help="Write a page: FILE.html or FILE.md.")
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    before: Path,
    after: Path,
    keys: tuple[Path, ...],
    trust: Path | None,
    assurance: AssuranceLevel,
    form: str,
    out: Path | None,
    *,
    everything: bool,
) -> int:
    """Put the records in the folders BEFORE and AFTER side by side.

    Both are verified first. A figure moved only if the interval of its change leaves zero out
    after correction over all figures compared; the same rows are compared row by row. Checks of
    other versions or parameters are not compared. Exit code: 0 when nothing got worse, 1 when a
    figure did, a pass is none any more, or a required rule that was kept is not kept any more, 2
    when nothing compares.
    """
    _refuse_nonsense(keys, trust, out)
    folders = RecordFolder(before), RecordFolder(after)
    reader = build_own_verifier(folders[0])
    verify = partial(_verify, keys=keys, trust=read_trust_policy_option(trust), highest=assurance)
    found, taken = compare_folders(*folders, verify, reader)
    old, new = (_inputs(folder, reader) for folder in folders)
    unverified = "" if keys or trust is not None else UNVERIFIED
    shown = ComparisonView(
        comparison=found, before=old, after=new, taken=taken, unverified=unverified
    )
    if form == "json":
        told = {**found.to_json(), "verified": not unverified, "not_recomputed": list(taken)}
        click.echo(encode_canonical(told).decode())
    else:
        show_comparison(create_console(), shown, everything=everything)
    if out is not None:
        _write(out, RENDERERS[out.suffix](shown))
    return ExitCode.FAILED if found.got_worse else ExitCode.DONE


def _refuse_nonsense(keys: tuple[Path, ...], trust: Path | None, out: Path | None) -> None:
    if out is not None and out.suffix not in RENDERERS:
        raise UsageError(f"{out} is no page", cure="Name a file that ends in .html or .md.")
    if keys and trust is not None:
        raise UsageError(
            "It must be clear whose records to believe", cure="Give --key or --trust, one of them."
        )


def _verify(
    folder: RecordFolder,
    *,
    keys: tuple[Path, ...],
    trust: TrustPolicy | None,
    highest: AssuranceLevel,
) -> tuple[VerificationStep, ...]:
    if trust is not None:
        return verify_record_folder(folder, None, trust, VerifierOptions(highest=highest))
    if not keys:
        return verify_folder(folder, build_own_verifier(folder))
    own = folder.read(SIGNER)
    mine = (path for path in keys if load_public_key(path).pem == own)
    return verify_record_folder(folder, next(mine, keys[0]), None, VerifierOptions(highest=highest))


def _inputs(folder: RecordFolder, reader: RecordVerifier) -> ReportInputs:
    record = folder.record
    policy = load_record_policy(folder, record, reader.load_policy)
    return ReportInputs(record=record, policy=policy, checks=reader.checks, blob=folder.evidence)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", cure="Name another file with --out."
        ) from None
