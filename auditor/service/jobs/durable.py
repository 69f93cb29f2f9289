"""Durable job engine: workflows and fair queues on DBOS with SQLite or PostgreSQL.

Submissions continue after any process dies. DBOS reads and writes only JSON, never pickles. Owners
in a queue take turns; the jobs of one owner keep their order.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from auditor.errors import EngineError, MissingExtraError, suggest_install
from auditor.service.jobs.liveness import AdvisoryLocks, FileLocks, LivenessLocks
from auditor.service.jobs.work import StepFailure, SubmissionWork, attempt_step
from auditor.store.database import PATIENCE, configure_connection, create_private_file

CONTROL = "ctl"
DEATHS = 20
"""How many processes may die over one submission before it is given up."""
KILLER = StepFailure(
    f"the process that carried it out died more than {DEATHS} times",
    "See the service's log, and submit it again on another machine.",
)
Taking = Callable[[str, str], AbstractContextManager[object]]
"""Gives what is put into a target's queue, for a submission, its turn there."""
Said = list[str] | None
"""The problem and the cure of a step that failed, as JSON has them."""


def build_queue_name(target: str) -> str:
    """Return the name of the queue from which executors for a target take their work."""
    return f"t.{target}"


def define_workflow(
    dbos: Any,  # noqa: ANN401 -- DBOS's
    work: SubmissionWork,
    polling: float,
    in_turn: Taking,
) -> Callable[[str], None]:
    """Define the steps to DBOS, under names that stay, and return what a submission starts.

    A step never raises: what went wrong is what it gives, so that it is written down as JSON and
    read back as it was, and so that all that is raised here is DBOS's own.
    """
    workflow, step = dbos.DBOS.workflow, dbos.DBOS.run_step
    one = workflow(name="target", max_recovery_attempts=DEATHS)(_target(step, work))

    def audit(submission: str) -> None:
        planned = step({"name": "plan"}, _planned, work, submission)
        plan = planned.get("plan", [])
        said: Said = planned.get("failed") or _on_all(
            dbos, (one, in_turn), submission, plan, polling
        )
        said = said or step({"name": "conclude"}, _done, work.conclude, submission)
        if said is not None:
            stubborn = {"name": "failed", "retries_allowed": True, "max_attempts": 5}
            step(stubborn, work.failed, submission, *said)

    wrapped: Callable[[str], None] = workflow(name="audit", max_recovery_attempts=DEATHS)(audit)
    return wrapped


def _target(step: Any, work: SubmissionWork) -> Callable[[str, str, list[str]], Said]:  # noqa: ANN401
    def on_target(submission: str, target: str, checks: list[str]) -> Said:
        for check in checks:
            said: Said = step(
                {"name": f"observe {check}"}, _done, work.observe, submission, target, check
            )
            if said is not None:
                return said
        return None

    return on_target


def _on_all(
    dbos: Any,  # noqa: ANN401 -- DBOS's
    queued: tuple[Any, Taking],
    submission: str,
    plan: list[tuple[str, list[str]]],
    polling: float,
) -> Said:
    """Have all targets worked through at once; the first that fails ends the others."""
    handles, (one, in_turn) = [], queued
    for target, checks in plan:
        queue = build_queue_name(target)
        with in_turn(queue, submission), dbos.SetWorkflowID(f"{submission}.{target}"):
            handles.append(dbos.DBOS.enqueue_workflow(queue, one, submission, target, checks))
    for handle in handles:
        said = _awaited(dbos, handle, polling)
        if said is not None:
            dbos.DBOS.cancel_workflows([other.workflow_id for other in handles])
            return said
    return None


def _planned(work: SubmissionWork, submission: str) -> dict[str, Any]:
    plan = attempt_step(work.plan, submission)
    if isinstance(plan, StepFailure):
        return {"failed": [plan.problem, plan.cure]}
    return {"plan": [[target, list(checks)] for target, checks in plan]}


