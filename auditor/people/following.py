"""Waivers that are in force follow each audit: what ended just now is judged again with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from auditor.clock import written
from auditor.domain.people import DecisionKind
from auditor.errors import AuditorError
from auditor.people.panels import Panel
from auditor.people.rejudging import waived_by_now
from auditor.store.service.rejudged import Ended

BACK = timedelta(days=1)
"""How far each look goes back: an audit is kept some time after the time at which it ended."""


@dataclass(slots=True)
class Follower:
    """Judges again what ended without a pass and was not seen before, where a waiver is for it."""

    panel: Panel
    seen: frozenset[str] = field(default_factory=frozenset)

    def follow(self) -> None:
        """Look once. What fails is not tried again, and is judged when the waiver is sent again.

        Raises as ``waived_now``, once every project had its turn.
        """
        panel = self.panel
        since = written(datetime.fromisoformat(panel.clock()).astimezone(UTC) - BACK)
        projects = panel.people.deciding(DecisionKind.WAIVER)
        found = panel.rejudged.unpassed(projects, since) if projects else ()
        fresh = [item for item in found if item.submission not in self.seen]
        self.seen = frozenset(item.submission for item in found)
        failures = []
        for project in dict.fromkeys(item.project for item in fresh):
            try:
                _follow(panel, project, [item for item in fresh if item.project == project])
            except AuditorError as error:
                failures.append(error)
        if failures:
            raise failures[0]


def _follow(panel: Panel, project: str, fresh: Sequence[Ended]) -> None:
    for model in dict.fromkeys(item.model for item in fresh):
        waived_by_now(panel, project, model)
