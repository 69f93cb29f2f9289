"""Plans an audit: opens the target, times a few rows, and estimates costs and decidable rules."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from auditor.checks.measure import get_check_parameters, instantiate_check
from auditor.checks.requirements import find_unmet_need, list_unmet_needs
from auditor.domain.baselines import LAST
from auditor.domain.check_subject import Subject, seeded_permutation
from auditor.domain.checks import Check, find_refusal_gap
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import AuditorError, InvalidInputError
from auditor.policy.plan import AuditPlan, MoreTime, PlanningContext, plan_target
from auditor.store.check_times import CheckTimeStore
from auditor.workflows.baseline import is_baseline_stored
from auditor.workflows.earlier_times import EarlierTimes, find_times
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.engine.time_allowance import TimeAllowance
from auditor.workflows.local_audit import LocalAudit
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.settings import AuditorSettings

TIMED_ROWS = 64
SECONDS_A_REPORT = 3.0
"""What judging, drawing and signing a report are taken to need."""
STEP_MINUTES, MOST_MINUTES = 10, 240
"""What more time would decide is said in such steps, as far as the largest budget goes."""


def plan_audit(audit: LocalAudit) -> tuple[PreparedAudit, Mapping[str, AuditPlan]]:
    """Return what was prepared for an audit on this machine, and the plan of each target.

    Measures nothing, fetches nothing, and runs no program that a file names. Raises
    ``InvalidInputError`` as an audit would.
    """
    began, settings = time.monotonic(), AuditorSettings.from_environment()
    if audit.file.baseline == LAST and not is_baseline_stored(audit.file, settings.place):
        audit = replace(audit, file=replace(audit.file, baseline=None))
    with audit.prepare() as prepared:
        around = SECONDS_A_REPORT + time.monotonic() - began
        return prepared, build_target_plans(
            prepared, audit.plan_openers, settings.times, around / len(prepared.request.targets)
        )


def build_target_plans(
    prepared: PreparedAudit,
    openers: TargetFactory,
    times: CheckTimeStore | None = None,
    around: float = 0.0,
) -> Mapping[str, AuditPlan]:
    """Return the plan of each target, by name.

    Opens the artifact where a check needs it, and sends at most ``TIMED_ROWS`` rows a few times to
    learn the pace; nothing is measured. ``times`` are those of earlier audits, and an audit takes
    ``around`` seconds a target before it is opened and after the checks. Raises
    ``InvalidInputError`` as an audit would.
    """
    return {
        spec.name: _plan(prepared, spec, openers, times, around)
        for spec in prepared.request.targets
    }


def _plan(
    prepared: PreparedAudit,
    spec: TargetSpec,
    openers: TargetFactory,
    times: CheckTimeStore | None,
    around: float,
) -> AuditPlan:
    began, wants = time.monotonic(), partial(prepared.wants_twin, spec)
    with open_subject(spec, prepared.materials, openers, twin=wants) as subject:
        opened = time.monotonic() - began
        inputs = _inputs(subject)
        if inputs is None or isinstance(subject.model, Gap):
            pace = None
        else:
            pace = _pace(
                partial(subject.model.predict, inputs), len(inputs)
            )  # by which it is told what the target can bear
        gaps = {
            check.id: find_unmet_need(check, subject) or _refused(check, subject)
            for check in prepared.checks
        }
        lacks = {check.id: list_unmet_needs(check, subject) for check in prepared.checks}
        section, earlier = prepared.file.model, _earlier(prepared, subject, times)
        outlook = PlanningContext(
            size=replace(prepared.size, served=spec.served),
            target=spec.name,
            targets=tuple(item.name for item in prepared.request.targets),
            missing={name: gap for name, gap in gaps.items() if gap is not None},
            lacking={name: frozenset(needs) for name, needs in lacks.items()},
            absent={need: gap for needs in lacks.values() for need, gap in needs.items()},
            model={"name": section.name, "version": section.version, "tags": list(section.tags)},
            claims=prepared.request.claims,
            baseline=prepared.file.baseline is not None,
            task=prepared.request.task,
            predictions_only=prepared.request.predictions_only,
            seconds_per_query=pace,
            seconds_per_pass=_seconds_a_pass(subject),
            remembers=subject.remembers,
            earlier=earlier.checks,
            beside=around + opened if earlier.beside is None else earlier.beside,
            price_per_hour=spec.price_per_hour,
            price_per_query=None if spec.endpoint is None else spec.endpoint.price_per_query,
        )
        plan = _plan_within(prepared, prepared.allowance(spec), subject, outlook)
        return replace(plan, more_time=_more_time(prepared, subject, outlook, plan))


def _earlier(
    prepared: PreparedAudit, subject: Subject, times: CheckTimeStore | None
) -> EarlierTimes:
    """Return what earlier audits of the same took, if the target is still what it was then."""
    if times is None:
        return EarlierTimes()
    model = subject.model
    identity = None if isinstance(model, Gap) else model.fingerprint.identity
    return find_times(times, prepared.request, prepared.checks, subject.target, identity)


def _plan_within(
    prepared: PreparedAudit, bears: TimeAllowance, subject: Subject, outlook: PlanningContext
) -> AuditPlan:
    """Return the plan of what can run, as far as the time that is allowed goes."""
    running = [it for it in prepared.checks if it.id not in outlook.missing]
    foreseen = bears.foresee(running, subject)
    rows = {name: it for name, it in foreseen.items() if isinstance(it, int)}
    late = {name: it for name, it in foreseen.items() if isinstance(it, Gap)}
    checks = {it.id: _first_rows(it, rows.get(it.id)) for it in prepared.checks}
    known = replace(
        outlook,
        rows=rows,
        looks={it.id: bears.count_looks(it) for it in running if it.id in rows},
        left_out=len(late),
        missing={**outlook.missing, **late},
    )
    return plan_target(prepared.policy, checks, known)


def _more_time(
    prepared: PreparedAudit, subject: Subject, outlook: PlanningContext, plan: AuditPlan
) -> tuple[MoreTime, ...]:
    """Return what each further ``STEP_MINUTES`` would decide, until all checks have their time."""
    found, known = [], {item.rule for item in plan.decidable}
    bears = prepared.allowance(subject.target)
    for minutes in range(STEP_MINUTES, MOST_MINUTES + 1, STEP_MINUTES):
        if not plan.shortened and not plan.left_out:
            break
        plan = _plan_within(prepared, bears.extend(60.0 * minutes), subject, outlook)
        rules = tuple(it.rule for it in plan.decidable if it.rule not in known)
        if rules:
            found.append(MoreTime(minutes, rules))
            known |= set(rules)
    return tuple(found)


def _first_rows(check: Check, rows: int | None) -> Check:
    """Return the check of so many rows, as far as its time goes."""
    if rows is None:
        return check
    return instantiate_check(type(check), {**get_check_parameters(check), "rows": rows})


def _refused(check: Check, subject: Subject) -> Gap | None:
    try:
        return find_refusal_gap(check, subject)
    except InvalidInputError:
        raise
    except Exception:  # noqa: BLE001 -- lost meanwhile, or broken: the audit says so of the check
        return None


def _seconds_a_pass(subject: Subject) -> float | None:
    inputs = _inputs(subject)
    if inputs is None or isinstance(subject.twin, Gap):
        return None
    twin = subject.twin
    return _pace(lambda: twin.backward(twin.forward(inputs)), len(inputs))


def _pace(ask: Callable[[], object], rows: int) -> float | None:
    try:
        ask()  # the first call pays for what later ones find ready
        began = time.perf_counter()
        ask()
    except InvalidInputError:
        raise
    except AuditorError:  # lost meanwhile, or at a limit of the owner: nobody knows the pace
        return None
    return (time.perf_counter() - began) / rows


def _inputs(subject: Subject) -> Array | None:
    dataset = subject.datasets.get(DatasetRole.EVALUATION)
    if dataset is None or dataset.inputs is None:
        return None
    rows = seeded_permutation(subject.audit_seed, dataset.rows)[:TIMED_ROWS]
    return dataset.inputs[rows]
