"""A project of its own with schedules, whose clock a test moves."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from served_toys import StillEngine, body_of
from served_worlds import World

from auditor._time import format_time
from auditor.service.api.context import ServiceContext
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.schedules import Schedule, ScheduledRun
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.jobs.executor import build_executor
from auditor.service.schedules.context import ScheduleContext
from auditor.service.schedules.manage import ScheduleOrder, create_schedule
from auditor.service.schedules.run import run_due_schedules
from auditor.service.server.assemble import build_schedule_context


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> str:
        return format_time(self.now)

    def move(self, **span: float) -> str:
        self.now += timedelta(**span)
        return self()


@dataclass
class Scheduled:
    """A project whose schedules tick when a test says so; nothing runs by itself."""

    world: World
    project: str
    key: str = ""
    clock: Clock = field(default_factory=Clock)
    scheduler: ScheduleContext = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.world.key(self.project, AccessRole.SUBMITTER)
        self.world.upload_example(self.key)
        self.scheduler = self.beside(self.world.service)

    def beside(self, service: ServiceContext) -> ScheduleContext:
        """Return the schedules of a service, by the clock of this project."""
        desk = replace(service.desk, clock=self.clock)
        gatekeeper = replace(service.gatekeeper, clock=self.clock)
        roots = service.schedules.roots
        return build_schedule_context(desk, gatekeeper, service.intake, roots)

    @property
    def engine(self) -> StillEngine:
        return self.world.engine

    @property
    def caller(self) -> ApiKey:
        found = self.world.service.kept.key(self.key.split("_")[1])
        assert found is not None
        return found

    def call(self, verb: str, path: str, **more: Any) -> Any:  # noqa: ANN401 -- JSON
        answer = self.world.call(verb, path, self.key, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def audit(self, **changes: Any) -> str:  # noqa: ANN401 -- JSON
        """Hand an audit in, which nobody carries out yet."""
        body = body_of(self.world.example, self.world.policy, **changes)
        return str(self.call("POST", "/v1/audits", json=body)["id"])

    def finish(self, audit: str) -> None:
        """Carry an audit out, as an engine does."""
        with_work = build_executor(self.world.place, {})
        for target, checks in with_work.plan(audit):
            for check in checks:
                with_work.observe(audit, target, check)
        with_work.conclude(audit)

    def schedule(self, same: str, cron: str | None = None, *on: ScheduleTrigger) -> Schedule:
        wish = ScheduleOrder(
            name="again", asked=None, same=same, cron=cron, on=on,
            batch_role="evaluation" if ScheduleTrigger.BATCH in on else None,
        )  # fmt: skip
        return create_schedule(self.scheduler, self.caller, wish)

    def runs(self, schedule: Schedule) -> tuple[ScheduledRun, ...]:
        return self.scheduler.runs.of_schedule(schedule.id, None, 50)[0]

    def tick(self, **span: float) -> None:
        self.clock.move(**span)
        run_due_schedules(self.scheduler)

    def bad_batch(self) -> bytes:
        """Return the example's data with every label wrong."""
        flips = {"yes": "no", "no": "yes", "y": "y"}
        lines = (self.world.example / "test.csv").read_text().splitlines()
        parts = (line.rpartition(",") for line in lines)
        return "\n".join(f"{head},{flips[last]}" for head, _, last in parts).encode() + b"\n"
