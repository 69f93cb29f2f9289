"""Durable job engine: workflows and fair queues on DBOS with SQLite or PostgreSQL.

Submissions continue after any process dies. DBOS reads and writes only JSON, never pickles. Owners
in a queue take turns; the jobs of one owner keep their order.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from auditor.errors import EngineError, MissingExtraError, suggest_install
from auditor.service.jobs.job_steps import StepFailure, StepRunner, SubmissionWork, attempt_step
from auditor.service.jobs.liveness_locks import AdvisoryLocks, FileLocks, LivenessLocks
from auditor.store.database import PATIENCE, configure_connection, create_private_file

CONTROL = "ctl"
DEATHS = 20
"""How many processes may die over one submission before it is given up."""
KILLER = StepFailure(
    f"its worker process died more than {DEATHS} times",
    "Read the log of the service, and submit the audit again on another machine.",
)
Observe = Callable[[str, str, str], None]
"""Sees, for a submission, on a target, what a check sees there."""
Said = list[str] | None
"""The problem and the cure of a step that failed, as JSON has them."""


def build_queue_name(target: str) -> str:
    """Return the name of the queue from which executors for a target take their work."""
    return f"t.{target}"


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
    ``targets``, ``slots`` checks at a time, and, with ``control``, takes submissions in hand.
    ``polling`` is in seconds; ``schema`` is the engine's own in PostgreSQL, and ``locks`` the
    folder in which processes on SQLite show that they live.
    """

    database: str
    executor: str
    targets: tuple[str, ...] = ()
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
                "the database URL of the engine is not supported",
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
        "a row of the engine's database contains a pickle, which auditor never writes",
        cure="Check which other programs can write to that database.",
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
APPLICATION = "auditor"
AUDIT = "audit"
"""The name of what carries a submission through."""
LOOK = 0.5
"""Seconds after which executors look whether another one died."""
OWNERS = 10_000
"""Of so many submissions it is remembered whose they are, which is never another."""
STUCK = ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
LOG = logging.getLogger("auditor.engine")


