"""Compare two records, and list figures that moved beyond their intervals."""

from pathlib import Path

import click

from auditor.cli.compare_output import show_comparison
from auditor.cli.input_paths import KEY_FILE, RECORD_FOLDER, TRUST_POLICY
from auditor.cli.main import ExitCode
from auditor.cli.trust_options import assurance_option
from auditor.domain.json import encode_canonical
from auditor.domain.policies import AssuranceLevel
from auditor.errors import UsageError
from auditor.reports.folder import RecordFolder
from auditor.reports.formats.comparison_html import render_comparison_html
from auditor.reports.formats.comparison_markdown import render_comparison_markdown
from auditor.reports.terminal import create_console
from auditor.workflows.compare import compare_verified_folders

RENDERERS = {".html": render_comparison_html, ".md": render_comparison_markdown}


@click.command("compare")
@click.argument("before", type=RECORD_FOLDER)
@click.argument("after", type=RECORD_FOLDER)
@click.option(
    "--key",
    "keys",
    type=KEY_FILE,
    multiple=True,
    help="Public key of the signer. Repeat --key if the records have two signers.",
)
@click.option("--trust", type=TRUST_POLICY, help="A trust policy instead of keys.")
@assurance_option
@click.option("--all", "everything", is_flag=True, help="Also show figures that did not move.")
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
    """Compare the records in the folders BEFORE and AFTER.

    Both records are verified first. A figure counts as moved only if the interval of its change,
    corrected over all compared figures, excludes zero. Identical rows are compared row by row.
    Checks with other versions or parameters are not compared. Exit code: 0 when no figure got
    worse; 1 when a figure got worse, the verdict is no longer a pass, or a required rule no longer
    passes; 2 when there is nothing to compare; 3 when a changed declaration left figures
    uncompared.
    """
    if out is not None and out.suffix not in RENDERERS:
        raise UsageError(
            f"{out} is not an HTML or Markdown file", cure="Name a file that ends in .html or .md."
        )
    shown = compare_verified_folders(
        RecordFolder(before), RecordFolder(after), keys, trust, assurance
    )
    if form == "json":
        click.echo(encode_canonical(shown.to_json()).decode())
    else:
        show_comparison(create_console(), shown, everything=everything)
    if out is not None:
        text = RENDERERS[out.suffix](shown)
        try:
            out.write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(
                f"{out} cannot be written: {error.strerror}", cure="Name another file with --out."
            ) from None
    if shown.comparison.got_worse:
        return ExitCode.FAILED
    return ExitCode.INCONCLUSIVE if shown.comparison.undecided else ExitCode.DONE
