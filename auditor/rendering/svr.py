"""What held, as an in-toto Simple Verification Result (SVR v0.2): properties that passed, only.

Source: in-toto attestation framework, predicate ``svr/v0.2``. The format has no failures: a
property that is not listed was not shown, for whatever reason. So the property for the verdict is
there on a pass alone, and a rule's where it passed on every target; what only withstood attacks,
was waived, or is unknown has none. How long a result is good for is said by a property's name.
"""

from collections.abc import Iterator, Mapping

from auditor.domain.canonical import Json
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome, Verdict
from auditor.rendering.attested import (
    NOTHING,
    RECORD,
    VERDICT,
    ReadBeside,
    digest_set,
    evidence_property,
    policy_uri,
    subjects,
    verifier_id,
)
from auditor.signatures.statements import STATEMENT

PREDICATE = "https://in-toto.io/attestation/svr/v0.2"


def svr_statement(
    record: AuditRecord, policy: Policy, beside: ReadBeside = NOTHING
) -> Mapping[str, Json]:
    """Return the in-toto statement, unsigned."""
    digest = digest_set(record.request.policy.digest)
    return {
        "_type": STATEMENT,
        "subject": subjects(record, beside),
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {
                "id": verifier_id(record),
                "policies": [{"uri": policy_uri(policy), "digest": digest}],
            },
            "timeCreated": record.finished,
            "properties": list(_properties(record, policy)),
            VERDICT: record.verdict.value,
            RECORD: digest_set(record.digest),
        },
    }


def _properties(record: AuditRecord, policy: Policy) -> Iterator[str]:
    if record.verdict is Verdict.PASS:
        yield "AUDITOR_VERDICT_PASS"
        yield f"AUDITOR_ASSURANCE_{record.assurance.name}"
        yield from evidence_property(record)
        if record.request.attempt is not None and record.request.attempt.sealed:
            yield "AUDITOR_SEALED" if record.request.sealed else "AUDITOR_SEED_SEALED"
        if policy.valid_for_days is not None:
            yield f"AUDITOR_VALID_FOR_{policy.valid_for_days}_DAYS"
    outcomes: dict[str, set[Outcome]] = {}
    for item in record.findings:
        outcomes.setdefault(item.rule, set()).add(item.outcome)
    for rule, seen in sorted(outcomes.items()):
        if seen == {Outcome.PASSED}:
            yield f"AUDITOR_RULE_PASSED:{rule}"
