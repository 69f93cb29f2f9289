"""What a service does not audit, and says so before anything runs."""

from collections.abc import Iterator

from auditor.domain.auditfiles import AuditFile
from auditor.refusals import SubmissionError


def refuse_unserved(file: AuditFile, *, allow_recipes: bool, compared: bool = False) -> None:
    """Raise ``SubmissionError`` for an audit file that asks for what no service does.

    ``allow_recipes`` is the leave of whoever runs the service, which an author cannot give. One
    that is ``compared`` with a record that was named beside it takes that, and not its own.
    """
    for setting, cure in _unserved(file, allow_recipes=allow_recipes, compared=compared):
        raise SubmissionError(f"{file.source}: {setting} is not for a service", cure=cure)


def _unserved(file: AuditFile, *, allow_recipes: bool, compared: bool) -> Iterator[tuple[str, str]]:
    here = "Remove it, or audit on your own machine."
    if file.recipe is not None and not allow_recipes:
        yield (
            "recipe",
            "It runs code: remove it, or let the service be started with --allow-recipes.",
        )
    if file.recipe is not None and file.recipe.unsandboxed:
        yield "recipe.allow: unsandboxed", "Write `allow: true`: code runs within bubblewrap there."
    if file.disclosure is not None:
        yield "disclosure", here
    if file.baseline is not None and not compared:
        yield "baseline", "Name a record of the service beside it, by its digest."
    if file.waivers:
        yield "waivers", "Remove them, and judge the record again with the waivers."
