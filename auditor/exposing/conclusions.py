"""What a check of privacy concludes: a leak, nothing that it could have seen, or nothing at all."""

SHOWN = "shown"
NOTHING = "no evidence at this power"
OPEN = "inconclusive"
