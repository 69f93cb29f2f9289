"""Places that are watched: what may be, what is brought in, once, in order, and what is said."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World, problem

from auditor.errors import ScheduleError, StoreError, UsageError
from auditor.service.domain.schedules import (
    Schedule,
    ScheduledRun,
    ScheduledRunState,
    ScheduleState,
    SkipReason,
    WatchedFile,
    WatchedPlace,
)
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.schedules.batch_collector import BatchCollector
from auditor.service.schedules.context import ScheduleContext
from auditor.service.schedules.manage import ScheduleOrder, change_schedule_state, create_schedule
from auditor.service.schedules.run import submit_due_runs
from auditor.service.schedules.watched_places import WatchRoots, parse_watch_roots
from auditor.service.uploads import UploadStore

NUMBERS = count()
HOME = Path("/home/of/auditor")


class Watched:
    """A schedule that watches a folder, and looks there when a test says so."""

    def __init__(self, world: World, folder: Path) -> None:
        self.folder = folder
        self.at = Scheduled(world, f"watching{next(NUMBERS)}")
        roots = WatchRoots({self.at.project: (str(folder.parent),)})
        self.scheduler: ScheduleContext = replace(self.at.scheduler, roots=roots)
        self.schedule: Schedule | None = None
        self.gatherer = BatchCollector(self.scheduler)

    def begins(self, audit: str | None = None) -> Schedule:
        wish = ScheduleOrder(
            name="watching", asked=None, same=audit or self.at.audit(), cron=None, on=(),
            batch_role="evaluation", watch=str(self.folder),
        )  # fmt: skip
        self.schedule = create_schedule(self.scheduler, self.at.caller, wish)
        return self.schedule

    def writes(self, name: str, text: str = "", came: int = 0) -> Path:
        """Write a file, as if at a second of its own."""
        path = self.folder / name
        path.write_text(text or f"{name} of {self.at.project}\n")
        os.utime(path, (1_700_000_000 + came, 1_700_000_000 + came))
        return path

    def looks(self, times: int = 1) -> None:
        """Look so many times, six seconds apart, and hand in what is due each time."""
        for _ in range(times):
            self.at.clock.move(seconds=6)
            self.gatherer.gather()
            submit_due_runs(self.scheduler)

    def runs(self) -> Sequence[ScheduledRun]:
        """Return the runs, the oldest first."""
        assert self.schedule is not None
        found = self.scheduler.runs.of_schedule(self.schedule.id, None, 50)[0]
        return sorted(found, key=lambda run: (run.at, run.why))

    def said(self) -> str:
        (run,) = self.runs()
        assert (run.state, run.trigger) == (ScheduledRunState.SKIPPED, ScheduleTrigger.BATCH)
        return run.detail


@pytest.fixture
def watched(world: World, tmp_path: Path) -> Watched:
    folder = tmp_path / "incoming"
    folder.mkdir()
    return Watched(world, folder)


def test_new_files_are_batches_once_and_in_the_order_in_which_they_came(watched: Watched) -> None:
    watched.writes("before.csv")
    made = watched.begins()
    assert made.triggers == (ScheduleTrigger.BATCH,)
    watched.writes("b.csv", came=1)
    watched.writes("a.csv", came=2)
    watched.writes("c.csv", came=2)
    watched.looks(8)
    runs = watched.runs()
    assert [run.why for run in runs] == [
        f"{name} came in {watched.folder}" for name in ("b.csv", "a.csv", "c.csv")
    ]
    assert {run.state for run in runs} == {ScheduledRunState.RUNNING}
    kept = watched.at.world.service.kept
    audits = [kept.submission(watched.at.project, str(run.audit)) for run in runs]
    brought = [
        {it.file.sha256 for it in audit.order.inputs} for audit in audits if audit is not None
    ]
    for name, files in zip(("b.csv", "a.csv", "c.csv"), brought, strict=True):
        raw = (watched.folder / name).read_bytes()
        assert sha(raw).removeprefix("sha256:") in files
        assert kept.has_upload(watched.at.project, sha(raw))


def test_a_file_that_changes_at_every_look_is_left_alone_and_spoken_of(watched: Watched) -> None:
    watched.begins()
    for number in range(105):
        watched.writes("grows.csv", "row\n" * (number + 1), came=number)
        watched.looks()
    assert "it has changed for 10 minutes, so it is still being written" in watched.said()
    watched.looks(3)
    refused, taken = sorted(watched.runs(), key=lambda run: run.at)
    assert (refused.state, taken.state) == (ScheduledRunState.SKIPPED, ScheduledRunState.RUNNING)


def test_files_that_are_hidden_or_say_that_they_are_unfinished_are_not_seen(
    watched: Watched,
) -> None:
    watched.begins()
    for name in (".hidden.csv", "a.csv.part", "b.tmp", "c.PARTIAL"):
        watched.writes(name)
    (watched.folder / "folder").mkdir()
    watched.looks(4)
    assert watched.runs() == []


def test_a_link_out_of_the_folder_is_not_followed(watched: Watched, tmp_path: Path) -> None:
    watched.begins()
    secret = tmp_path / "secret"
    secret.write_text("a key")
    (watched.folder / "data.csv").symlink_to(secret)
    watched.looks(4)
    assert watched.said() == "it is a link, and links are not followed"
    assert not watched.at.world.service.kept.has_upload(watched.at.project, sha(b"a key"))


def test_a_pipe_an_empty_file_and_a_name_that_is_no_text_are_spoken_of(watched: Watched) -> None:
    watched.begins()
    os.mkfifo(watched.folder / "pipe.csv")
    watched.writes("empty.csv").write_text("")
    (watched.folder / "new\nline.csv").write_text("x")
    watched.looks(4)
    assert {run.why.split(" came")[0]: run.detail for run in watched.runs()} == {
        "pipe.csv": "it is not a regular file",
        "empty.csv": "it is empty",
        r"'new\nline.csv'": "its name is not a single line of printable text",
    }


def test_a_file_that_cannot_be_read_is_spoken_of_and_keeps_no_other_up(watched: Watched) -> None:
    watched.begins()
    watched.scheduler = replace(watched.scheduler, intake=_small(watched.scheduler.intake))
    watched.gatherer = BatchCollector(watched.scheduler)
    watched.writes("large.csv", "x" * 2000, came=1)
    watched.writes("small.csv", came=2)
    watched.looks(4)
    large, small = sorted(watched.runs(), key=lambda run: run.why)
    assert large.skipped is SkipReason.REFUSED
    assert "has 2000 bytes; the limit is 1000" in large.detail
    assert small.state is ScheduledRunState.RUNNING


def _small(intake: UploadStore) -> UploadStore:
    return replace(intake, most=1000)


def test_a_file_that_there_is_no_room_for_is_taken_once_there_is(watched: Watched) -> None:
    watched.begins()
    free = watched.scheduler
    full = replace(free, intake=replace(free.intake, quota=1))
    has = watched.writes("waits.csv").stat().st_size
    for scheduler in (full, free):
        watched.scheduler = scheduler
        watched.gatherer = BatchCollector(scheduler)
        watched.looks(4)
    put_off, taken = sorted(watched.runs(), key=lambda run: run.at)
    assert (put_off.state, taken.state) == (ScheduledRunState.SKIPPED, ScheduledRunState.RUNNING)
    said = rf"waits\.csv has {has} bytes, but project .+ already uses \d+ bytes, and its limit is 1"
    assert re.fullmatch(said, put_off.detail)


class Locked:
    """A folder of which one file cannot be fetched, as of a bucket with an object in the cold."""

    def __init__(self, folder: WatchedPlace, locked: str) -> None:
        self.folder, self.locked = folder, locked

    def files(self) -> Sequence[WatchedFile]:
        return self.folder.files()

    def reading(self, file: WatchedFile) -> AbstractContextManager[Iterator[bytes]]:
        if file.name == self.locked:
            raise StoreError("403 for old.csv", cure="Ask whoever keeps the bucket.")
        return self.folder.reading(file)


class LockedRoots(WatchRoots):
    """The roots of a service, with a file that cannot be fetched in each place."""

    def place(self, project: str, named: str) -> WatchedPlace:
        return Locked(super().place(project, named), "old.csv")


def test_a_file_that_cannot_be_fetched_keeps_no_other_up_and_is_spoken_of_once(
    watched: Watched,
) -> None:
    watched.begins()
    roots = LockedRoots(watched.scheduler.roots.allowed)
    watched.scheduler = replace(watched.scheduler, roots=roots)
    watched.gatherer = BatchCollector(watched.scheduler)
    watched.writes("old.csv", came=1)
    watched.writes("young.csv", came=2)
    watched.looks(6)
    old, young = sorted(watched.runs(), key=lambda run: run.why)
    assert (old.state, old.detail) == (ScheduledRunState.SKIPPED, "403 for old.csv")
    assert young.state is ScheduledRunState.RUNNING


def test_the_same_bytes_under_another_name_are_no_other_batch(watched: Watched) -> None:
    watched.begins()
    watched.writes("a.csv", "same\n", came=1)
    watched.writes("b.csv", "same\n", came=2)
    watched.looks(6)
    first, second = sorted(watched.runs(), key=lambda run: run.why)
    assert first.state is ScheduledRunState.RUNNING
    assert second.skipped is SkipReason.SAME_BEFORE
    assert second.detail.endswith(f"an earlier batch: a.csv came in {watched.folder}")


def test_a_file_that_is_written_anew_is_another_batch(watched: Watched) -> None:
    watched.begins()
    watched.writes("a.csv", "one\n", came=1)
    watched.looks(4)
    watched.writes("a.csv", "two\n", came=2)
    watched.looks(4)
    assert [run.state for run in watched.runs()] == [ScheduledRunState.RUNNING] * 2


def test_what_comes_while_a_schedule_rests_is_past_in_its_place_too(watched: Watched) -> None:
    made = watched.begins()
    change_schedule_state(watched.scheduler, watched.at.caller, made.id, ScheduleState.PAUSED)
    watched.writes("meanwhile.csv")
    watched.looks(4)
    change_schedule_state(watched.scheduler, watched.at.caller, made.id, ScheduleState.ACTIVE)
    watched.looks(4)
    assert watched.runs() == []
    watched.writes("later.csv")
    watched.looks(4)
    assert [run.why for run in watched.runs()] == [f"later.csv came in {watched.folder}"]


def test_a_place_that_is_gone_is_spoken_of_once(watched: Watched) -> None:
    watched.begins()
    watched.folder.rmdir()
    watched.looks(5)
    assert watched.said() == f"{watched.folder} cannot be watched: No such file or directory"


def test_a_folder_that_became_a_link_is_not_followed(watched: Watched, tmp_path: Path) -> None:
    watched.begins()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "theirs.csv").write_text("not ours\n")
    watched.folder.rmdir()
    watched.folder.symlink_to(elsewhere)
    watched.looks(5)
    assert "cannot be watched" in watched.said()
    assert not watched.at.world.service.kept.has_upload(watched.at.project, sha(b"not ours\n"))


ROOTS = parse_watch_roots(("/srv/batches", "other=/srv/theirs", "s3://bucket/in/"), HOME)


@pytest.mark.parametrize(
    "named",
    [
        "/srv/batches", "/srv/batches/", "/srv/batches/july/", "/srv/batches//july",
        "s3://bucket/in", "s3://bucket/in/july",
    ],
)  # fmt: skip
def test_a_place_at_or_below_one_that_is_named_may_be_watched(named: str) -> None:
    assert ROOTS.place("default", named) is not None


@pytest.mark.parametrize(
    "named",
    [
        "/", "/etc", "/srv", "/srv/batches2", "/srv/batches/../theirs", "srv/batches",
        "/srv/theirs", "//srv/batches", "/srv/batches/\n", "s3://bucket", "s3://bucket/inner",
        "s3://bucket/in/../out", "s3://bucket/in//x", "s3://key:secret@bucket/in", "file:///srv",
        "http://bucket/in", "",
    ],
)  # fmt: skip
def test_no_other_place_may_be_watched(named: str) -> None:
    with pytest.raises(ScheduleError, match="is not an allowed place to watch"):
        ROOTS.place("default", named)


def test_a_place_is_of_one_project_alone() -> None:
    assert ROOTS.place("other", "/srv/theirs/in") is not None
    with pytest.raises(ScheduleError):
        ROOTS.place("other", "/srv/batches")


@pytest.mark.parametrize("theirs", ["/srv/batches/risk", "/srv/batches", "/srv"])
def test_no_place_of_a_project_lies_in_that_of_another(theirs: str) -> None:
    with pytest.raises(UsageError, match="overlap"):
        parse_watch_roots(("/srv/batches", f"risk={theirs}"), HOME)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batches", "is not a place to watch"),
        ("=/srv", "is not a place to watch"),
        ("/home/of/auditor/blobs", "the folder of the service's own files"),
        ("/home/of", "the folder of the service's own files"),
        ("/", "the folder of the service's own files"),
        ("s3://audits/kept/ab", "the folder of the service's own files"),
        ("s3://audits", "the folder of the service's own files"),
    ],
)
def test_nobody_lets_the_services_own_files_be_watched(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_watch_roots((text,), HOME, "s3://audits/kept")


def test_a_service_that_names_no_place_lets_none_be_watched(world: World, tmp_path: Path) -> None:
    asked = {"name": "w", "same_as": world.done, "batch_role": "evaluation",
             "watch": str(tmp_path)}  # fmt: skip
    told = problem(world.call("POST", "/v1/schedules", json=asked))
    assert told["type"].endswith("/schedule_invalid")
    assert "--watch-root" in told["cure"]
