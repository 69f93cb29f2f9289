"""Scales of a selftest."""

from enum import StrEnum


class SelftestScale(StrEnum):
    """How much of the zoo a selftest visits."""

    QUICK = "quick"
    FULL = "full"
    CURVE = "curve"
