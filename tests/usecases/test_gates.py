"""A gate opens for exactly these bytes, this policy, this target, and fresh: for nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding
from auditor.domain.isolation import Isolation
from auditor.domain.policies import Assurance, Effect, LeastEvidence, Policy, Severity
from auditor.domain.records import AuditRecord
from auditor.domain.requests import Attempt, AuditRequest, DatasetRef, PolicyRef
from auditor.domain.steps import Step, StepResult
from auditor.domain.targets import EvidenceLevel, Fingerprint, TargetSpec
from auditor.domain.verdicts import Outcome
from auditor.errors import UsageError
from auditor.gates import Question, ask, parse_age
from auditor.rendering.attempts import attempt_words

ARTIFACT = Artifact("m", "1", (FileDigest("model.onnx", 3, "ab" * 32),))
POLICY = Policy(
    name="p", version="1", owner="o", digest="sha256:" + "1" * 64, document={}, source="p", rules=()
)
NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)
PASSED = Outcome.PASSED


def finding(target: str, outcome: Outcome, effect: Effect = Effect.DENY) -> Finding:
    return Finding(
        rule="r",
        title="t",
        target=target,
        measure="a.b/c",
        outcome=outcome,
        effect=effect,
        severity=Severity.HIGH,
        readings=(),
        controls=(),
        message="",
        remediation="",
        limits="",
    )


def record(*findings: Finding, finished: str = "2026-05-10T10:00:00Z") -> AuditRecord:
    return AuditRecord(
        id="aud-1",
        derived_from=None,
        assurance=Assurance.A0,
        request=AuditRequest(
            name="m",
            version="1",
            artifact=ARTIFACT,
            targets=(TargetSpec("cpu"), TargetSpec("edge")),
            datasets=(),
            policy=PolicyRef("p", "1", POLICY.digest),
            audit_file="sha256:" + "2" * 64,
            seed=7,
            budget=Budget.CI,
        ),
        confidence=0.95,
        fingerprints={name: Fingerprint({"cpu": name}, {}) for name in ("cpu", "edge")},
        observations=(),
        readings=(),
        findings=findings,
        lineage=(),
        tool={},
        registered="2026-05-10T09:00:00Z",
        finished=finished,
    )


GOOD = record(finding("cpu", Outcome.PASSED), finding("edge", Outcome.PASSED))
QUESTION = Question(ARTIFACT.digest, POLICY, None, None, None, NOW)


def failed(audited: AuditRecord, question: Question, *shown: Step) -> set[str]:
    return {step.name for step in ask(audited, question, shown) if step.result is StepResult.FAILED}


def test_a_passing_fresh_record_of_these_bytes_opens() -> None:
    assert failed(GOOD, QUESTION) == set()


def test_other_bytes_keep_it_shut() -> None:
    assert failed(GOOD, replace(QUESTION, artifact="sha256:" + "0" * 64)) == {"artifact"}


def test_a_policy_that_differs_in_one_byte_keeps_it_shut() -> None:
    other = replace(POLICY, digest="sha256:" + "3" * 64)
    assert failed(GOOD, replace(QUESTION, policy=other)) == {"policy"}


def test_a_target_that_was_not_audited_keeps_it_shut() -> None:
    assert "target" in failed(GOOD, replace(QUESTION, target="phone"))
    assert "verdict" in failed(GOOD, replace(QUESTION, target="phone"))


def test_another_fingerprint_keeps_it_shut() -> None:
    probed = GOOD.fingerprints["cpu"].identity
    assert failed(GOOD, replace(QUESTION, target="cpu", identity=probed)) == set()
    assert failed(GOOD, replace(QUESTION, target="edge", identity=probed)) == {"target"}


def test_a_target_that_did_not_open_keeps_it_shut() -> None:
    assert failed(replace(GOOD, fingerprints={}), QUESTION) == {"target"}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_a_rule_that_is_not_kept_keeps_it_shut(outcome: Outcome) -> None:
    audited = record(finding("cpu", Outcome.PASSED), finding("edge", outcome))
    assert failed(audited, QUESTION) == {"verdict"}
    assert failed(audited, replace(QUESTION, target="cpu")) == set()


def test_warnings_do_not_shut_it() -> None:
    audited = record(finding("cpu", Outcome.PASSED), finding("cpu", Outcome.FAILED, Effect.WARN))
    assert failed(audited, QUESTION) == set()


def test_a_record_without_findings_keeps_it_shut() -> None:
    assert failed(record(), QUESTION) == {"verdict"}


def test_a_stale_record_keeps_it_shut_by_the_policy_or_the_caller() -> None:
    old = replace(GOOD, registered="2026-05-08T10:00:00Z")
    assert failed(old, replace(QUESTION, max_age=timedelta(days=1))) == {"freshness"}
    assert failed(old, replace(QUESTION, policy=replace(POLICY, valid_for_days=1))) == {"freshness"}
    assert failed(old, replace(QUESTION, max_age=timedelta(days=3))) == set()


def test_judging_again_does_not_renew_what_was_measured() -> None:
    judged = replace(GOOD, registered="2026-01-01T10:00:00Z", finished="2026-05-10T11:59:00Z")
    assert failed(judged, replace(QUESTION, max_age=timedelta(days=30))) == {"freshness"}


def test_a_record_that_was_finished_before_it_was_asked_for_keeps_it_shut() -> None:
    assert failed(replace(GOOD, registered="2026-05-10T11:00:00Z"), QUESTION) == {"freshness"}


@pytest.mark.parametrize("finished", ["2026-05-11T10:00:00Z", "soon"])
def test_a_record_from_the_future_or_from_no_time_keeps_it_shut(finished: str) -> None:
    assert failed(replace(GOOD, finished=finished), QUESTION) == {"freshness"}


def test_less_budget_or_assurance_than_the_policy_asks_keeps_it_shut() -> None:
    strict = replace(POLICY, least_assurance=Assurance.A2)
    assert failed(GOOD, replace(QUESTION, policy=strict)) == {"assurance"}
    strict = replace(POLICY, least_budget=Budget.FULL)
    assert failed(GOOD, replace(QUESTION, policy=strict)) == {"assurance"}


def test_a_simulated_or_emulated_target_keeps_it_shut_as_the_policy_asks() -> None:
    """Whatever the record's own findings say: one that is older than levels has none about them."""
    found = GOOD.fingerprints["cpu"]
    played = replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": replace(found, emulated=True)})
    assert failed(played, QUESTION) == {"assurance"}
    lenient = replace(POLICY, least_evidence=LeastEvidence.ANY)
    assert failed(played, replace(QUESTION, policy=lenient)) == set()
    claimed = replace(found, emulated=True, evidence=EvidenceLevel.VERIFIED)
    assert failed(replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": claimed}), QUESTION) == {
        "assurance"
    }
    less = replace(found, evidence=EvidenceLevel.SIMULATED)
    assert failed(replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": less}), QUESTION) == {
        "assurance"
    }
    strict = replace(POLICY, least_evidence=LeastEvidence.VERIFIED)
    silent = replace(found, identity_facts={**found.identity_facts, "placement": None})
    record = replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": silent})
    assert failed(record, replace(QUESTION, policy=strict)) == {"assurance"}
    assert failed(record, QUESTION) == set()


