"""A gate opens for exactly these bytes, this policy, this target, and fresh: for nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bare_records import bare_record, bare_request

from auditor.cli.gate_output import describe_gate_answer
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.isolation import IsolationLevel
from auditor.domain.json import Json, digest_json, encode_canonical
from auditor.domain.pinned_settings import AuditPins
from auditor.domain.policies import AssuranceLevel, MinimumEvidence, Policy, RuleEffect, Severity
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditAttempt, DatasetRef, PolicyRef
from auditor.domain.targets import (
    EndpointProtocol,
    EndpointSpec,
    EvidenceLevel,
    Fingerprint,
    TargetSpec,
)
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import UsageError
from auditor.reports.html.verdict import describe_attempt
from auditor.workflows.gate import (
    GateQuestion,
    check_evaluation_data,
    check_gate,
    parse_age,
    read_probe,
)
from auditor.workflows.record_gate import GateInspection

ARTIFACT = Artifact("m", "1", (FileDigest("model.onnx", 3, "ab" * 32),))
POLICY = Policy(
    name="p", version="1", owner="o", digest="sha256:" + "1" * 64, document={}, source="p", rules=()
)
NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)
PASSED = Outcome.PASSED


def finding(target: str, outcome: Outcome, effect: RuleEffect = RuleEffect.DENY) -> Finding:
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
    targets = (TargetSpec("cpu"), TargetSpec("edge"))
    return bare_record(
        request=bare_request(targets=targets, policy=PolicyRef("p", "1", POLICY.digest)),
        fingerprints={name: Fingerprint({"cpu": name}, {}) for name in ("cpu", "edge")},
        findings=findings,
        finished=finished,
    )


GOOD = record(finding("cpu", Outcome.PASSED), finding("edge", Outcome.PASSED))
FILE = f"model.onnx ({ARTIFACT.files[0].digest})"
QUESTION = GateQuestion(ARTIFACT.digest, POLICY, None, None, None, NOW)


def failed(audited: AuditRecord, question: GateQuestion, *shown: VerificationStep) -> set[str]:
    return {
        step.name
        for step in check_gate(audited, question, shown)
        if step.result is StepResult.FAILED
    }


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
    audited = record(
        finding("cpu", Outcome.PASSED), finding("cpu", Outcome.FAILED, RuleEffect.WARN)
    )
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
    strict = replace(POLICY, least_assurance=AssuranceLevel.A2)
    assert failed(GOOD, replace(QUESTION, policy=strict)) == {"assurance"}
    strict = replace(POLICY, least_budget=Budget.FULL)
    assert failed(GOOD, replace(QUESTION, policy=strict)) == {"assurance"}


def test_a_simulated_or_emulated_target_keeps_it_shut_as_the_policy_asks() -> None:
    """Whatever the record's own findings say: one that is older than levels has none about them."""
    found = GOOD.fingerprints["cpu"]
    played = replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": replace(found, emulated=True)})
    assert failed(played, QUESTION) == {"assurance"}
    lenient = replace(POLICY, least_evidence=MinimumEvidence.ANY)
    assert failed(played, replace(QUESTION, policy=lenient)) == set()
    claimed = replace(found, emulated=True, evidence=EvidenceLevel.VERIFIED)
    assert failed(replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": claimed}), QUESTION) == {
        "assurance"
    }
    less = replace(found, evidence=EvidenceLevel.SIMULATED)
    assert failed(replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": less}), QUESTION) == {
        "assurance"
    }
    strict = replace(POLICY, least_evidence=MinimumEvidence.VERIFIED)
    silent = replace(found, identity_facts={**found.identity_facts, "placement": None})
    record = replace(GOOD, fingerprints={**GOOD.fingerprints, "cpu": silent})
    assert failed(record, replace(QUESTION, policy=strict)) == {"assurance"}
    assert failed(record, QUESTION) == set()


def test_a_model_that_was_isolated_less_than_the_policy_asks_keeps_it_shut() -> None:
    """Whatever the record's own findings say; one that does not tell was isolated by nothing."""
    strict = replace(QUESTION, policy=replace(POLICY, least_isolation=IsolationLevel.LANDLOCK))
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


DRAWN = VerificationStep("sealed seed", StepResult.HOLDS, "it follows from the ledger")
LAX = PolicyRef("lax", "1", "sha256:" + "4" * 64)
HELD = ("evaluation",)


