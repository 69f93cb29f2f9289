"""A span a step of an audit: its plan, every check, and its end."""

from auditor.engines.durable.work import Plan, Work
from auditor.spans.marking import Spans


class SpannedWork:
    """Work of which every step is spanned, under the audit's id."""

    def __init__(self, work: Work, spans: Spans) -> None:
        self._work = work
        self._spans = spans

    def plan(self, submission: str) -> Plan:
        """Return the targets, and the checks on each, in order."""
        with self._spans.span("plan") as mark:
            mark.say(auditor_audit=submission)
            return self._work.plan(submission)

    def observe(self, submission: str, target: str, check: str) -> None:
        """See what one check sees on one target, and keep it."""
        with self._spans.span(f"check {check}") as mark:
            mark.say(auditor_audit=submission, auditor_target=target, auditor_check=check)
            self._work.observe(submission, target, check)

    def conclude(self, submission: str) -> None:
        """Make of what was seen what the submission is to give."""
        with self._spans.span("conclude") as mark:
            mark.say(auditor_audit=submission)
            self._work.conclude(submission)

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Let the submission end without."""
        self._work.failed(submission, problem, cure)