def test_a_model_that_was_isolated_less_than_the_policy_asks_keeps_it_shut() -> None:
    """Whatever the record's own findings say; one that does not tell was isolated by nothing."""
    strict = replace(QUESTION, policy=replace(POLICY, least_isolation=Isolation.LANDLOCK))
    assert failed(GOOD, strict) == {"assurance"}
    for level, shut in (("landlock", False), ("limits", True), ("remote", True), (1, True)):
        prints = {
            name: replace(found, conditions_facts={"isolation": level})
            for name, found in GOOD.fingerprints.items()
        }
        told = replace(GOOD, fingerprints=prints)
        assert failed(told, strict) == ({"assurance"} if shut else set()), level
        assert failed(told, QUESTION) == set()


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1y", "0d", "1.5d", "99999999d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an age"):
        parse_age(text)


def test_ages_are_read() -> None:
    assert parse_age("12h") == timedelta(hours=12)
    assert parse_age("30d") == timedelta(days=30)
    assert parse_age("4w") == timedelta(weeks=4)


DRAWN = Step("sealed seed", StepResult.HOLDS, "it follows from the ledger")
LAX = PolicyRef("lax", "1", "sha256:" + "4" * 64)
HELD = ("evaluation",)


def test_a_policy_may_ask_for_a_sealed_audit_and_for_few_attempts() -> None:
    asks = replace(QUESTION, policy=replace(POLICY, require_sealed=True, most_attempts=2))
    assert failed(GOOD, asks, DRAWN) == {"sealed", "attempts"}
    for attempt, shut in {
        Attempt(number=2, sealed=True, held=HELD): set[str](),
        Attempt(number=3, sealed=True, held=HELD): {"attempts"},
        Attempt(number=1, held=HELD): {"sealed"},
        Attempt(number=1, sealed=True, held=HELD, policy=LAX): {"attempts"},
    }.items():
        told = replace(GOOD, request=replace(GOOD.request, attempt=attempt))
        assert failed(told, asks, DRAWN) == shut
        # What nobody asks shuts nothing, and has no step.
        assert ask(told, QUESTION, ()) == ask(GOOD, QUESTION, ())