def test_a_policy_may_ask_for_a_sealed_audit_and_for_few_attempts() -> None:
    asks = replace(QUESTION, policy=replace(POLICY, require_sealed=True, most_attempts=2))
    assert failed(GOOD, asks, DRAWN) == {"sealed", "attempts"}
    for attempt, shut in {
        AuditAttempt(number=2, sealed=True, held=HELD): set[str](),
        AuditAttempt(number=3, sealed=True, held=HELD): {"attempts"},
        AuditAttempt(number=1, held=HELD): {"sealed"},
        AuditAttempt(number=1, sealed=True, held=HELD, policy=LAX): {"attempts"},
    }.items():
        told = replace(GOOD, request=replace(GOOD.request, attempt=attempt))
        assert failed(told, asks, DRAWN) == shut
        # What nobody asks shuts nothing, and has no step.
        assert check_gate(told, QUESTION, ()) == check_gate(GOOD, QUESTION, ())


@pytest.mark.parametrize("name", ["sealed seed", "drawn here"])
@pytest.mark.parametrize("result", StepResult)
def test_only_a_step_that_holds_shows_that_an_audit_was_sealed(
    name: str, result: StepResult
) -> None:
    asks = replace(QUESTION, policy=replace(POLICY, require_sealed=True))
    attempt = AuditAttempt(number=1, sealed=True, held=HELD)
    told = replace(GOOD, request=replace(GOOD.request, attempt=attempt))
    opens = failed(told, asks, VerificationStep(name, result, "")) == set()
    assert opens is (result is StepResult.HOLDS)
    assert failed(told, asks) == {"sealed"}
    assert failed(told, asks, VerificationStep("inclusion proof", StepResult.HOLDS, "")) == {
        "sealed"
    }


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
    attempt = AuditAttempt(number=1, sealed=True, sets=held, held=held)
    told = replace(GOOD, request=replace(GOOD.request, datasets=data, attempt=attempt))
    assert (failed(told, asks, DRAWN) == set()) is opens
    words = describe_attempt(told.request)
    assert ("; sealed: " in words) is opens
    assert ("; seed sealed: " in words and "chose the" in words) is not opens
    seeded = replace(told, request=replace(told.request, attempt=replace(attempt, sealed=False)))
    assert failed(seeded, asks, DRAWN) == {"sealed"}


RELEASED, OTHER = "sha256:" + "5" * 64, "sha256:" + "6" * 64
DATA = RELEASED
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
    (said,) = [it.detail for it in check_gate(AGAINST, QUESTION, ()) if it.name == "baseline"]
    assert f"r depends on the baseline {RELEASED}, which the requester of the audit chose" in said
    assert "--baseline" in said


def test_a_baseline_that_the_gate_names_is_asked_for_whatever_rests_on_it() -> None:
    assert failed(GOOD, replace(QUESTION, baseline=RELEASED)) == {"baseline"}
    warned = replace(RESTING.findings[0], effect=RuleEffect.WARN)
    audited = replace(AGAINST, findings=(warned, *RESTING.findings[1:], finding("cpu", PASSED)))
    assert failed(audited, QUESTION) == set()


def test_a_service_shows_itself_whether_a_baseline_counts() -> None:
    shown = VerificationStep("baseline", StepResult.HOLDS, "held against m 0")
    assert failed(AGAINST, QUESTION, shown) == set()
    assert failed(AGAINST, QUESTION, replace(shown, name="other")) == {"baseline"}


def details(
    audited: AuditRecord, question: GateQuestion, *shown: VerificationStep
) -> dict[str, str]:
    """What each step says that does not hold, by its name."""
    steps = check_gate(audited, question, shown)
    return {it.name: it.detail for it in steps if it.result is not StepResult.HOLDS}


def with_request(audited: AuditRecord, **changes: object) -> AuditRecord:
    request = replace(audited.request, **changes)  # type: ignore[arg-type]  # real fields
    return replace(audited, request=request)


def test_an_open_gate_says_what_each_step_rests_on() -> None:
    assert check_gate(GOOD, QUESTION, ()) == tuple(
        VerificationStep(name, StepResult.HOLDS, detail)
        for name, detail in (
            ("artifact", f"the record audits exactly {FILE}"),
            ("policy", "judged by p 1"),
            ("target", "audited on cpu, edge"),
            ("verdict", "every required rule passed"),
            ("assurance", "assurance A0"),
            ("freshness", "measured at 2026-05-10T09:00:00Z"),
        )
    )


