"""The slices that are put forward, none of which another explains."""

from dataclasses import dataclass, replace

from auditor.stats.explaining import Bits, Explained, excess_of
from auditor.stats.lattices import Conditions, Count


@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """Slices with their counts, in the order in which they were taken.

    Errors are ``explained`` where each row of the ``total`` has the overall rate, or that of a
    slice on the list in which it lies; what is put on it exceeds that by more standard errors than
    are ``least`` for its number of conditions.
    """

    bits: Bits
    explained: Explained
    total: Count
    least: tuple[float, ...]
    slices: tuple[tuple[Conditions, Count], ...] = ()

    def offered(self, conditions: Conditions) -> "Shortlist":
        """Return the list with a slice, if its errors are not explained.

        So neither parts of a slice nor slices that overlap it follow it, unless they are worse.
        """
        members = self.bits.members(conditions)
        count, expected = self.bits.count(members), self.explained.expected(members)
        if excess_of(count, expected, self.total) <= self.least[len(conditions) - 1]:
            return self
        explained = self.explained.joined(members, count.rate)
        return replace(self, explained=explained, slices=(*self.slices, (conditions, count)))
