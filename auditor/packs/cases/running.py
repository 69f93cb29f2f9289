"""Run the cases of a policy through the judging that audits use, and say what differs."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Policy
from auditor.domain.verdicts import Outcome, Verdict
from auditor.judging.judge import judge
from auditor.packs.cases.cases import Case, Coverage, PolicyTests

SILENT = "No finding has that name."


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise than expected, and why, in the finding's words."""

    what: str
    expected: str
    found: str
    message: str

    def to_json(self) -> dict[str, Json]:
        """Return the form that the command prints."""
        return {
            "what": self.what,
            "expected": self.expected,
            "found": self.found,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case: its findings, and what differs from what was expected."""

    case: Case
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the form that the command prints."""
        return {
            "name": self.case.name,
            "where": self.case.where,
            "as_expected": not self.differences,
            "differences": [item.to_json() for item in self.differences],
        }


@dataclass(frozen=True, slots=True)
class CasesResult:
    """What came of a file's cases."""

    tests: PolicyTests
    cases: tuple[CaseResult, ...]

    @property
    def as_expected(self) -> bool:
        """Whether every case came out as expected."""
        return not any(item.differences for item in self.cases)

    @property
    def coverage(self) -> Coverage:
        """Which outcomes each rule of the policy had in these cases, in the policy's order."""
        seen: defaultdict[str, set[Outcome]] = defaultdict(set)
        for result in self.cases:
            for finding in result.findings:
                seen[finding.rule].add(finding.outcome)
        return {rule.id: frozenset(seen[rule.id]) for rule in self.tests.policy.rules}

    def to_json(self) -> dict[str, Json]:
        """Return the form that the command prints."""
        policy = self.tests.policy
        return {
            "file": self.tests.source,
            "policy": {"name": policy.name, "version": policy.version, "digest": policy.digest},
            "as_expected": self.as_expected,
            "cases": [item.to_json() for item in self.cases],
            "coverage": {
                rule: [item.value for item in Outcome if item in seen]
                for rule, seen in self.coverage.items()
            },
        }


def run_tests(tests: PolicyTests) -> CasesResult:
    """Judge every case. The readings are the same at every confidence."""
    return CasesResult(tests, tuple(_run(tests.policy, case) for case in tests.cases))


def _run(policy: Policy, case: Case) -> CaseResult:
    findings = judge(policy, lambda _: case.readings, case.context)
    return CaseResult(case, findings, tuple(_differences(case, findings)))


def _differences(case: Case, findings: Sequence[Finding]) -> Iterator[Difference]:
    for expected in case.outcomes:
        named = [finding for finding in findings if expected.speaks_of(finding)]
        if not named:
            yield Difference(expected.written, expected.outcome.value, "nothing", SILENT)
        yield from (
            Difference(
                f"{finding.name} on {finding.target}",
                expected.outcome.value,
                finding.outcome.value,
                finding.message,
            )
            for finding in named
            if finding.outcome is not expected.outcome
        )
    if case.verdict is not None:
        yield from _verdict(case.verdict, findings)


def _verdict(expected: Verdict, findings: Sequence[Finding]) -> Iterator[Difference]:
    denying = [finding for finding in findings if finding.effect is Effect.DENY]
    found = Verdict.of(finding.outcome for finding in denying)
    if found is not expected:
        names: dict[Outcome, list[str]] = {}
        for finding in denying:
            names.setdefault(finding.outcome, []).append(finding.name)
        message = "; ".join(f"{outcome}: {', '.join(named)}" for outcome, named in names.items())
        yield Difference("verdict", expected.value, found.value, message)
