"""Evaluation context of a policy: the audit's facts, and whether policy and rules apply."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from auditor.domain.baselines import Baseline, MeasurementConditions
from auditor.domain.budgets import Budget
from auditor.domain.json import Json
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.readings import Reading
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.waivers import Waiver, WaiverSubject
from auditor.errors import ConditionError
from auditor.policy.cel import ABOUT_MODEL, compile_condition, convert_to_doubles
from auditor.policy.evaluate.baseline import BaselineReadings, index_baseline_readings

ReadingsAt = Callable[[float], Sequence[Reading]]
"""The same readings, in the same order, at any confidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingContext:
    """The level that rules are judged at, the targets, the model, its claims, and the effort.

    ``served`` names the targets that are endpoints or cascades; ``task`` is the declared kind, and
    ``predictions_only`` says that no model was given.
    ``waivers`` are those whose signatures hold, and count ``now``: when the record was finished.
    ``request`` is what was asked; a policy's test has none, and keeps no pins.
    ``baseline`` is what limits may be taken from, ``under`` how the readings here were measured.
    """

    confidence: float
    targets: tuple[str, ...]
    name: str
    version: str
    tags: tuple[str, ...] = ()
    claims: Mapping[str, Json] = field(default_factory=dict)
    budget: Budget
    assurance: AssuranceLevel
    artifact: str | None = None
    waivers: tuple[Waiver, ...] = ()
    now: str = ""
    served: frozenset[str] = frozenset()
    baseline: Baseline | None = None
    under: MeasurementConditions = field(default_factory=MeasurementConditions)
    request: AuditRequest | None = None
    task: str = "classification"
    predictions_only: bool = False

    def against(self, record: AuditRecord | None, under: MeasurementConditions) -> "JudgingContext":
        """Return the context with a record as its baseline, if any, and how was measured here."""
        return replace(self, baseline=None if record is None else Baseline.of(record), under=under)

    def precedents(self) -> BaselineReadings | None:
        """Return the figures of the baseline by where they lie, where there is one."""
        if self.baseline is None:
            return None
        same = self.budget is self.baseline.budget
        return index_baseline_readings(
            self.baseline, self.name, self.under, self.confidence, same_budget=same
        )

    def audited(self, policy: Policy) -> WaiverSubject:
        """Return what waivers are held against."""
        return WaiverSubject(self.name, self.artifact, policy.name, policy.digest)

    def bindings(self, params: Mapping[str, Json], target: str) -> dict[str, Json]:
        """Return what conditions may know before anything was measured."""
        return {
            "params": params,
            "model": {"name": self.name, "version": self.version, "tags": list(self.tags)},
            "claims": self.claims,
            "target": target,
            "served": target in self.served,
            "task": self.task,
            "predictions_only": self.predictions_only,
        }


def build_judging_context(
    request: AuditRequest,
    assurance: AssuranceLevel,
    confidence: float,
    waivers: tuple[Waiver, ...] = (),
    now: str = "",
) -> JudgingContext:
    """Return what judging knows of an audit that was asked for by ``request``.

    ``waivers`` are those that the request names; somebody has verified their signatures.
    """
    return JudgingContext(
        confidence=confidence,
        targets=tuple(target.name for target in request.targets),
        name=request.name,
        version=request.version,
        tags=request.tags,
        claims=request.claims,
        budget=request.budget,
        assurance=assurance,
        artifact=None if request.artifact is None else request.artifact.digest,
        waivers=waivers,
        now=now,
        served=frozenset(target.name for target in request.targets if target.served),
        request=request,
        task=request.task,
        predictions_only=request.predictions_only,
    )


@dataclass(frozen=True, slots=True)
class TargetContext:
    """A target, what conditions may know of it, and whether one holds; each is asked once.

    ``precedents`` are the figures of a baseline, where one is given.
    """

    context: JudgingContext
    target: str
    values: Mapping[str, Json]
    whether: Callable[[str], bool | ConditionError]
    precedents: BaselineReadings | None = None


def build_target_context(
    context: JudgingContext,
    params: Mapping[str, Json],
    target: str,
    before: BaselineReadings | None = None,
) -> TargetContext:
    """Return what is asked of a target, under a policy with these params."""
    bindings = context.bindings(params, target)
    values = {name: convert_to_doubles(value) for name, value in bindings.items()}

    @cache
    def whether(text: str) -> bool | ConditionError:
        try:
            return compile_condition(text, ABOUT_MODEL).answer(values)
        except ConditionError as mistake:
            return mistake

    return TargetContext(context, target, values, whether, before)