def test_a_shut_gate_names_what_was_audited_and_what_was_asked() -> None:
    other, strange = "sha256:" + "0" * 64, replace(POLICY, name="q", version="2", digest=LAX.digest)
    assert details(GOOD, replace(QUESTION, artifact=other)) == {
        "artifact": f"the record audits {FILE}, and the artifact here is {other}"
    }
    named = replace(QUESTION, artifact=other, named="b.onnx (sha256:00)")
    assert details(GOOD, named) == {
        "artifact": f"the record audits {FILE}, and the artifact here is b.onnx (sha256:00)"
    }
    assert details(with_request(GOOD, artifact=None), QUESTION) == {
        "artifact": f"the record audits no artifact, and the artifact here is {ARTIFACT.digest}"
    }
    assert details(GOOD, replace(QUESTION, policy=strange)) == {
        "policy": f"it was judged by p 1 ({POLICY.digest}), not by q 2 ({LAX.digest}): "
        "judge the record by it (auditor judge DIR --policy POLICY), or audit again"
    }


def test_what_an_endpoint_answers_opens_no_gate_for_the_file() -> None:
    """Only where nothing binds the two, and only on the target that is asked for."""
    served = TargetSpec(
        "edge",
        runtime="endpoint",
        endpoint=EndpointSpec(url="http://edge/v1", protocol=EndpointProtocol.OIP_HTTP),
    )
    audited = with_request(GOOD, targets=(TargetSpec("cpu"), served))
    said = details(audited, QUESTION)
    assert said["artifact"].startswith(
        "on edge the record speaks for the endpoint, not for the artifact: no required rule"
    )
    assert "artifact" in failed(audited, replace(QUESTION, target="edge"))
    assert failed(audited, replace(QUESTION, target="cpu")) == set()


def test_a_target_is_known_by_its_place_whatever_is_open_there_and_by_all_of_it() -> None:
    """A probe names the place; a fingerprint of a record also what the model brought about."""
    found = replace(GOOD.fingerprints["cpu"], identity_facts={"cpu": "cpu", "opsets": [17]})
    audited = replace(GOOD, fingerprints={"cpu": found, "edge": GOOD.fingerprints["edge"]})
    place = digest_json({"cpu": "cpu"})
    assert place != found.identity
    on_cpu = replace(QUESTION, target="cpu")
    for identity in (place, found.identity, None):
        assert failed(audited, replace(on_cpu, identity=identity)) == set()
    strange = "sha256:" + "9" * 64
    assert details(audited, replace(on_cpu, identity=strange)) == {
        "target": f"cpu was at {place}, and the probe here is at {strange}"
    }


def test_a_gate_tells_of_a_target_that_was_not_audited_or_did_not_open() -> None:
    assert details(GOOD, replace(QUESTION, target="phone"))["target"] == "phone was not audited"
    unopened = replace(GOOD, fingerprints={"cpu": GOOD.fingerprints["cpu"]})
    assert details(unopened, QUESTION)["target"] == ("edge did not open: there is no fingerprint")
    assert "target" not in failed(unopened, replace(QUESTION, target="cpu"))
    (held,) = [
        it
        for it in check_gate(unopened, replace(QUESTION, target="cpu"), ())
        if it.name == "target"
    ]
    assert held.detail == "audited on cpu"


def test_predictions_are_not_said_to_have_failed_to_open() -> None:
    request = replace(GOOD.request, artifact=None, targets=(TargetSpec("cpu"),))
    asked = replace(GOOD, request=request, fingerprints={})
    assert details(asked, QUESTION)["target"] == (
        "no model ran: predictions alone do not show where a model runs (cpu)"
    )


def test_a_closed_gate_names_the_rules_that_are_not_kept_and_the_cure_of_the_worst() -> None:
    open_rule = replace(finding("cpu", Outcome.UNKNOWN), rule="q")
    broken = replace(finding("edge", Outcome.FAILED), remediation="Sign it.")
    audited = record(open_rule, broken)

    def answer(question: GateQuestion, audited: AuditRecord | None) -> list[str]:
        steps = check_gate(audited or GOOD, question, ())
        return [*describe_gate_answer(GateInspection(steps, "", audited), question)]

    assert answer(QUESTION, audited) == [
        "Gate: closed (verdict): r failed, q undecided",
        "To do (r): Sign it.",
    ]
    assert answer(replace(QUESTION, target="cpu"), audited) == [
        "Gate: closed (verdict): q undecided"
    ]
    assert answer(QUESTION, GOOD) == ["Gate: open"]
    other = replace(QUESTION, artifact="sha256:" + "0" * 64)
    assert answer(other, GOOD) == answer(other, None) == ["Gate: closed (artifact)"]


