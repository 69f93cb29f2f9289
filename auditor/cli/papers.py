"""The report on paper beside an audit: tried before it runs, and never the end of one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from auditor.domain.checks import Check
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.errors import BrowserMissingError
from auditor.folders import PAPER
from auditor.paper import printed
from auditor.publishing import ReadBlob, inputs_of
from auditor.rendering.report import render_html

Print = Callable[[str], bytes | None]
TRIED = '<!DOCTYPE html><html lang="en"><title>auditor</title><p>Does it print?</p></html>'


@dataclass(frozen=True, slots=True)
class Out:
    """The folder that a report goes to, and what prints it, if it is wanted on paper too."""

    folder: Path
    paper: Print | None = None

    def printed(
        self,
        record: AuditRecord,
        policy: Policy,
        checks: Mapping[str, type[Check]],
        blob: ReadBlob,
    ) -> bytes | None:
        """Return the report as a PDF; nothing where none is wanted, or none could be made."""
        if self.paper is None:
            return None
        return self.paper(render_html(inputs_of(record, policy, checks, blob), on_paper=True))


def ready_to_print(console: Console) -> Print:
    """Return what prints a page, or says why it did not: an audit that ran is not lost by that.

    Raises ``BrowserMissingError`` where not even an empty page can be printed.
    """
    printed(TRIED)

    def print_page(page: str) -> bytes | None:
        try:
            return printed(page)
        except (BrowserMissingError, OSError) as error:
            console.print(f"{PAPER} is not written: {error}", highlight=False, markup=False)
            return None

    return print_page
