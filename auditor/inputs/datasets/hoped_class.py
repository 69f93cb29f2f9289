"""Guesses which class people hope for by the meaning of the names of classes."""

import re
from collections.abc import Sequence

from auditor.domain.column_names import split_name
from auditor.domain.guesses import Confidence

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
        "abusive", "anomaly", "arrears", "arrested", "attrition", "bad", "bankrupt", "bankruptcy",
        "block", "blocked", "cancer", "chargeback", "churn", "churned", "death", "deceased",
        "decline", "declined", "default", "defaulted", "defaulter", "defective", "delinquency",
        "delinquent", "denied", "deny", "died", "disease", "dropout", "fail", "failed", "faulty",
        "fraud", "fraudulent", "hateful", "ineligible", "late", "malicious", "malignant", "malware",
        "mortality", "overdue", "phishing", "readmission", "readmit", "readmitted", "recidivism",
        "refuse", "refused", "reject", "rejected", "reoffended", "scam", "sick", "spam", "toxic",
        "unpaid", "unqualified",
    }
)  # fmt: skip
"""Names of classes and columns that are outcomes people hope for, and that they fear."""
TWO = 2
DENIALS = frozenset({"not", "no", "non"})
AFFIRMED = {"yes": "no", "y": "n", "1": "0", "true": "false", "t": "f"}
"""Names that say that something is so, each with its opposite."""


def guess_favourable(
    classes: Sequence[str], column: str | None = None
) -> tuple[str | None, Evidence]:
    """Return the class that people hope for by the meaning of its name, if that is clear, and why.

    Names such as `yes` and `1` say only that something is so: what, the ``column`` of labels says.
    """
    unknown = "no file says which class people hope for; fairness rules rest on it: check it"
    meant = {name: _weigh_name(name) for name in classes}
    good = [name for name, meaning in meant.items() if meaning > 0]
    bad = [name for name, meaning in meant.items() if meaning < 0]
    if len(good) == 1 and bad:
        return good[0], ("the meaning of the names of the classes", Confidence.MEDIUM)
    if len(classes) == TWO and len(good) + len(bad) == 1:
        hoped = good or [name for name in classes if name not in bad]
        said = f"the meaning of the name {(good or bad)[0]!r}"
        return hoped[0], (said, Confidence.MEDIUM)
    affirmed = [name for name in classes if name.lower() in AFFIRMED]
    rest = [name for name in classes if name not in affirmed]
    if not (len(affirmed) == len(rest) == 1 and rest[0].lower() == AFFIRMED[affirmed[0].lower()]):
        return None, (unknown, Confidence.LOW)
    told = 0 if column is None else _weigh_column(column)
    if not told:
        return affirmed[0], (unknown, Confidence.LOW)
    attitude = "hope for" if told > 0 else "fear"
    words = f"the column {column!r} is named as what people {attitude}, and {affirmed[0]!r} says it"
    return (affirmed if told > 0 else rest)[0], (f"{words} is so", Confidence.MEDIUM)


def _weigh_column(name: str) -> int:
    """Return 1 for the name of a column of good outcomes, -1 for that of bad ones, else 0."""
    words = split_name(name)
    told = (not words.isdisjoint(GOOD)) - (not words.isdisjoint(BAD))
    return told if words.isdisjoint(DENIALS) else -told


def _weigh_name(name: str) -> int:
    """Return 1 for the name of a good outcome, -1 for that of a bad one, else 0."""
    words = re.findall(r"[a-z]+", name.lower())
    if len(words) > 1 and words[0] in DENIALS:
        return -_weigh_name(" ".join(words[1:]))
    text = " ".join(words)
    return (text in GOOD) - (text in BAD)