def test_the_verdict_names_what_is_against_it_and_nothing_else() -> None:
    kept = (Outcome.PASSED, Outcome.WITHSTOOD, Outcome.WAIVED, Outcome.NOT_APPLICABLE)
    beside = [replace(finding("cpu", outcome), rule=f"is {outcome}") for outcome in kept]
    assert failed(record(*beside), QUESTION) == set()
    against = replace(finding("cpu", Outcome.FAILED), slice={"sex": "F"})
    unknown = replace(finding("edge", Outcome.UNKNOWN), rule="q")
    warned = replace(finding("edge", Outcome.FAILED, RuleEffect.WARN), rule="w")
    assert details(record(unknown, *beside, against, warned), QUESTION) == {
        "verdict": "the verdict is fail: r[sex=F] failed, q undecided"
    }
    assert details(record(*beside, unknown, warned), QUESTION) == {
        "verdict": "the verdict is inconclusive: q undecided"
    }
    only_warned = record(warned, finding("cpu", Outcome.NOT_APPLICABLE))
    assert details(only_warned, QUESTION) == {
        "verdict": "the verdict is inconclusive: no rule was decided"
    }


def asking(**changes: object) -> GateQuestion:
    policy = replace(POLICY, **changes)  # type: ignore[arg-type]  # real fields
    return replace(QUESTION, policy=policy)


def test_the_gate_says_what_an_audit_lacks_of_what_the_policy_asks() -> None:
    assert details(GOOD, asking(least_assurance=AssuranceLevel.A1)) == {
        "assurance": "A0 is below A1"
    }
    for held in (AssuranceLevel.A1, AssuranceLevel.A2):
        told = replace(GOOD, assurance=held)
        assert failed(told, asking(least_assurance=AssuranceLevel.A1)) == set()
    assert details(GOOD, asking(least_budget=Budget.FULL)) == {
        "assurance": "budget ci is below full"
    }
    for budget in (Budget.CI, Budget.FULL):
        assert failed(with_request(GOOD, budget=budget), asking(least_budget=Budget.CI)) == set()
    both = asking(least_assurance=AssuranceLevel.A1, least_budget=Budget.FULL)
    assert details(GOOD, both) == {"assurance": "A0 is below A1; budget ci is below full"}


def test_what_another_target_lacks_does_not_shut_the_gate_of_one() -> None:
    found = GOOD.fingerprints["edge"]
    played = replace(
        GOOD, fingerprints={**GOOD.fingerprints, "edge": replace(found, emulated=True)}
    )
    assert details(played, QUESTION) == {
        "assurance": "edge is emulated, and the policy asks for native"
    }
    assert failed(played, replace(QUESTION, target="edge")) == {"assurance"}
    assert failed(played, replace(QUESTION, target="cpu")) == set()

    isolated = {
        name: replace(print_, conditions_facts={"isolation": level})
        for (name, print_), level in zip(
            GOOD.fingerprints.items(), ("landlock", "limits"), strict=True
        )
    }
    told, strict = (
        replace(GOOD, fingerprints=isolated),
        asking(least_isolation=IsolationLevel.LANDLOCK),
    )
    assert details(told, strict) == {
        "assurance": "edge has the isolation level limits, and the policy asks for landlock"
    }
    assert failed(told, replace(strict, target="edge")) == {"assurance"}
    assert failed(told, replace(strict, target="cpu")) == set()
    silent = details(GOOD, replace(strict, target="cpu"))
    assert silent == {
        "assurance": "cpu has the isolation level none, and the policy asks for landlock"
    }


def test_what_the_policy_pins_is_asked_whatever_findings_say() -> None:
    pinned = asking(pins=AuditPins(evaluation=(DATA,), least_rows=10))
    assert details(GOOD, pinned) == {
        "pins": f"evaluation data: none; the policy pins {DATA}; "
        "evaluation rows: 0; the policy pins 10 at least"
    }
    audited = with_request(GOOD, datasets=(DatasetRef("evaluation", DATA, 10),))
    (step,) = [it for it in check_gate(audited, pinned, ()) if it.name == "pins"]
    assert step == VerificationStep(
        "pins", StepResult.HOLDS, "the data and settings are those that the policy pins"
    )


