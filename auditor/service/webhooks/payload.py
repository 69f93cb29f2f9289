"""Payloads of webhook messages: ids, digests, names and verdicts, without data or error texts."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.failed_rules import list_failed_rules
from auditor.domain.json import Json, encode_canonical
from auditor.domain.record_scope import find_record_scope
from auditor.errors import StoreError
from auditor.service.domain.webhooks import WebhookDelivery, WebhookEvent, WebhookSubscription
from auditor.service.store.schedules import RunStore, ScheduleStore
from auditor.service.store.submission_history import ServiceStore

Said = dict[str, Json]


@dataclass(frozen=True, slots=True)
class PayloadWriter:
    """Writes messages from what is kept; ``public`` is where people reach the service."""

    kept: ServiceStore
    public: str = ""

    def body(self, delivery: WebhookDelivery, hook: WebhookSubscription) -> bytes:
        """Return the body of a message: the same each time, for what it tells of stays so.

        Raises ``StoreError`` where that is not kept.
        """
        make = {
            WebhookEvent.AUDIT_DONE: self._audit,
            WebhookEvent.AUDIT_FAILED: self._audit,
            WebhookEvent.REAUDIT_FAILED: self._run,
            WebhookEvent.SCHEDULE_SKIPPED: self._run,
            WebhookEvent.KEY_ENDED: self._key,
        }[delivery.event]
        said: Mapping[str, Json] = {
            "type": delivery.event.value,
            "timestamp": delivery.at,
            "data": {"project": hook.project, **make(hook.project, delivery.subject)},
        }
        return encode_canonical(said)

    def _audit(self, project: str, name: str) -> Said:
        submission, ending = self.kept.submission(project, name), self.kept.outcome(name)
        if submission is None or ending is None:
            raise _lost(name)
        said: Said = {
            "audit": name,
            "source": submission.order.source,
            "policy": submission.order.policy,
            "targets": list(submission.order.targets),
            "record": ending.record,
            "verdict": None,
            "link": self._link(f"/audits/{name}"),
        }
        return said if ending.record is None else {**said, **self._record(ending.record)}

    def _record(self, digest: str) -> Said:
        with self.kept.store.unit_of_work() as unit:
            there = unit.find_record_by_digest(digest)
        if there is None:
            raise _lost(digest)
        record = there.read()
        artifact = record.request.artifact
        return {
            "model": record.request.name,
            "version": record.request.version,
            "artifact": None if artifact is None else artifact.digest,
            "verdict": record.verdict.value,
            "scope": find_record_scope(record).value,
            "failed": list(list_failed_rules(record)),
        }

    def _run(self, project: str, name: str) -> Said:
        store = self.kept.store
        run = RunStore(store).find(name)
        schedule = None if run is None else ScheduleStore(store).find(project, run.schedule)
        if run is None or schedule is None:
            raise _lost(name)
        said: Said = {
            "schedule": schedule.id,
            "name": schedule.name,
            "model": schedule.model,
            "run": run.id,
            "trigger": run.trigger.value,
            "why": run.why,
            "link": self._link(f"/schedules/{schedule.id}"),
        }
        if run.audit is None:
            return {**said, "skipped": None if run.skipped is None else run.skipped.value}
        # An audit tells of its own first record, and a run of that at which the audit then stood.
        stood: Said = {}
        if run.record is not None:
            stood = {"record": run.record, **self._record(run.record)}
        rollback: Said = {"rollback": [dict(item) for item in run.rollback]}
        return {**said, **self._audit(project, run.audit), **stood, **rollback}

    def _key(self, project: str, name: str) -> Said:
        key = self.kept.key(name)
        if key is None or key.project != project:
            raise _lost(name)
        return {
            "key": key.id,
            "name": key.name,
            "role": key.role.value,
            "link": self._link("/keys"),
        }

    def _link(self, path: str) -> str:
        return self.public.rstrip("/") + path


def _lost(name: str) -> StoreError:
    return StoreError(
        f"{name}, the subject of a webhook message, is not stored", cure="Restore the database."
    )
