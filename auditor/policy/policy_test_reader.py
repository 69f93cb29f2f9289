"""Reads policy test files into cases, strictly, with the line of every mistake."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from auditor._yaml import Place, YamlDocument, read_yaml_document, validate_document
from auditor.domain.baselines import Baseline, MeasurementConditions
from auditor.domain.budgets import Budget
from auditor.domain.checks import Check
from auditor.domain.isolation import IsolationLevel
from auditor.domain.json import Json
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.readings import Reading
from auditor.domain.targets import EvidenceLevel
from auditor.errors import PolicyError
from auditor.policy.evaluate.context import JudgingContext
from auditor.policy.policy_test_schema import (
    PolicyTestCaseSchema,
    PolicyTestFileSchema,
)
from auditor.policy.run_policy_tests import (
    NOW,
    CaseReading,
    PolicyTestCase,
    PolicyTests,
    collect_case_readings,
    parse_expectations,
    read_case_waivers,
    remove_readings,
)

LoadPolicy = Callable[[str], Policy]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class _PolicyTestFile:
    """A file of tests with all that its cases are read by."""

    document: YamlDocument
    shape: PolicyTestFileSchema
    policy: Policy
    checks: Mapping[str, type[Check]]

    def error(self, place: Place, problem: str, cure: str) -> PolicyError:
        """Say what is wrong at a place of the file."""
        return PolicyError(f"{self.document.where(place)}: {problem}", cure=cure)


def read_policy_tests(
    raw: bytes, source: str, load_policy: LoadPolicy, checks: Mapping[str, type[Check]]
) -> PolicyTests:
    """Read a file of policy tests; ``load_policy`` loads the policy that it names.

    Raises ``PolicyError`` with file, line and cure.
    """
    document = read_yaml_document(raw, source, PolicyError)
    shape = validate_document(document, PolicyTestFileSchema, PolicyError)
    file = _PolicyTestFile(document, shape, load_policy(shape.policy), checks)
    seen: set[str] = set()
    for index, case in enumerate(file.shape.cases):
        if case.name in seen:
            raise file.error(
                ("cases", index, "name"),
                f"another case is called {case.name!r}",
                "Give each case its own name.",
            )
        seen.add(case.name)
    cases = tuple(_case(file, index, case) for index, case in enumerate(shape.cases))
    return PolicyTests(source, file.policy, cases)


def _case(file: _PolicyTestFile, index: int, shape: PolicyTestCaseSchema) -> PolicyTestCase:
    place: Place = ("cases", index)
    defaults = file.shape.defaults
    model, usual = shape.model, defaults.model
    claims = shape.claims if shape.claims is not None else defaults.claims
    targets = tuple(shape.targets or defaults.targets or ["cpu"])
    # The level of each target: of all alike, or by name; else the most there is
    said = shape.evidence or defaults.evidence
    if isinstance(said, Mapping):
        evidence = {name: said.get(name, EvidenceLevel.VERIFIED) for name in targets}
    else:
        evidence = dict.fromkeys(targets, said or EvidenceLevel.VERIFIED)
    context = JudgingContext(
        confidence=CONFIDENCE,
        targets=targets,
        name=model.name or usual.name or "m",
        version=model.version or usual.version or "1",
        tags=tuple(model.tags if model.tags is not None else usual.tags or ()),
        claims=cast("Mapping[str, Json]", claims or {}),
        budget=shape.budget or defaults.budget or Budget.FULL,
        assurance=AssuranceLevel[shape.assurance or defaults.assurance or "A3"],
        now=shape.now or defaults.now or NOW,
        under=MeasurementConditions(
            evidence=evidence,
            isolation=_isolation(shape.isolation or defaults.isolation, targets),
        ),
        served=frozenset(shape.served if shape.served is not None else defaults.served or ()),
        task=shape.task or defaults.task or "classification",
        predictions_only=bool(
            defaults.predictions_only if shape.predictions_only is None else shape.predictions_only
        ),
    )
    leave = read_case_waivers(shape.waivers, file.policy, context, (*place, "waivers"), file.error)
    context = replace(context, waivers=tuple(leave), baseline=_baseline(file, index, context))
    given = tuple(_given(file, index, shape))
    readings = remove_readings(
        collect_case_readings(given, file.checks, context.targets[0], file.document),
        shape.remove,
        file.document,
        (*place, "remove"),
    )
    _require_targets(file, place, readings, context.targets)
    outcomes = parse_expectations(
        shape.expect.outcomes, file.policy, context.targets, file.document, (*place, "expect")
    )
    return PolicyTestCase(
        shape.name, file.document.where(place), readings, context, outcomes, shape.expect.verdict
    )


def _require_targets(
    file: _PolicyTestFile, place: Place, readings: Sequence[Reading], targets: Sequence[str]
) -> None:
    """Raise a ``PolicyTestError`` for a reading on a target that its case does not have."""
    for at, reading in enumerate(readings):
        if reading.target not in targets:
            raise file.error(
                place,
                f"a reading of {reading.check} ({at}) is on {reading.target}, which the case lacks",
                f"Its targets are {', '.join(targets)}.",
            )


def _baseline(file: _PolicyTestFile, index: int, context: JudgingContext) -> Baseline | None:
    """Return the baseline of a case, as one of the same model at the same budget."""
    shapes = file.shape.cases[index].baseline
    if shapes is None:
        return None
    given = [
        CaseReading(shape, ("cases", index, "baseline", at)) for at, shape in enumerate(shapes)
    ]
    return Baseline(
        name=context.name,
        version="baseline",
        digest="",
        budget=context.budget,
        readings=collect_case_readings(given, file.checks, context.targets[0], file.document),
    )


def _given(file: _PolicyTestFile, index: int, shape: PolicyTestCaseSchema) -> Iterator[CaseReading]:
    """Yield the readings of the groups that a case uses and then its own, with their places."""
    for name in shape.use:
        group = file.shape.readings.get(name)
        if group is None:
            known = ", ".join(file.shape.readings) or "none"
            raise file.error(
                ("cases", index, "use"),
                f"there is no group of readings {name!r}",
                f"Write it under readings, where there are: {known}.",
            )
        yield from (
            CaseReading(reading, ("readings", name, at)) for at, reading in enumerate(group)
        )
    yield from (
        CaseReading(reading, ("cases", index, "readings", at))
        for at, reading in enumerate(shape.readings)
    )


def _isolation(
    said: IsolationLevel | Mapping[str, IsolationLevel] | None, targets: Sequence[str]
) -> Mapping[str, str]:
    """Return the level of each target: of all alike, or by name; else the strongest."""
    if isinstance(said, Mapping):
        return {name: said.get(name, IsolationLevel.BUBBLEWRAP).value for name in targets}
    return dict.fromkeys(targets, (said or IsolationLevel.BUBBLEWRAP).value)