def test_a_gate_for_data_opens_for_exactly_the_rows_that_were_judged() -> None:
    rows, training = DatasetRef("evaluation", DATA, 9), DatasetRef("training", OTHER, 9)
    audited = with_request(GOOD, datasets=(training, rows))
    assert check_evaluation_data(audited, DATA) == VerificationStep(
        "data", StepResult.HOLDS, f"the record judges exactly {DATA}"
    )
    assert check_evaluation_data(audited, OTHER) == VerificationStep(
        "data", StepResult.FAILED, f"the record judges {DATA}, and the data here are {OTHER}"
    )
    assert check_evaluation_data(with_request(GOOD, datasets=(training,)), OTHER).detail == (
        f"the record judges no evaluation data, and the data here are {OTHER}"
    )
    hidden = with_request(audited, disclosure=DisclosureMode.ROWS)
    assert check_evaluation_data(hidden, OTHER).detail == (
        "the record judges evaluation data of a hidden digest (the record may withhold rows), "
        f"and the data here are {OTHER}"
    )


def test_a_policy_that_asks_for_a_sealed_audit_says_what_is_missing() -> None:
    sealed = asking(require_sealed=True)
    nobody = "the policy requires a sealed audit; no service counted it, not sealed"
    chosen = (
        "the policy requires a sealed audit, and the requester chose the evaluation rows: audit "
        "rows of the auditor (--sealed --sealed-set NAME)"
    )
    assert details(GOOD, sealed, DRAWN) == {"sealed": f"{nobody}; {chosen}"}
    open_seed = with_request(GOOD, attempt=AuditAttempt(number=4, held=HELD, by_data=True))
    assert details(open_seed, sealed, DRAWN) == {
        "sealed": "the policy requires a sealed audit; it is attempt 4 on its data, whatever the "
        "model, not sealed"
    }
    unshown = with_request(GOOD, attempt=AuditAttempt(number=4, sealed=True, held=HELD))
    assert details(unshown, sealed) == {
        "sealed": "the policy requires a sealed audit, and there is no proof that the service's "
        "ledger drew the seed: add its public key (--ledger-key)"
    }
    data = (DatasetRef("evaluation", DATA, 9), DatasetRef("production", OTHER, 9))
    both = with_request(GOOD, datasets=data, attempt=AuditAttempt(number=4, sealed=True))
    assert "chose the evaluation and production rows" in details(both, sealed, DRAWN)["sealed"]
    held = [it for it in check_gate(unshown, sealed, (DRAWN,)) if it.name == "sealed"]
    assert held == [
        VerificationStep(
            "sealed", StepResult.HOLDS, "the requester chose neither the seed nor the rows"
        )
    ]


def test_the_gate_counts_attempts_up_to_the_most_that_the_policy_allows() -> None:
    few = asking(most_attempts=2)
    assert details(GOOD, few) == {
        "attempts": "the policy allows at most 2 attempts, and no service counted this one"
    }
    own = PolicyRef("p", "0", LAX.digest)
    for number, policy in ((1, None), (2, None), (2, own)):
        told = with_request(GOOD, attempt=AuditAttempt(number=number, policy=policy))
        (step,) = [it for it in check_gate(told, few, ()) if it.name == "attempts"]
        assert step == VerificationStep("attempts", StepResult.HOLDS, f"it is attempt {number}")
    lax = with_request(GOOD, attempt=AuditAttempt(number=3, policy=LAX))
    assert details(lax, few) == {
        "attempts": "it is attempt 3; the policy allows at most 2; "
        "its attempts were counted under lax, not p"
    }


def test_the_gate_names_the_rules_that_rest_on_a_baseline_and_which_one() -> None:
    why = (
        ", which the requester of the audit chose: review that record, and name it if you accept "
        "its limits (--baseline DIR, or its digest)"
    )
    assert details(AGAINST, QUESTION) == {"baseline": f"r depends on the baseline {RELEASED}{why}"}
    assert details(RESTING, QUESTION) == {
        "baseline": f"r depends on the baseline that the record hides{why}"
    }
    for audited, held in ((AGAINST, f"the baseline {RELEASED}"), (GOOD, "no baseline")):
        assert details(audited, replace(QUESTION, baseline=OTHER)) == {
            "baseline": f"it was compared with {held}, but {OTHER} is named here"
        }
    named = check_gate(AGAINST, replace(QUESTION, baseline=RELEASED), ())
    assert [it for it in named if it.name == "baseline"] == [
        VerificationStep("baseline", StepResult.HOLDS, f"compared with {RELEASED}, as named here")
    ]
    second = replace(RESTING.findings[0], rule="q")
    two = replace(AGAINST, findings=(*AGAINST.findings, second))
    assert details(two, QUESTION)["baseline"].startswith("r, q depends on the baseline")
    # What nothing rests on, and nobody names, has no step.
    assert "baseline" not in {it.name for it in check_gate(GOOD, QUESTION, ())}


