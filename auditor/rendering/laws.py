"""The law that a policy rests on: what was read, where, when, and whether that still counted."""

from dataclasses import dataclass
from datetime import date

from auditor.domain.laws import UNREAD, doubt_of
from auditor.domain.policies import LegalDatum
from auditor.rendering.inputs import RenderedInputs


@dataclass(frozen=True, slots=True)
class Law:
    """A fact of law, and how far somebody had read it when the record was finished.

    ``doubt`` says why it could not be relied on that day, and is empty where it could.
    """

    datum: LegalDatum
    doubt: str

    @property
    def read(self) -> str:
        """Say when it was read, and by when it is to be read again."""
        if self.datum.verified == UNREAD:
            return "Nobody has read it at its source."
        return f"Read on {self.datum.verified}, to be read again by {self.datum.review_by}."

    @property
    def warning(self) -> str:
        """Say that it could not be relied on, or nothing."""
        if not self.doubt or self.datum.verified == UNREAD:
            return "Unverified." if self.doubt else ""
        return f"Stale when this was audited: it {self.doubt}."

    @property
    def line(self) -> str:
        """Say all of it in one paragraph."""
        said = f"{self.warning} {self.read}".strip()
        return f"{self.datum.datum}: {self.datum.value}. {said} Source: {self.datum.source}"


def laws(inputs: RenderedInputs) -> tuple[Law, ...]:
    """Return the law that the policy names, as it stood on the day on which the audit ended."""
    ended = inputs.record.finished
    return tuple(Law(datum, _doubt(datum, ended)) for datum in inputs.policy.legal)


def _doubt(datum: LegalDatum, ended: str) -> str:
    try:
        day = date.fromisoformat(ended[:10])
    except ValueError:
        return "was held against no day, since the record names none"
    return doubt_of(datum.verified, datum.review_by, day)
