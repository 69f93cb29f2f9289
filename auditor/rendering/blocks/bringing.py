"""Which observations have a block to show, and whose it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.domain.blocks import Origin, block_of
from auditor.domain.records import Observation
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import check_title

BLOCKS = frozenset({"report.html", "summary.md"})
"""Files that show blocks, or name them."""
OURS = "auditor.checks."
NOBODY = Origin("a package that is not known here", "")


@dataclass(frozen=True, slots=True)
class Brought:
    """One observation whose check brings a block, or may bring one and is not installed here.

    ``origin`` is ``None`` for a check that comes with auditor; ``absent`` says why the check here
    cannot be asked, and is empty where it can.
    """

    seen: Observation
    title: str
    origin: Origin | None
    absent: str = ""

    @property
    def head(self) -> str:
        """The check's title, and the package that brings it where that is another one."""
        return self.title if self.origin is None else f"From {self.origin.name} · {self.title}"

    @property
    def source(self) -> str:
        """The package with its version."""
        return "auditor" if self.origin is None else " ".join(_named(self.origin))


def brought(inputs: RenderedInputs) -> Iterator[Brought]:
    """Yield what has a block, in the record's order."""
    for seen in inputs.record.observations:
        check = inputs.checks.get(seen.check)
        title, origin = check_title(inputs, seen.check), inputs.origins.get(seen.check)
        if check is None:
            yield Brought(seen, title, None, "this check is not installed here")
        elif block_of(check) is not None:
            ours = origin is None and check.__module__.startswith(OURS)
            yield Brought(seen, title, None if ours else origin or NOBODY, _absent(inputs, seen))


def made_by_others(inputs: RenderedInputs) -> tuple[str, ...]:
    """Return the packages whose blocks the report shows, with their versions."""
    sources = {item.source for item in brought(inputs) if item.origin is not None}
    return tuple(sorted(sources))


def _absent(inputs: RenderedInputs, seen: Observation) -> str:
    here = inputs.checks[seen.check].version
    if here != seen.version:
        return f"version {seen.version} of this check measured, and version {here} is installed"
    if seen.committed:
        return "its evidence is committed, so that rows of it can be withheld"
    return ""


def _named(origin: Origin) -> tuple[str, ...]:
    return (origin.name, origin.version) if origin.version else (origin.name,)
