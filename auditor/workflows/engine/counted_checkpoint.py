"""A checkpoint that counts on: with each part it keeps what the audit had taken of its target."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from auditor.domain.audit_checkpoint import AuditCheckpoint
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import Gap
from auditor.domain.target_spend import TargetSpend
from auditor.errors import StoreError

COUNTED = "counted when this was remembered"
BEGUN, ENDED = "begun", "ended"


@dataclass(frozen=True, slots=True)
class CountedCheckpoint:
    """The memory of a subject, whose counter stands after a recall where it stood at that part.

    What is recalled takes nothing of the target, and yet counts as it did: so a limit of time cuts
    a resumed audit where it would have cut an undisturbed one. Scores of whole datasets that were
    known by then are known again. Work that was lost counts once, when it is done again.
    """

    subject: Subject

    def recall(self, name: str) -> Evidence | None:
        """Return what was remembered under ``name``, and count on from there.

        A part from before the check was begun (it goes on) counted then, and counts no second time.
        """
        found = dict(self.subject.memory.recall(name) or {})
        counted = cast("dict[str, Any] | None", found.pop(COUNTED, None))
        if counted is None or not all(self._recall_scores(role) for role in counted["clean"]):
            return None
        counter = self.subject.counter
        if TargetSpend(**counted["spent"]).taken >= counter.begun:
            counter.go_on(counted["spent"], self._spent)
        return found

    def remember(self, name: str, evidence: Evidence) -> None:
        """Keep ``evidence`` under ``name``, with what the audit took so far."""
        subject, counter = self.subject, self.subject.counter
        for role in subject.clean.keys() - counter.kept:
            logits = {"logits": subject.logits[role]} if role in subject.logits else {}
            subject.memory.remember(self._own(role), {"scores": subject.clean[role], **logits})
            counter.kept.add(role)
        spent = asdict(counter.read(self._spent))
        counted: Json = {"spent": spent, "clean": [role.value for role in subject.clean]}
        subject.memory.remember(name, {**evidence, COUNTED: counted})

    def begin(self, check: AuditCheckpoint) -> None:
        """Count on from where ``check`` was begun, or else from where the check before it ended.

        So its time is what it was, however fast this process is; and it is that of the whole audit
        where another process saw the earlier checks.
        """
        counter = self.subject.counter
        counter.begun = 0
        if check.recall(BEGUN) is None:
            self.recall(self._own(ENDED))
            with suppress(StoreError):
                check.remember(BEGUN, {})
        counter.begun = counter.read(self._spent).taken

    def end(self) -> None:
        """Let the next check count on from here, whichever process sees it."""
        with suppress(StoreError):
            self.remember(self._own(ENDED), {})

    @property
    def _spent(self) -> TargetSpend:
        return TargetSpend.of_process(self.subject.model, self.subject.bench, self.subject.twin)

    def _own(self, name: str) -> str:
        """Return the name of what all checks on this model share."""
        model = self.subject.model
        identity = "" if isinstance(model, Gap) else model.fingerprint.identity
        return f"{self.subject.target.name} {identity} {name}"

    def _recall_scores(self, name: str) -> bool:
        """Say whether a dataset's scores are known, now that they were looked for."""
        role, subject = DatasetRole(name), self.subject
        if role not in subject.clean:
            found = subject.memory.recall(self._own(role))
            if found is None:
                return False
            subject.clean[role] = cast("Any", found["scores"])
            if "logits" in found:
                subject.logits[role] = cast("Any", found["logits"])
            subject.counter.kept.add(role)
        return True
