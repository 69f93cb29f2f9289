"""How versions of models stand: what the gate says of each, under each policy, on each target."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from auditor.domain.record_scopes import RecordScope, scope_of
from auditor.domain.steps import StepResult
from auditor.domain.verdicts import Verdict
from auditor.errors import AuditorError
from auditor.gatekeeping import Answer, Asking, Gatekeeper
from auditor.store.service.audited import policies_of
from auditor.store.service.trends import verdict_on

Version = tuple[str, str]
"""An artifact, by its digest, and a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """What the gate says of a version under a policy on a target, and by which record.

    ``policy`` is a digest, and ``named`` what people call it; ``why`` names the steps that keep the
    gate shut. Lists verify no folder: a gate that is asked does.
    """

    target: str
    policy: str
    named: str
    open: bool
    why: str
    verdict: Verdict
    record: str
    audit: str
    version: str
    finished: str
    scope: RecordScope


def states(
    keeper: Gatekeeper, project: str, versions: Collection[Version]
) -> Mapping[Version, tuple[GateState, ...]]:
    """Return the states of versions under each policy by which a project has records of them.

    Those that were decided last come first. The gate itself is asked, about each.
    """
    if not versions:
        return {}
    lists = replace(keeper, whole=False)
    found: dict[Version, list[GateState]] = {}
    with keeper.kept.store.at_once():
        policies = policies_of(keeper.kept, {artifact for artifact, _ in versions})
        for artifact, target in versions:
            for policy in policies.get(artifact, ()):
                asking = Asking(project=project, artifact=artifact, policy=policy, target=target)
                found.setdefault((artifact, target), []).extend(_state(lists, asking))
    return {
        version: tuple(sorted(told, key=lambda it: it.finished, reverse=True))
        for version, told in found.items()
    }


def _state(keeper: Gatekeeper, asking: Asking) -> Iterator[GateState]:
    """Yield the state that is asked for, if there is a record of it that can be read."""
    try:
        answer = keeper.ask(asking)
    except AuditorError:
        return  # files that are lost open no gate, and say nothing
    target, record = str(asking.target), answer.read
    if answer.record is None or answer.submission is None or record is None:
        return
    yield GateState(
        target=target,
        policy=asking.policy,
        named=f"{record.request.policy.name} {record.request.policy.version}",
        open=answer.open,
        why="; ".join(_shut(answer)),
        verdict=verdict_on(record, target),
        record=answer.record,
        audit=answer.submission,
        version=record.request.version,
        finished=record.finished,
        scope=scope_of(record, target),
    )


def _shut(answer: Answer) -> Iterator[str]:
    yield from (it.name for it in answer.steps if it.result is StepResult.FAILED)
