"""Verification guide of a record's folder: a page of commands, and one offline script."""

import hashlib
from functools import lru_cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from auditor._resources import find_shipped_folder
from auditor.domain.digests import Digest
from auditor.domain.record_scope import find_bound_artifact
from auditor.reports.formats.markdown import escape_markdown
from auditor.reports.html.verdict import build_verify_command
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import ReportFormat, encode_text

FOLDER = "bundle"
GUIDE = "VERIFY.md"
VERIFIER = "verify.py"


def render_guide(inputs: ReportInputs) -> str:
    """Return ``VERIFY.md``, with the record's own digests.

    Commands hold digests and fixed names alone: no name that somebody chose gets into a shell.
    """
    record, script = inputs.record, read_offline_verifier()
    request, artifact = record.request, find_bound_artifact(record)
    files = () if artifact is None else sorted(artifact.files)
    policy = request.policy
    return _page().render(
        {
            "record": record.digest.hex,
            "verdict": record.verdict.value,
            "verify": build_verify_command(record, ".", '"$KEY"'),
            "model": escape_markdown(f"{request.name} {request.version}"),
            "policy": escape_markdown(f"{policy.name} {policy.version}"),
            "policy_digest": Digest(policy.digest).hex,
            "finished": record.finished,
            "signer": escape_markdown(inputs.signer),
            "files": [(escape_markdown(item.name), item.sha256) for item in files],
            "signed": ".subject[]" if artifact is None else ".subject[0], .subject[2:][]",
            "version": escape_markdown(str(record.tool.get("version", "unknown"))),
            "verifier": hashlib.sha256(script).hexdigest(),
            "verifier_lines": script.count(b"\n"),
        }
    )


def read_offline_verifier() -> bytes:
    """Return ``verify.py``, which needs nothing of this package."""
    return (find_shipped_folder("reports") / FOLDER / VERIFIER).read_bytes()


@lru_cache(maxsize=1)
def _page() -> Template:
    # Markdown, not HTML: what may be hostile is escaped for it where it is told.
    pages = Environment(  # noqa: S701
        loader=FileSystemLoader(find_shipped_folder("reports") / FOLDER),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return pages.get_template("VERIFY.md.j2")


FORMATS = (
    ReportFormat("guide", GUIDE, lambda inputs: encode_text(render_guide(inputs)), kept=True),
    ReportFormat("verifier", VERIFIER, lambda _: read_offline_verifier(), kept=True),
)
