"""Before an audit: open the target, time a few rows, and say what can be had for how much."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from auditor.domain.canonical import Json
from auditor.domain.checks import Check, refused
from auditor.domain.datasets import Role
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject, permutation
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array
from auditor.engines.affording import Allowance
from auditor.engines.openers import Openers
from auditor.engines.subjects import open_subject
from auditor.errors import AuditorError, InvalidInputError
from auditor.needs import lacking, unmet
from auditor.planning.plan import plan
from auditor.planning.plans import AuditPlan, Outlook
from auditor.preparing import Prepared

TIMED_ROWS = 64


def cost(prepared: Prepared, openers: Openers) -> Mapping[str, AuditPlan]:
    """Return the plan of each target, by name.

    Opens the artifact where a check needs it, and sends at most ``TIMED_ROWS`` rows a few times to
    learn the pace; nothing is measured. Raises ``InvalidInputError`` as an audit would.
    """
    return {spec.name: _plan(prepared, spec, openers) for spec in prepared.request.targets}


def _plan(prepared: Prepared, spec: TargetSpec, openers: Openers) -> AuditPlan:
    wants = partial(prepared.wants_twin, spec)
    with open_subject(spec, prepared.materials, openers, twin=wants) as subject:
        bears = Allowance(spec, prepared.size, prepared.request.budget)
        pace = _seconds_a_query(subject)  # by which it is told what the target can bear
        gaps = (
            (
                check.id,
                unmet(check, subject)
                or _refused(check, subject)
                or bears.over(check, subject.model, subject.bench, subject.twin),
            )
            for check in prepared.checks
        )
        lacks = {check.id: lacking(check, subject) for check in prepared.checks}
        outlook = Outlook(
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
    return plan(prepared.policy, {check.id: check for check in prepared.checks}, outlook)


def _refused(check: Check, subject: Subject) -> Gap | None:
    try:
        return refused(check, subject)
    except InvalidInputError:
        raise
    except Exception:  # noqa: BLE001 -- lost meanwhile, or broken: the audit says so of the check
        return None


def _model(prepared: Prepared) -> dict[str, Json]:
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
    dataset = subject.datasets.get(Role.EVALUATION)
    if dataset is None or dataset.inputs is None:
        return None
    rows = permutation(subject.audit_seed, dataset.rows)[:TIMED_ROWS]
    return dataset.inputs[rows]