class EngineClient:
    """Hands submissions to the engine's processes, and carries none out itself.

    Raises ``MissingExtraError`` where DBOS is not installed.
    """

    def __init__(self, post: EngineConfig) -> None:
        """Meet the processes at a post's database; one of this very post is known to live."""
        self._post = post
        self._library = load_dbos()
        self._liveness = post.liveness()
        self._database: Engine | None = None
        self._client: Any = None

    def connect(self) -> None:
        """Open the database, which a process that launched has made. Raises ``EngineError``."""
        post = self._post
        try:
            self._database = post.engine()
            self._client = self._library.DBOSClient(
                system_database_url=post.url.render_as_string(hide_password=False),
                system_database_engine=self._database,
                dbos_system_schema=post.schema,
                serializer=self._library.DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
            )
        except Exception as error:
            raise _unusable(error) from error

    def close(self) -> None:
        """Let the database go."""
        if self._client is not None:
            self._client.destroy()
        if self._database is not None:
            self._database.dispose()
        self._liveness.release()

    def submit(self, submission: str) -> None:
        """Have a submission carried out, once however often it is submitted."""
        asked = {
            "queue_name": CONTROL, "workflow_name": AUDIT, "workflow_id": submission,
            "app_version": VERSION,
        }  # fmt: skip
        self._client.enqueue(asked, submission)

    def cancel(self, submission: str) -> None:
        """Stop before the next check; a submission that has ended stays as it is."""
        self._client.cancel_workflow(submission, cancel_children=True)

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        """Return those of ``targets`` for which a process lives."""
        return self._liveness.live(targets) | frozenset(self._post.targets) & frozenset(targets)


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
        steps: StepRunner | None = None,
        offered: Mapping[str, Observe] | None = None,
    ) -> None:
        """Work at a post; ``owner`` says whose a submission is: owners take turns in queues.

        What is on targets that are ``offered`` to others it takes too, any number at a time, and
        waits for them: it does not say that it works for those targets.
        """
        self._post = post
        self._work = work
        self._steps = steps or StepRunner()
        self._offered = offered or {}
        self._owner = lru_cache(maxsize=OWNERS)(owner)
        self._adding = threading.Lock()
        self._library = load_dbos()
        self._liveness = post.liveness()
        self._database: Engine | None = None
        self._ended = threading.Event()
        self._guard = threading.Thread(target=self._look_after, name="auditor-guard", daemon=True)

    @property
    def _dbos(self) -> Any:  # noqa: ANN401 -- a class without types
        return self._library.DBOS

    def launch(self) -> None:
        """Begin to work. Raises ``EngineError`` where another process has the same name."""
        self._liveness.hold(self._post.executor, self._post.targets)
        try:
            post = self._post
            self._database = post.engine()
            self._library.DBOS(
                config={
                    "name": APPLICATION,
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
            )
            self._define_workflows()
            free = [*([CONTROL] if post.control else []), *map(build_queue_name, self._offered)]
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
        except Exception as error:
            self.stop(0)
            raise _unusable(error) from error
        self._guard.start()

    def stop(self, drain_seconds: float) -> None:
        """Begin nothing more, wait for steps in hand, and leave the rest to others.

        A step that does not end in time goes on in its thread; what it keeps later counts.
        """
        self._steps.drain(drain_seconds)
        self._ended.set()
        if self._guard.is_alive():
            self._guard.join()
        self._dbos.destroy(destroy_registry=True, workflow_completion_timeout_sec=0)
        if self._database is not None:
            self._database.dispose()
        self._liveness.release()

    def _define_workflows(self) -> None:
        """Define the steps to DBOS, under names that stay.

        A step never raises: what went wrong is what it gives, so that it is written down as JSON
        and read back as it was, and so that all that is raised here is DBOS's own.
        """
        workflow, step = self._dbos.workflow, self._dbos.run_step

        @workflow(name="target", max_recovery_attempts=DEATHS)  # type: ignore[untyped-decorator]  # DBOS's
        def on_target(submission: str, target: str, checks: list[str]) -> Said:
            see = self._offered.get(target, partial(self._steps.run, self._work.observe))
            for check in checks:
                said: Said = step(
                    {"name": f"observe {check}"}, _done, see, submission, target, check
                )
                if said is not None:
                    return said
            return None

        @workflow(name=AUDIT, max_recovery_attempts=DEATHS)  # type: ignore[untyped-decorator]  # DBOS's
        def audit(submission: str) -> None:
            planned = step({"name": "plan"}, self._planned, submission)
            said: Said = planned.get("failed") or self._on_all(
                on_target, submission, planned.get("plan", [])
            )
            run = self._steps.run
            said = said or step({"name": "conclude"}, _done, run, self._work.conclude, submission)
            if said is not None:
                stubborn = {"name": "failed", "retries_allowed": True, "max_attempts": 5}
                step(stubborn, self._fail, submission, *said)

    def _planned(self, submission: str) -> dict[str, Any]:
        plan = attempt_step(self._steps.run, self._work.plan, submission)
        if isinstance(plan, StepFailure):
            return {"failed": [plan.problem, plan.cure]}
        return {"plan": [[target, list(checks)] for target, checks in plan]}

    def _on_all(self, one: object, submission: str, plan: list[tuple[str, list[str]]]) -> Said:
        """Have all targets worked through at once; the first that fails ends the others."""
        handles = []
        for target, checks in plan:
            queue, name = build_queue_name(target), f"{submission}.{target}"
            with self._in_turn(queue, submission), self._library.SetWorkflowID(name):
                handles.append(self._dbos.enqueue_workflow(queue, one, submission, target, checks))
        for handle in handles:
            try:
                said: Said = handle.get_result(polling_interval_sec=self._post.polling)
            except self._library.error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded:
                said = [KILLER.problem, KILLER.cure]  # processes died too often over its steps
            if said is not None:
                self._dbos.cancel_workflows([other.workflow_id for other in handles])
                return said
        return None

    def _fail(self, submission: str, problem: str, cure: str) -> None:
        with self._steps.turn():
            self._work.failed(submission, problem, cure)

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

    def _look_after(self) -> None:
        """Let living executors go on with what dead ones had in hand, until this one ends."""
        while not self._ended.wait(LOOK):
            try:
                self._liveness.beat()
                self._go_on()
                if self._post.control:
                    for item in self._dbos.list_workflows(
                        status=STUCK, name=AUDIT, load_input=False, load_output=False
                    ):
                        LOG.error("submission %s is given up", item.workflow_id)
                        self._fail(item.workflow_id, KILLER.problem, KILLER.cure)
                        self._dbos.delete_workflow(item.workflow_id, delete_children=True)
            except Exception:
                LOG.exception(
                    "executor %s could not monitor the other executors", self._post.executor
                )

    def _go_on(self) -> None:
        running = self._dbos.list_workflows(status="PENDING", load_input=False, load_output=False)
        others = {str(item.executor_id) for item in running} - {self._post.executor}
        for name in sorted(others):
            with self._liveness.dead(name) as dead:
                if dead:
                    LOG.warning("executor %s is dead; other executors continue its work", name)
                    # What is public would start cancelled work too, and forget how often it died.
                    self._dbos._recover_pending_workflows([name])  # noqa: SLF001


def _done(step: Callable[..., None], *args: object) -> Said:
    failed = attempt_step(step, *args)
    return [failed.problem, failed.cure] if isinstance(failed, StepFailure) else None


def _unusable(error: Exception) -> EngineError:
    return EngineError(
        f"the engine cannot start: {type(error).__name__}: {error}",
        cure="Check that its database runs and that you have write permission.",
    )
