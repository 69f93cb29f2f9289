"""Who watches an audit, and says nothing."""

from auditor.domain.checks import Check
from auditor.domain.observed_checks import Result


class Nobody:
    """Watches, and says nothing."""

    def started(self, target: str, check: Check) -> None:
        pass

    def advanced(self, done: int, total: int, note: str = "") -> None:
        pass

    def ended(self, target: str, check: Check, result: Result) -> None:
        pass
