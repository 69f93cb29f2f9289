"""What a check of privacy or poisoning may conclude, in the words that all of them use."""

from auditor.domain.readings import Measurement

VERDICT = "verdict"
"""The metric whose value is one of these words."""
SHOWN = "shown"
"""What was found is beyond chance, after correction for all that was tried."""
NOT_SEEN = "no evidence at this power"
"""The tests ran as they should, and found nothing: that proves nothing."""
OPEN = "inconclusive"
"""A gate failed, or there was too little to see anything."""
WEAK = 0.25
"""A check that would not even see an advantage of this size says nothing."""


def is_open(reading: Measurement) -> bool:
    """Return whether a reading is a verdict that decides nothing, and so passes no rule."""
    return reading.metric == VERDICT and reading.value == OPEN
