"""Rate limiter for callers of a service: so many calls in a time."""

import math
import time
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from auditor.errors import RateLimitError
from auditor.service.domain.access import ServiceLimits

MINUTE, HOUR = 60, 3600
HOST_BITS = 64
READS = frozenset({"GET", "HEAD", "OPTIONS", "PUT"})
"""Verbs that count as reading: a file that is sent counts by its bytes."""

SAID = {
    "reads": "read requests",
    "writes": "write requests",
    "upload": "bytes of uploads",
    "failures": "requests without a valid API key",
}


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """What is left of a limit: so many of so many in a window, all of it after ``seconds``."""

    name: str
    most: int
    window: int
    left: int
    seconds: int


class RateLimiter:
    """Counts in this process what callers ask, in a window that moves with the time.

    Who asks is a key's id or an address; what is counted of one is nothing to another.
    """

    def __init__(self, rations: ServiceLimits) -> None:
        self.keys = rations.keys
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limits = {
            name: RateLimitItemPerSecond(most, window, name)
            for name, most, window in (
                ("reads", rations.reads, MINUTE),
                ("writes", rations.writes, MINUTE),
                ("upload", rations.upload, HOUR),
                ("failures", rations.failures, MINUTE),
            )
            if most
        }

    def call(self, who: str, method: str) -> RateLimitState | None:
        """Count a call, and say what is left; ``None`` for no limit. Raises ``RateLimitError``."""
        return self._take("reads" if method in READS else "writes", who, 1)

    def bytes(self, who: str, count: int) -> None:
        """Count bytes of an upload. Raises ``RateLimitError``; these are not counted then."""
        if count:
            self._take("upload", who, count)

    def failure(self, address: str) -> None:
        """Count a call without a key that holds. Raises ``RateLimitError``."""
        self._take("failures", address, 1)

    def _take(self, name: str, who: str, cost: int) -> RateLimitState | None:
        item = self._limits.get(name)
        if item is None:
            return None
        taken = self._limiter.hit(item, who, cost=cost)
        stats = self._limiter.get_window_stats(item, who)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        left = RateLimitState(name, item.amount, item.multiples, stats.remaining, seconds)
        if not taken:
            raise RateLimitError(
                f"more than {left.most} {SAID[name]} in {left.window} seconds",
                cure=(
                    f"Try again in {seconds} seconds, or ask the operator of the "
                    "service for a higher limit."
                ),
                name=name,
                seconds=seconds,
            )
        return left


def normalize_address(host: str | None) -> str:
    """Return what calls from one place are counted under: IPv6 by the network, as one has many."""
    try:
        found = ip_address(host or "")
    except ValueError:
        return "(unknown)"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> HOST_BITS << HOST_BITS)}/{HOST_BITS}"
    return str(found)
