"""The decision in one sentence, and what would decide what is open, in one place."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.verdicts import Outcome, Verdict
from auditor.rendering.cards import Card
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import count
from auditor.rendering.runs import SHORT
from auditor.rendering.scopes import subject_of

MAY: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "may be deployed",
        Verdict.FAIL: "may not be deployed",
        Verdict.INCONCLUSIVE: "may not be deployed yet",
    }
)
MOST_QUESTIONS, MOST_NAMED = 40, 12
SILENT = "Nothing in the record says what would decide it; read the finding."


def decision(inputs: RenderedInputs, until: str) -> str:
    """Say what may be deployed, on what, under which policy, until when, and who says so."""
    record, request = inputs.record, inputs.record.request
    words = f"{subject_of(record)} {MAY[record.verdict]} on {_targets(inputs)}"
    words += f" under {request.policy.name} {request.policy.version}"
    if record.verdict is Verdict.PASS:
        words += f" until {until}" if until else ", which sets no end to it"
    return f"{words}, says {_signer(inputs)}."


def _targets(inputs: RenderedInputs) -> str:
    names = [target.name for target in inputs.record.request.targets]
    if len(names) < 2:  # noqa: PLR2004 -- one alone needs no list
        return "".join(names) or "no target"
    return f"{', '.join(names[:-1])} and {names[-1]} together"


def _signer(inputs: RenderedInputs) -> str:
    """Name the key by its first digits, as far as one compares by eye."""
    digits = inputs.signer.removeprefix("sha256:")[:SHORT]
    return f"key {digits}" if digits else "a signer whom the record does not name"


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """One thing that would decide rules, the cards of these rules, and how many more there are."""

    what: str
    cards: tuple[Card, ...]
    more: int


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """What would decide what is open, ``more`` not shown; ``lead`` sums up what rows would do."""

    lead: str
    questions: tuple[OpenQuestion, ...]
    more: int


def open_questions(cards: Sequence[Card], most: int) -> OpenQuestions | None:
    """Gather what would decide the rules that are open, or nothing where none is.

    Only the first ``most`` cards are in the page, so only they are pointed at.
    """
    undecided = [card for card in cards if card.finding.outcome is Outcome.UNKNOWN]
    if not undecided:
        return None
    there = frozenset(card.anchor for card in cards[:most])
    asked: dict[str, list[Card]] = {}
    for card in undecided:
        asked.setdefault(card.remedy or card.would_decide or SILENT, []).append(card)
    questions = tuple(_question(what, of, there) for what, of in asked.items())
    shown = tuple(item for item in questions if item.cards)[:MOST_QUESTIONS]
    return OpenQuestions(_lead(undecided), shown, len(questions) - len(shown))


def _question(what: str, of: Sequence[Card], there: Container[str]) -> OpenQuestion:
    shown = tuple(card for card in of if card.anchor in there)[:MOST_NAMED]
    return OpenQuestion(what, shown, len(of) - len(shown))


def _lead(undecided: Sequence[Card]) -> str:
    rows = [found for card in undecided if (found := _rows(card.finding.would_decide))]
    said = f"{_rules(len(undecided))} open."
    if not rows:
        return f"{said} More rows alone would decide none of them."
    return (
        f"{said} About {count(max(rows))} rows would decide {len(rows)} of them, if the figures "
        "stay where they are."
    )


def _rules(number: int) -> str:
    return "1 rule is" if number == 1 else f"{number} rules are"


def _rows(needed: Mapping[str, Json] | None) -> int:
    rows = None if needed is None else needed.get("rows")
    return round(rows) if isinstance(rows, int | float) and not isinstance(rows, bool) else 0