@pytest.mark.parametrize("name", ["sealed seed", "drawn here"])
@pytest.mark.parametrize("result", StepResult)
def test_only_a_step_that_holds_shows_that_an_audit_was_sealed(
    name: str, result: StepResult
) -> None:
    asks = replace(QUESTION, policy=replace(POLICY, require_sealed=True))
    attempt = Attempt(number=1, sealed=True, held=HELD)
    told = replace(GOOD, request=replace(GOOD.request, attempt=attempt))
    opens = failed(told, asks, Step(name, result, "")) == set()
    assert opens is (result is StepResult.HOLDS)
    assert failed(told, asks) == {"sealed"}
    assert failed(told, asks, Step("inclusion proof", StepResult.HOLDS, "")) == {"sealed"}


@pytest.mark.parametrize(
    ("roles", "held", "opens"),
    [
        ((), (), False),
        (("evaluation",), (), False),
        (("evaluation",), ("evaluation",), True),
        (("evaluation", "training"), ("evaluation",), True),
        (("evaluation", "training"), ("training",), False),
        (("evaluation", "production"), ("evaluation",), False),
        (("evaluation", "production"), ("evaluation", "production"), True),
        (("production", "reference"), ("production",), True),
    ],
)
def test_an_audit_is_sealed_where_the_auditor_holds_all_rows_that_are_judged(
    roles: tuple[str, ...], held: tuple[str, ...], *, opens: bool
) -> None:
    asks = replace(QUESTION, policy=replace(POLICY, require_sealed=True))
    data = tuple(DatasetRef(role, "sha256:" + "5" * 64, 9) for role in roles)
    attempt = Attempt(number=1, sealed=True, sets=held, held=held)
    told = replace(GOOD, request=replace(GOOD.request, datasets=data, attempt=attempt))
    assert (failed(told, asks, DRAWN) == set()) is opens
    words = attempt_words(told.request)
    assert ("; sealed: " in words) is opens
    assert ("; seed sealed: " in words and "chose the" in words) is not opens
    seeded = replace(told, request=replace(told.request, attempt=replace(attempt, sealed=False)))
    assert failed(seeded, asks, DRAWN) == {"sealed"}


RELEASED, OTHER = "sha256:" + "5" * 64, "sha256:" + "6" * 64
RESTING = record(
    replace(finding("cpu", Outcome.PASSED), limits="at least baseline - 0.01"),
    finding("edge", Outcome.PASSED),
)
AGAINST = replace(RESTING, request=replace(RESTING.request, baseline=RELEASED))


def test_what_rests_on_a_baseline_opens_only_where_the_gate_names_that_baseline() -> None:
    """Whoever is judged chose the baseline: a bad one makes any model good enough."""
    assert failed(AGAINST, QUESTION) == {"baseline"}
    assert failed(AGAINST, replace(QUESTION, baseline=OTHER)) == {"baseline"}
    assert failed(AGAINST, replace(QUESTION, baseline=RELEASED)) == set()
    assert failed(RESTING, QUESTION) == {"baseline"}, "the record hides which"
    assert failed(AGAINST, replace(QUESTION, target="edge")) == set()
    (said,) = [it.detail for it in ask(AGAINST, QUESTION, ()) if it.name == "baseline"]
    assert f"r rests on the baseline {RELEASED}, which whoever asked for the audit named" in said
    assert "--baseline" in said


def test_a_baseline_that_the_gate_names_is_asked_for_whatever_rests_on_it() -> None:
    assert failed(GOOD, replace(QUESTION, baseline=RELEASED)) == {"baseline"}
    warned = replace(RESTING.findings[0], effect=Effect.WARN)
    audited = replace(AGAINST, findings=(warned, *RESTING.findings[1:], finding("cpu", PASSED)))
    assert failed(audited, QUESTION) == set()


def test_a_service_shows_itself_whether_a_baseline_counts() -> None:
    shown = Step("baseline", StepResult.HOLDS, "held against m 0")
    assert failed(AGAINST, QUESTION, shown) == set()
    assert failed(AGAINST, QUESTION, replace(shown, name="other")) == {"baseline"}
