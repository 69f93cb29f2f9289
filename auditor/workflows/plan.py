"""Before an audit: open the target, time a few rows, and say what can be had for how much."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from auditor.checks.requirements import find_unmet_need, list_unmet_needs
from auditor.domain.checks import Check, find_refusal_gap
from auditor.domain.datasets import DatasetRole
from auditor.domain.json import Json
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject, seeded_permutation
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import AuditorError, InvalidInputError
from auditor.policy.plan import AuditPlan, PlanningContext, plan_target
from auditor.workflows.engine.subject import open_subject
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.engine.time_allowance import TimeAllowance
from auditor.workflows.prepare import PreparedAudit

TIMED_ROWS = 64


def build_target_plans(prepared: PreparedAudit, openers: TargetFactory) -> Mapping[str, AuditPlan]:
    """Return the plan of each target, by name.

    Opens the artifact where a check needs it, and sends at most ``TIMED_ROWS`` rows a few times to
    learn the pace; nothing is measured. Raises ``InvalidInputError`` as an audit would.
    """
    return {spec.name: _plan(prepared, spec, openers) for spec in prepared.request.targets}


def _plan(prepared: PreparedAudit, spec: TargetSpec, openers: TargetFactory) -> AuditPlan:
    wants = partial(prepared.wants_twin, spec)
    with open_subject(spec, prepared.materials, openers, twin=wants) as subject:
        bears = TimeAllowance(spec, prepared.size, prepared.request.budget)
        pace = _seconds_a_query(subject)  # by which it is told what the target can bear
        gaps = (
            (
                check.id,
                find_unmet_need(check, subject)
                or _refused(check, subject)
                or bears.over(check, subject.model, subject.bench, subject.twin),
            )
            for check in prepared.checks
        )
        lacks = {check.id: list_unmet_needs(check, subject) for check in prepared.checks}
        outlook = PlanningContext(
            size=replace(prepared.size, served=spec.served),
            target=spec.name,
            targets=tuple(item.name for item in prepared.request.targets),
            missing={name: gap for name, gap in gaps if gap is not None},
            lacking={name: frozenset(needs) for name, needs in lacks.items()},
            absent={need: gap for needs in lacks.values() for need, gap in needs.items()},
            model=_model(prepared),
            claims=prepared.request.claims,
            baseline=prepared.file.baseline is not None,
            seconds_per_query=pace,
            seconds_per_pass=_seconds_a_pass(subject),
            price_per_hour=spec.price_per_hour,
            price_per_query=None if spec.endpoint is None else spec.endpoint.price_per_query,
        )
    return plan_target(prepared.policy, {check.id: check for check in prepared.checks}, outlook)


def _refused(check: Check, subject: Subject) -> Gap | None:
    try:
        return find_refusal_gap(check, subject)
    except InvalidInputError:
        raise
    except Exception:  # noqa: BLE001 -- lost meanwhile, or broken: the audit says so of the check
        return None


def _model(prepared: PreparedAudit) -> dict[str, Json]:
    section = prepared.file.model
    return {"name": section.name, "version": section.version, "tags": list(section.tags)}


def _seconds_a_query(subject: Subject) -> float | None:
    inputs = _inputs(subject)
    if inputs is None or isinstance(subject.model, Gap):
        return None
    return _pace(partial(subject.model.predict, inputs), len(inputs))


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
