"""A guess of a drafted file: the setting, its value, the evidence, and how sure it is."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.json import Json


class Confidence(StrEnum):
    """How sure a guess is: ``high`` is read or measured, ``low`` has no evidence of its own."""

    CONFIRMED = "confirmed"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def mark(self) -> str:
        """The word that introduces the evidence in a comment."""
        marks = {Confidence.CONFIRMED: "confirmed", Confidence.HIGH: "found"}
        return marks.get(self, "guess")

    @property
    def uncertain(self) -> bool:
        """Whether a person should confirm the guess."""
        return self in {Confidence.MEDIUM, Confidence.LOW}


@dataclass(frozen=True, slots=True)
class Guess:
    """A setting of a drafted file, the value that it was given, and why."""

    setting: str
    value: Json
    evidence: str
    confidence: Confidence

    def to_json(self) -> dict[str, Json]:
        """Return the form that `auditor init --format json` prints."""
        return {
            "setting": self.setting,
            "value": self.value,
            "evidence": self.evidence,
            "confidence": self.confidence.value,
        }
