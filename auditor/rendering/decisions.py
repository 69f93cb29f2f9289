"""What people decided before the record was made: its waivers, used or not, and by whom."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.judging.waiving import Use, Used, uses_of
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.runs import short

HEADER = ("Waiver", "Rule", "What came of it", "Owner", "Approved by", "Until", "Why", "Instead")
AFTER = (
    "Approvals and rejections are signed after this page, over the record's digest: they lie in "
    "the folder approvals/ beside it, and `auditor verify` lists them."
)
WORDS: Mapping[Use, str] = {
    Use.USED: "Used",
    Use.EXPIRED: "Unused: expired",
    Use.EARLY: "Unused: not valid yet",
    Use.FOREIGN: "Unused: for something else",
    Use.UNNEEDED: "Unused: not needed",
    Use.UNMATCHED: "Unused: matches nothing",
}


@dataclass(frozen=True, slots=True)
class Decisions:
    """The part of a report that is about people's decisions."""

    rows: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]
    asked: str
    after: str = AFTER
    header: tuple[str, ...] = HEADER


def decisions(inputs: RenderedInputs) -> Decisions | None:
    """Return what to show; nothing where nobody waived and the policy asks for no approval."""
    found, least = uses(inputs), inputs.policy.approvals
    if not found and not least:
        return None
    people = "1 person" if least == 1 else f"{least} people"
    asked = f"The policy asks that {people} approve this record before it opens a gate."
    return Decisions(
        rows=tuple(_row(item) for item in found),
        warnings=tuple(warning(item) for item in found if item.idle),
        asked=asked if least else "",
    )


def uses(inputs: RenderedInputs) -> tuple[Used, ...]:
    """Return what came of each waiver of the record."""
    return uses_of(inputs.record, inputs.waivers)


def warning(used: Used) -> str:
    """Say that a waiver waived nothing, and why."""
    waiver = used.waiver
    return f"The waiver {waiver.ticket} of {waiver.name} waived nothing: {used.detail}."


def suppression(inputs: RenderedInputs, finding: Finding) -> dict[str, Json]:
    """Return a waived finding's suppression in SARIF (2.1.0, 3.35): accepted elsewhere, by whom."""
    found: dict[str, Json] = {
        "kind": "external",
        "status": "accepted",
        "justification": finding.message,
    }
    waiver = next((it for it in inputs.waivers if it.digest == finding.waiver), None)
    if waiver is not None:
        found["properties"] = {
            "ticket": waiver.ticket,
            "expires": waiver.expires,
            "owner": waiver.owner,
            "approver": waiver.approver,
            "waiver": waiver.digest,
        }
    return found


def _row(used: Used) -> tuple[str, ...]:
    waiver = used.waiver
    return (
        f"{waiver.ticket} ({short(waiver.digest)})",
        waiver.name,
        f"{WORDS[used.use]}, {used.detail}",
        waiver.owner,
        waiver.approver,
        waiver.expires,
        waiver.reason,
        "; ".join(waiver.compensating) or "nothing named",
    )
