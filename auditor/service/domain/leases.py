"""Terms of leases."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """How long things hold, in seconds, and how often a shard may be given back.

    A ``lease`` that is not renewed is over so long after; an agent is ``live`` so long after it was
    heard of; an offer stands for ``offered``, of which others are let go first for ``reserved``.
    """

    lease: int = 30
    live: int = 90
    offered: int = 600
    reserved: int = 3
    failures: int = 3