def _done(step: Callable[..., None], *args: str) -> Said:
    failed = attempt_step(step, *args)
    return [failed.problem, failed.cure] if isinstance(failed, StepFailure) else None


def _awaited(dbos: Any, handle: Any, polling: float) -> Said:  # noqa: ANN401 -- both are DBOS's
    """Wait for a target's steps; processes that died too often over them are a failure too."""
    try:
        said: Said = handle.get_result(polling_interval_sec=polling)
    except dbos.error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded:
        return [KILLER.problem, KILLER.cure]
    return said


SQLITE = "sqlite:///"
PRIVATE_FOLDER = 0o700
KEEPALIVE = {
    "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
}  # fmt: skip
SETTINGS = (
    f"PRAGMA busy_timeout = {PATIENCE}", "PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = ON",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """The place of one process among those that share the engine's ``database`` (its URL).

    ``executor`` is the name of the process: no two may have the same at once. It works for
    ``targets``, ``slots`` checks at a time, and, with ``control``, takes submissions in hand. What
    is on the targets ``offered`` it takes too, any number at a time, and hands it on to others: it
    does not say that it works for them. ``polling`` is in seconds; ``schema`` is the engine's own
    in PostgreSQL, and ``locks`` the folder in which processes on SQLite show that they live.
    """

    database: str
    executor: str
    targets: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    control: bool = True
    slots: int = 1
    polling: float = 0.3
    schema: str = "auditor_engine"
    locks: Path | None = None

    @property
    def url(self) -> URL:
        """The database's URL with its driver. Raises ``EngineError`` for what is none."""
        if self.database.startswith(SQLITE) and len(self.database) > len(SQLITE):
            return URL.create("sqlite", database=self.database.removeprefix(SQLITE))
        try:
            url = make_url(self.database)
        except ArgumentError:
            url = URL.create("unknown")
        if url.get_backend_name() != "postgresql":
            raise EngineError(
                "the engine's URL names no database that it can use",
                cure="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
            )
        return url.set(drivername="postgresql+psycopg")

    def engine(self) -> Engine | None:
        """Make the private file and its connections; ``None`` for PostgreSQL, where DBOS does."""
        url = self.url
        if url.get_backend_name() != "sqlite":
            return None
        path = Path(str(url.database))
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        create_private_file(path)
        engine = create_engine(url)
        event.listen(engine, "connect", _prepare)
        return engine

    def liveness(self) -> LivenessLocks:
        """Return the locks by which processes at this database show that they live."""
        url = self.url
        if url.get_backend_name() == "sqlite":
            if self.locks is None:
                raise EngineError("no folder of locks is named", cure="Name one beside the file.")
            return FileLocks(self.locks)
        connections = create_engine(url, poolclass=NullPool, connect_args=KEEPALIVE)
        return AdvisoryLocks(connections, self.schema)


def _prepare(connection: object, _record: object) -> None:
    """Ask for the writer's place at the start of a transaction, and wait for others."""
    connection.isolation_level = "IMMEDIATE"  # type: ignore[attr-defined]  # the driver's own type
    configure_connection(connection, SETTINGS)


def load_dbos() -> Any:  # noqa: ANN401 -- a module whose decorators have no types
    """Return DBOS without its pickles: a row that names them would run code, whatever we write.

    Raises ``MissingExtraError`` where it is not installed.
    """
    try:
        import dbos  # noqa: PLC0415 -- heavy and optional
        from dbos._serialization import DefaultSerializer  # noqa: PLC0415 -- the same
    except ImportError as error:
        raise MissingExtraError(
            f"the durable engine is not installed ({error.name or error})",
            cure=f"{suggest_install('server')}.",
        ) from error
    for name in ("serialize", "deserialize"):
        setattr(DefaultSerializer, name, _refused)
    logging.getLogger("dbos").addFilter(_worth_a_line)
    return dbos


def _worth_a_line(line: logging.LogRecord) -> bool:
    """Whether a line says more than that somebody cancelled a submission, and all stopped."""
    raised = line.exc_info[0] if line.exc_info else None
    return raised is None or "Cancelled" not in raised.__name__


def _refused(*_: object) -> None:
    raise EngineError(
        "a row of the engine's database is pickled, and nothing of ours ever is",
        cure="See who else may write to that database.",
    )


LAST = 2**31 - 1
"""The last turn that the engine's queues know."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """What waits or runs, whose it is, and its turn: those with less come first."""

    owner: str
    turn: int
    running: bool


def next_turn(owner: str, queue: Sequence[QueueEntry]) -> int:
    """Return the turn of what an owner adds to a queue.

    It is one after the last that the owner has there, and never before those that others have had:
    the turn of what was taken last, or, where nothing runs, of what is taken next. So each owner
    has one in a turn, whoever brought how much before, and who was not there gains nothing by that.
    """
    running = [it.turn for it in queue if it.running]
    now = max(running) if running else min((it.turn for it in queue), default=1)
    own = [it.turn for it in queue if it.owner == owner]
    return min(max(now, *(it + 1 for it in own), 1), LAST)


VERSION = "auditor-engine-1"
"""The version of the steps: only processes of one version go on with each other's work."""
LOOK = 0.5
"""Seconds after which executors look whether another one died."""
OWNERS = 10_000
"""Of so many submissions it is remembered whose they are, which is never another."""
STUCK = ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
LOG = logging.getLogger("auditor.engine")


class DurableEngine:
    """The engine of this process: one at a time, since DBOS keeps its state in the process.

    A submission is planned, then each of its targets is worked through by an executor for that
    target, a step a check, and then it is concluded. Steps that were done are never done again; a
    step that was interrupted is. Raises ``MissingExtraError`` where DBOS is not installed.
    """

    def __init__(
        self,
        post: EngineConfig,
        work: SubmissionWork,
        owner: Callable[[str], str] = lambda _submission: "",
    ) -> None:
        """Work at a post; ``owner`` says whose a submission is: owners take turns in queues."""
        self._post = post
        self._work = work
        self._owner = lru_cache(maxsize=OWNERS)(owner)
        self._adding = threading.Lock()
        self._library = load_dbos()
        self._liveness = post.liveness()
        self._database: Engine | None = None
        self._ended = threading.Event()
        self._guard = threading.Thread(target=self._look_after, name="auditor-guard", daemon=True)
        self._audit: Callable[[str], None] | None = None

    @property
    def _dbos(self) -> Any:  # noqa: ANN401 -- a class without types
        return self._library.DBOS

    def launch(self) -> None:
        """Begin to work. Raises ``EngineError`` where another process has the same name."""
        self._liveness.hold(self._post.executor, self._post.targets)
        try:
            self._begin()
        except Exception as error:
            self.stop(0)
            raise EngineError(
                f"the engine cannot start: {type(error).__name__}: {error}",
                cure="See that its database is running and that you may write to it.",
            ) from error
        self._guard.start()

    def stop(self, drain_seconds: int) -> None:
        """Take no more work, wait for what is in hand, and leave the rest to others.

        A step that does not end in time goes on in its thread; what it keeps later counts.
        """
        self._ended.set()
        if self._guard.is_alive():
            self._guard.join()
        self._dbos.destroy(destroy_registry=True, workflow_completion_timeout_sec=drain_seconds)
        if self._database is not None:
            self._database.dispose()
        self._liveness.release()

    def submit(self, submission: str) -> None:
        """Have a submission carried out, once however often it is submitted.

        Raises ``EngineError`` where the engine was not launched.
        """
        if self._audit is None:
            raise EngineError("the engine is not running", cure="Launch it first.")
        with self._library.SetWorkflowID(submission):
            self._dbos.enqueue_workflow(CONTROL, self._audit, submission)

    def cancel(self, submission: str) -> None:
        """Stop before the next check; a submission that has ended stays as it is."""
        self._dbos.cancel_workflow(submission, cancel_children=True)

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Return those of ``targets`` for which a process lives, this one or another."""
        return self._liveness.live(targets)

    def _begin(self) -> None:
        post = self._post
        self._database = post.engine()
        self._library.DBOS(config=self._config())
        self._audit = define_workflow(self._library, self._work, post.polling, self._in_turn)
        free = [*([CONTROL] if post.control else []), *map(build_queue_name, post.offered)]
        slots = {build_queue_name(target): post.slots for target in post.targets}
        queues: dict[str, int | None] = {**dict.fromkeys(free), **slots}
        self._dbos.listen_queues(list(queues))
        self._dbos.launch()
        for name, at_once in queues.items():
            self._dbos.register_queue(
                name,
                worker_concurrency=at_once,
                polling_interval_sec=post.polling,
                on_conflict="always_update",
            )

    @contextmanager
    def _in_turn(self, queue: str, submission: str) -> Iterator[None]:
        """Give what is put into a queue in the block its turn; what is there already keeps its own.

        One at a time, so that what comes at once has turns one after another.
        """
        with self._adding:
            turn = attempt_step(self._turn, queue, submission)
            first = 1  # where nobody can say whose it is: what raises here would end a submission
            with self._library.SetEnqueueOptions(priority=turn if isinstance(turn, int) else first):
                yield

    def _turn(self, queue: str, submission: str) -> int:
        return next_turn(self._owner(submission), self._queued(queue))

    def _queued(self, queue: str) -> tuple[QueueEntry, ...]:
        # In a context of its own: the question is no step of the submission that asks.
        found = Context().run(
            self._dbos.list_workflows,
            queue_name=queue, status=["ENQUEUED", "PENDING"], load_input=False, load_output=False,
        )  # fmt: skip
        return tuple(
            QueueEntry(
                self._owner(str(item.workflow_id).partition(".")[0]),
                int(item.priority or 0),
                item.status == "PENDING",
            )
            for item in found
        )

    def _config(self) -> dict[str, Any]:
        post = self._post
        return {
            "name": "auditor",
            "system_database_url": post.url.render_as_string(hide_password=False),
            "system_database_engine": self._database,
            "dbos_system_schema": post.schema,
            "application_version": VERSION,
            "executor_id": post.executor,
            "serializer": self._library.DBOSPortableJSONSerializer(),
            "enable_otlp": False,
            "log_level": "ERROR",
            "scheduler_polling_interval_sec": 3600.0,
        }

    def _look_after(self) -> None:
        """Let living executors go on with what dead ones had in hand, until this one ends."""
        while not self._ended.wait(LOOK):
            try:
                self._liveness.beat()
                self._go_on()
                self._give_up()
            except Exception:
                LOG.exception("executor %s could not look after the others", self._post.executor)

    def _go_on(self) -> None:
        running = self._dbos.list_workflows(status="PENDING", load_input=False, load_output=False)
        others = {str(item.executor_id) for item in running} - {self._post.executor}
        for name in sorted(others):
            with self._liveness.dead(name) as dead:
                if dead:
                    LOG.warning("executor %s is dead: its work goes on elsewhere", name)
                    # What is public would start cancelled work too, and forget how often it died.
                    self._dbos._recover_pending_workflows([name])  # noqa: SLF001

    def _give_up(self) -> None:
        if not self._post.control:
            return
        for item in self._dbos.list_workflows(
            status=STUCK, name="audit", load_input=False, load_output=False
        ):
            LOG.error("submission %s is given up", item.workflow_id)
            self._work.failed(item.workflow_id, KILLER.problem, KILLER.cure)
            self._dbos.delete_workflow(item.workflow_id, delete_children=True)
