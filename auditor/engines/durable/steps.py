"""The steps of a submission: planned, each target worked through a check at a time, concluded."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from auditor.engines.durable.work import Failure, Work, attempt

CONTROL = "ctl"
DEATHS = 20
"""How many processes may die over one submission before it is given up."""
KILLER = Failure(
    f"the process that carried it out died more than {DEATHS} times",
    "See the service's log, and submit it again on another machine.",
)
Taking = Callable[[str, str], AbstractContextManager[object]]
"""Gives what is put into a target's queue, for a submission, its turn there."""
Said = list[str] | None
"""The problem and the cure of a step that failed, as JSON has them."""


def queue_of(target: str) -> str:
    """Return the name of the queue from which executors for a target take their work."""
    return f"t.{target}"


def defined(
    dbos: Any,  # noqa: ANN401 -- DBOS's
    work: Work,
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


def _target(step: Any, work: Work) -> Callable[[str, str, list[str]], Said]:  # noqa: ANN401
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
        queue = queue_of(target)
        with in_turn(queue, submission), dbos.SetWorkflowID(f"{submission}.{target}"):
            handles.append(dbos.DBOS.enqueue_workflow(queue, one, submission, target, checks))
    for handle in handles:
        said = _awaited(dbos, handle, polling)
        if said is not None:
            dbos.DBOS.cancel_workflows([other.workflow_id for other in handles])
            return said
    return None


def _planned(work: Work, submission: str) -> dict[str, Any]:
    plan = attempt(work.plan, submission)
    if isinstance(plan, Failure):
        return {"failed": [plan.problem, plan.cure]}
    return {"plan": [[target, list(checks)] for target, checks in plan]}


def _done(step: Callable[..., None], *args: str) -> Said:
    failed = attempt(step, *args)
    return [failed.problem, failed.cure] if isinstance(failed, Failure) else None


def _awaited(dbos: Any, handle: Any, polling: float) -> Said:  # noqa: ANN401 -- both are DBOS's
    """Wait for a target's steps; processes that died too often over them are a failure too."""
    try:
        said: Said = handle.get_result(polling_interval_sec=polling)
    except dbos.error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded:
        return [KILLER.problem, KILLER.cure]
    return said
