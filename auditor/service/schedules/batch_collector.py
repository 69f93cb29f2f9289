"""Collects new files of watched places as batches: by digest, once, in the order they came."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from auditor._time import parse_time
from auditor.domain.digests import Digest
from auditor.domain.json import compute_digest
from auditor.errors import (
    InvalidInputError,
    QuotaError,
    StoreError,
    UploadConflictError,
    UploadError,
)
from auditor.service.domain.schedules import DueRun, Schedule, SkipReason, WatchedFile, WatchedPlace
from auditor.service.domain.submissions import UploadKind
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.schedules.context import ScheduleContext, run_each
from auditor.service.schedules.manage import FileReplacement, RunChange
from auditor.service.uploads import UploadSpec

SETTLED = timedelta(seconds=10)
"""A file that two looks so far apart found to be the same is taken to be whole."""
LONG = timedelta(minutes=10)
"""A file that was another at every look for so long is spoken of."""
EMPTY = "it is empty"


@dataclass(slots=True)
class FileSighting:
    """What was seen of a file: its mark, since when it has that, and since when it is there."""

    mark: str
    since: datetime
    first: datetime


@dataclass(slots=True)
class BatchCollector:
    """Looks into the places of schedules again and again, and remembers what it saw last.

    A file counts once it stays the same for ten seconds, an object of a bucket at once. One file of
    a schedule is brought in at each look, and none while the run of the last one has made no audit:
    so they are audited in the order in which they came.
    """

    scheduler: ScheduleContext
    seen: dict[tuple[str, str], FileSighting] = field(default_factory=dict)

    def gather(self) -> None:
        """Look once. Raises what the store raises, after every schedule had its turn."""
        watching = [it for it in self.scheduler.kept.active() if it.watch is not None]
        run_each(watching, self._gather)

    def _gather(self, schedule: Schedule) -> None:
        scheduler = self.scheduler
        if scheduler.runs.waits(schedule.id, ScheduleTrigger.BATCH, scheduler.now()):
            return
        try:
            place = scheduler.roots.place(schedule.project, str(schedule.watch))
            files = place.files()
        except (InvalidInputError, StoreError) as error:
            told = compute_digest(f"{schedule.resumed} {error.problem}".encode())
            _tell(scheduler, schedule, f"place {told}", f"{schedule.watch} is watched",
                  error.problem)  # fmt: skip
            return
        known = scheduler.arrivals.known(schedule.id)
        fresh = [file for file in files if (file.name, file.mark) not in known]
        names = {file.name for file in fresh}
        for key in [it for it in self.seen if it[0] == schedule.id and it[1] not in names]:
            del self.seen[key]
        for file in sorted(fresh, key=lambda item: item.order):
            if self._taken(schedule, place, file):
                return

    def _taken(self, schedule: Schedule, place: WatchedPlace, file: WatchedFile) -> bool:
        """Bring a file in, or say why not, and say whether this look is over."""
        settled = file.whole or bool(file.problem) or self._is_settled(schedule, file)
        problem = file.problem or (EMPTY if settled and not file.size else "")
        if settled and not problem:
            try:
                _bring(self.scheduler, schedule, place, file)
            except (UploadError, UploadConflictError):
                return False  # it changed just now, or somebody else is at it
            except QuotaError as error:
                self._put_off(schedule, file, error.problem)
                return True  # nor is there room for those behind it
            except StoreError as error:
                self._put_off(schedule, file, error.problem)
                return False
            except InvalidInputError as error:
                problem = error.problem
            else:
                return True
        if problem:
            _refuse(self.scheduler, schedule, file, problem)
        return False

    def _put_off(self, schedule: Schedule, file: WatchedFile, problem: str) -> None:
        """Say once why a file is not taken now; it is tried again at every look."""
        told = compute_digest(f"{file.name} {file.mark} {schedule.resumed} {problem}".encode())
        _tell(self.scheduler, schedule, f"put off {told}", _came(schedule, file), problem)

    def _is_settled(self, schedule: Schedule, file: WatchedFile) -> bool:
        key, now = (schedule.id, file.name), parse_time(self.scheduler.now())
        before = self.seen.get(key)
        if before is None or before.mark != file.mark:
            first = now if before is None else before.first
            self.seen[key] = before = FileSighting(file.mark, now, first)
        if now - before.first >= LONG and now - before.since < SETTLED:
            minutes = int(LONG.total_seconds()) // 60
            _tell(self.scheduler, schedule, f"growing {file.name}", _came(schedule, file),
                  f"it has changed for {minutes} minutes, so it is still being "
                  "written; it is read when it stops changing")  # fmt: skip
        return now - before.since >= SETTLED


def _bring(
    scheduler: ScheduleContext, schedule: Schedule, place: WatchedPlace, file: WatchedFile
) -> None:
    """Keep a file as an upload of the project, and put its run down.

    Raises ``UploadError`` for one that changes meanwhile, ``RequestTooLargeError`` and
    ``QuotaError``.
    """
    parcel = UploadSpec(
        project=schedule.project, kind=UploadKind.DATASET, digest="", name=file.name,
        length=file.size,
    )  # fmt: skip
    scheduler.intake.refuse_too_large(parcel)
    hashed = hashlib.sha256()
    with place.reading(file) as chunks:
        for chunk in chunks:
            hashed.update(chunk)
    parcel = replace(parcel, digest=Digest.of_hex(hashed.hexdigest()))
    _keep(scheduler, place, file, parcel)
    put = FileReplacement(path=str(schedule.batch_path), sha256=hashed.hexdigest(), size=file.size)
    due = DueRun(
        key=f"batch {parcel.digest}",
        trigger=ScheduleTrigger.BATCH,
        why=_came(schedule, file),
        change=RunChange(put=put).to_json(),
    )
    run, new = scheduler.runs.claim(schedule.id, due, scheduler.now())
    if not new and run.why != due.why:
        _tell(scheduler, schedule, f"arrival {file.name} {file.mark}", due.why,
              f"it is identical to an earlier batch: {run.why}",
              SkipReason.SAME_BEFORE)  # fmt: skip
    scheduler.arrivals.note(schedule.id, file, parcel.digest, scheduler.now())


def _keep(
    scheduler: ScheduleContext, place: WatchedPlace, file: WatchedFile, parcel: UploadSpec
) -> None:
    intake = scheduler.intake
    held = intake.held(parcel.project, parcel.kind, parcel.digest)
    if held is not None and held.complete:
        intake.note(parcel)
        return
    done = 0 if held is None else held.offset
    with place.reading(file) as chunks, intake.receiving(replace(parcel, offset=done)) as arriving:
        for chunk in chunks:
            arriving.take(chunk[done:])
            done = max(0, done - len(chunk))


def _refuse(
    scheduler: ScheduleContext, schedule: Schedule, file: WatchedFile, problem: str
) -> None:
    _tell(scheduler, schedule, f"arrival {file.name} {file.mark}", _came(schedule, file), problem)
    scheduler.arrivals.note(schedule.id, file, None, scheduler.now())


def _tell(  # noqa: PLR0913, PLR0917 -- of which run, why it is there, and what is wrong
    scheduler: ScheduleContext,
    schedule: Schedule,
    key: str,
    why: str,
    problem: str,
    skip: SkipReason = SkipReason.REFUSED,
) -> None:
    """Put a run down that makes no audit, once for its key, and say why."""
    due = DueRun(key=key, trigger=ScheduleTrigger.BATCH, why=why, change={})
    scheduler.runs.refused(schedule, due, skip, problem, scheduler.now())


def _came(schedule: Schedule, file: WatchedFile) -> str:
    return f"{file.name} came in {schedule.watch}"
