"""Every rule's outcome as an in-toto test result (test-result v0.1): one test a rule and target.

Source: in-toto attestation framework, predicate ``test-result/v0.1``. Its readers ask whether
``result`` is ``PASSED`` and ``failedTests`` is empty, so that nothing undecided may look so: a
required rule that is unknown counts among the failed, and without a verdict there is always one.
"""

from collections.abc import Iterable, Mapping

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome, Verdict
from auditor.rendering.attested import (
    NOTHING,
    RECORD,
    VERDICT,
    ReadBeside,
    digest_set,
    policy_uri,
    subjects,
)
from auditor.signatures.statements import STATEMENT

PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
UNDECIDED = "urn:auditor:ext:undecided-tests"
WITHSTOOD = "urn:auditor:ext:withstood-tests"
NO_VERDICT = "verdict"
"""The test that stands for a verdict that no single rule explains: nothing was judged."""
KEPT = frozenset({Outcome.PASSED, Outcome.WITHSTOOD})
BROKEN = frozenset({Outcome.FAILED, Outcome.UNKNOWN})


def results_statement(
    record: AuditRecord, policy: Policy, beside: ReadBeside = NOTHING
) -> Mapping[str, Json]:
    """Return the in-toto statement, unsigned.

    Passed are rules that were kept, also by withstanding where the policy accepts that; warned
    are waived ones, and advisory ones that were broken or not decided.
    """
    return {
        "_type": STATEMENT,
        "subject": subjects(record, beside),
        "predicateType": PREDICATE,
        "predicate": _predicate(record, policy),
    }


def _predicate(record: AuditRecord, policy: Policy) -> dict[str, Json]:
    found = record.findings
    passes = record.verdict is Verdict.PASS
    failed = _names(item for item in found if item.outcome in BROKEN and _denies(item))
    warned = _names(
        item
        for item in found
        if item.outcome is Outcome.WAIVED or (item.outcome in BROKEN and not _denies(item))
    )
    kept = "WARNED" if warned else "PASSED"
    return {
        "result": kept if passes else "FAILED",
        "configuration": _configuration(record, policy),
        "passedTests": _names(item for item in found if item.outcome in KEPT),
        "warnedTests": warned,
        "failedTests": failed if passes or failed else [NO_VERDICT],
        UNDECIDED: _names(item for item in found if item.outcome is Outcome.UNKNOWN),
        WITHSTOOD: _names(item for item in found if item.outcome is Outcome.WITHSTOOD),
        VERDICT: record.verdict.value,
        RECORD: digest_set(record.digest),
    }


def _configuration(record: AuditRecord, policy: Policy) -> list[Json]:
    request = record.request
    named = [(policy_uri(policy), request.policy.digest), ("audit file", request.audit_file)]
    named += [(f"{item.role} data", item.digest) for item in request.datasets]
    return [{"name": name, "digest": digest_set(digest)} for name, digest in named]


def _denies(finding: Finding) -> bool:
    return finding.effect is Effect.DENY


def _names(findings: Iterable[Finding]) -> list[str]:
    return [f"{item.name} on {item.target}" for item in findings]
