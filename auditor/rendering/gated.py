"""What a gate found, for a CI system: a page of steps, and an annotation for each that fails."""

from collections.abc import Iterable, Sequence

from auditor.domain.steps import Step, StepResult
from auditor.rendering.annotations import Annotation, Kind
from auditor.rendering.locations import POLICY, Location
from auditor.rendering.summary import escape_markdown, grid

SHUTS = frozenset({StepResult.FAILED, StepResult.WITHHELD})


def gate_page(steps: Sequence[Step], words: str, *, opens: bool) -> str:
    """Return what a gate says, as Markdown; nothing that was looked at opens nothing."""
    rows = [
        (f"**{step.result}**", escape_markdown(step.name), escape_markdown(step.detail))
        for step in steps
    ]
    lines = [f"# Gate: {'open' if opens else 'shut'}", "", *([words, ""] if words else [])]
    return "\n".join([*lines, *grid(("Result", "Step", "What was looked at"), rows)]) + "\n"


def gate_annotations(
    steps: Iterable[Step],
    where: Location | None,
    *,
    opens: bool,
    policy: Location | None = None,
) -> list[Annotation]:
    """Return an error for each step that keeps the gate shut, and at least one where it is.

    What is wrong with the policy stands at ``policy``, where that is known, and else at ``where``.
    """
    at = {POLICY: policy or where}
    found = [
        Annotation(Kind.ERROR, f"auditor gate: {step.name}", step.detail, at.get(step.name, where))
        for step in steps
        if step.result in SHUTS
    ]
    if not opens and not found:
        found.append(Annotation(Kind.ERROR, "auditor gate", "The gate is shut.", where))
    return found