SECOND = timedelta(seconds=1)


def test_a_record_is_fresh_to_the_second_at_which_its_time_is_over() -> None:
    """Measured at nine: under either limit, whichever is over first."""
    age = NOW - datetime(2026, 5, 10, 9, tzinfo=UTC)
    assert failed(GOOD, replace(QUESTION, max_age=age)) == set()
    assert failed(GOOD, replace(QUESTION, max_age=age - SECOND)) == {"freshness"}
    day_on = replace(asking(valid_for_days=1), now=datetime(2026, 5, 11, 9, tzinfo=UTC))
    assert failed(GOOD, day_on) == set()
    late = replace(day_on, now=day_on.now + SECOND)
    over = "it was measured at 2026-05-10T09:00:00Z, and that counts until 2026-05-{}T09:00:00Z"
    assert details(GOOD, late) == {"freshness": over.format(11)}
    for max_age in (timedelta(days=30), timedelta(hours=1)):
        assert failed(GOOD, replace(late, max_age=max_age)) == {"freshness"}
    weeks = replace(QUESTION, now=datetime(2026, 5, 24, 12, tzinfo=UTC), max_age=timedelta(weeks=1))
    assert details(GOOD, weeks) == {"freshness": over.format(17)}


@pytest.mark.parametrize(
    ("registered", "finished", "opens"),
    [
        ("2026-05-10T12:00:00Z", "2026-05-10T12:00:00Z", True),
        ("2026-05-10T11:00:00Z", "2026-05-10T12:00:01Z", False),
        ("2026-05-10T11:00:01Z", "2026-05-10T11:00:00Z", False),
        ("2026-05-10T11:00:00Z", "2026-05-10T13:30:00+02:00", True),
        ("2026-05-10T11:00:00Z", "2026-05-10T12:30:00+02:00", False),
        ("soon", "2026-05-10T11:00:00Z", False),
    ],
)
def test_a_record_was_asked_for_before_it_ended_and_ended_before_now(
    registered: str, finished: str, *, opens: bool
) -> None:
    audited = replace(GOOD, registered=registered, finished=finished)
    assert (failed(audited, QUESTION) == set()) is opens
    said = details(audited, QUESTION).get("freshness", "")
    assert (registered in said and finished in said) is not opens


@pytest.mark.parametrize("text", ["100000h", "h1", "1 d", "30D", "+1d"])
def test_what_is_almost_an_age_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_age(text)
    assert refused.value.problem == f"{text!r} is not an age"
    assert refused.value.cure == "Write it as 12h, 30d or 4w."


def test_the_shortest_and_the_longest_age_are_read() -> None:
    assert parse_age("1h") == timedelta(hours=1)
    assert parse_age("99999d") == timedelta(days=99999)


def test_the_identity_of_a_probe_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "probe.json"
    identity = "sha256:" + "7" * 64
    file.write_bytes(encode_canonical({"identity": identity, "machine": {}}))
    assert read_probe(file) == identity


@pytest.mark.parametrize(
    "said", [None, [], "sha256:77", {}, {"identity": None}, {"identity": 7}, {"identity": "md5:77"}]
)
def test_what_is_no_probe_names_no_identity(tmp_path: Path, said: Json) -> None:
    file = tmp_path / "probe.json"
    file.write_bytes(encode_canonical(said))
    with pytest.raises(UsageError, match="names no identity") as refused:
        read_probe(file)
    assert "auditor targets probe NAME --out FILE" in refused.value.cure


@pytest.mark.parametrize("raw", [None, b"{", b"\xff", b"[" * 100_000])
def test_a_probe_that_cannot_be_read_is_a_mistake_of_the_caller(
    tmp_path: Path, raw: bytes | None
) -> None:
    file = tmp_path / "probe.json"
    if raw is not None:
        file.write_bytes(raw)
    with pytest.raises(UsageError, match="cannot be read"):
        read_probe(file)


def test_a_record_of_predictions_alone_opens_no_gate_for_an_artifact() -> None:
    """Leaving the model out spares its rules, and buys nothing for the model."""
    alone = replace(GOOD, request=replace(GOOD.request, artifact=None))
    assert alone.request.predictions_only
    assert alone.verdict is Verdict.PASS
    assert failed(alone, QUESTION) == {"artifact"}
