"""Roles of keys: what a key may sign."""

from enum import StrEnum


class KeyRole(StrEnum):
    """What a key signs: one thing, so that no signature can pass for one of another kind."""

    REPORT = "report"
    LEDGER = "ledger"
    MODEL = "model"
    TRUST = "trust"
    DECISION = "decision"
    AGENT = "agent"
