"""Guesses which class people hope for by the meaning of the names of classes."""

import re
from collections.abc import Sequence

from auditor.domain.guesses import Confidence

PAIR = 2
Evidence = tuple[str, Confidence]
GOOD = frozenset(
    {
        "accept", "accepted", "admit", "admitted", "allow", "allowed", "approve", "approved",
        "eligible", "good", "grant", "granted", "hire", "hired", "pass", "passed", "qualified",
        "repaid", "select", "selected",
    }
)  # fmt: skip
BAD = frozenset(
    {
        "bad", "block", "blocked", "declined", "decline", "default", "defaulted", "denied", "deny",
        "fail", "failed", "ineligible", "refuse", "refused", "reject", "rejected", "unqualified",
    }
)  # fmt: skip
"""Names of classes that are outcomes people hope for, and that they fear."""
AFFIRMED = {"yes": "no", "y": "n", "1": "0", "true": "false", "t": "f"}
"""Names that say that something is so, each with its opposite."""


def guess_favourable(classes: Sequence[str]) -> tuple[str | None, Evidence]:
    """Return the class that people hope for by the meaning of its name, if that is clear, and why.

    Names such as `yes` and `1` say only that something is so, not that people hope for it.
    """
    unknown = "no file says which class people hope for; fairness rules rest on it: check it"
    meant = {name: _weigh_name(name) for name in classes}
    good = [name for name, meaning in meant.items() if meaning > 0]
    if len(good) == 1 and any(meaning < 0 for meaning in meant.values()):
        return good[0], ("the meaning of the names of the classes", Confidence.MEDIUM)
    affirmed = [name for name in classes if name.lower() in AFFIRMED]
    rest = {name.lower() for name in classes} - AFFIRMED.keys()
    if len(classes) == PAIR and len(affirmed) == 1 and rest == {AFFIRMED[affirmed[0].lower()]}:
        return affirmed[0], (unknown, Confidence.LOW)
    return None, (unknown, Confidence.LOW)


def _weigh_name(name: str) -> int:
    """Return 1 for the name of a good outcome, -1 for that of a bad one, else 0."""
    words = re.findall(r"[a-z]+", name.lower())
    if len(words) > 1 and words[0] in {"not", "no", "non"}:
        return -_weigh_name(" ".join(words[1:]))
    text = " ".join(words)
    return (text in GOOD) - (text in BAD)
