"""Carries submissions through, whatever dies meanwhile (DBOS on SQLite or PostgreSQL)."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine

from auditor.engines.durable.library import library
from auditor.engines.durable.posts import Post
from auditor.engines.durable.steps import CONTROL, KILLER, defined, queue_of
from auditor.engines.durable.turns import Queued, next_turn
from auditor.engines.durable.work import Work, attempt
from auditor.refusals import EngineError

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
        self, post: Post, work: Work, owner: Callable[[str], str] = lambda _submission: ""
    ) -> None:
        """Work at a post; ``owner`` says whose a submission is: owners take turns in queues."""
        self._post = post
        self._work = work
        self._owner = lru_cache(maxsize=OWNERS)(owner)
        self._adding = threading.Lock()
        self._library = library()
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
        self._audit = defined(self._library, self._work, post.polling, self._in_turn)
        free = [*([CONTROL] if post.control else []), *map(queue_of, post.offered)]
        slots = {queue_of(target): post.slots for target in post.targets}
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
            turn = attempt(self._turn, queue, submission)
            first = 1  # where nobody can say whose it is: what raises here would end a submission
            with self._library.SetEnqueueOptions(priority=turn if isinstance(turn, int) else first):
                yield

    def _turn(self, queue: str, submission: str) -> int:
        return next_turn(self._owner(submission), self._queued(queue))

    def _queued(self, queue: str) -> tuple[Queued, ...]:
        # In a context of its own: the question is no step of the submission that asks.
        found = Context().run(
            self._dbos.list_workflows,
            queue_name=queue, status=["ENQUEUED", "PENDING"], load_input=False, load_output=False,
        )  # fmt: skip
        return tuple(
            Queued(
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
