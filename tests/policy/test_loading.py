"""Policy files: what they mean, and every way in which they can be wrong."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, changed, loaded, written

from auditor.checks.hardware.parity import ParityCheck
from auditor.domain.budgets import Budget
from auditor.domain.json import digest_json
from auditor.domain.policies import (
    AnchoredLimits,
    AssuranceLevel,
    EnforcementMode,
    FrameworkControl,
    LimitAnchor,
    MetricLimits,
    RuleEffect,
    Severity,
)
from auditor.errors import PolicyError
from auditor.policy.lint_remarks import LintLevel
from auditor.policy.load import lint_policy, load_policy


def test_a_record_counts_for_three_years_at_most_and_lint_says_so() -> None:
    for written_days, counted in (("1095d", 1095), ("36500d", 1095)):
        head = HEAD.replace("owner: risk@example.org", f"owner: r@a.org, valid_for: {written_days}")
        text = written(changed(), head=head)
        assert loaded(text).valid_for_days == counted
        said = " ".join(map(str, lint_policy(text, "p.yaml", CHECKS, CATALOGUES)))
        assert ("counts for 1095 days at most" in said) == (written_days != "1095d")


def test_a_policy_file_becomes_a_policy() -> None:
    head = HEAD.replace(
        "owner: risk@example.org",
        "owner: risk@example.org, least_budget: ci, least_assurance: A1, valid_for: 90d, "
        "mode: warn, applies_to: 'model.name == \"m\"'",
    )
    rule = changed(
        where={"target": "cpu"},
        controls=[{"framework": "owasp-ml", "ref": "ML01"}],
        rationale="Because.",
        remediation="Improve it.",
    )
    policy = loaded(written(rule, head=head))
    assert (policy.name, policy.version, policy.owner) == ("mine", "1.0.0", "risk@example.org")
    assert (policy.least_budget, policy.least_assurance) == (Budget.CI, AssuranceLevel.A1)
    assert (policy.valid_for_days, policy.mode) == (90, EnforcementMode.WARN)
    assert policy.applies_to == 'model.name == "m"'
    (only,) = policy.rules
    assert only.limits == MetricLimits(least=0.8)
    assert (only.severity, only.effect) == (Severity.HIGH, RuleEffect.DENY)
    assert only.controls == (FrameworkControl("owasp-ml", "ML01"),)
    assert only.measure == "quality.accuracy/accuracy"
    assert not only.accept_withstood


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({"at_least": 1}, MetricLimits(least=1.0)),
        ({"at_most": 0.5}, MetricLimits(most=0.5)),
        ({"within": [0.1, "params.floor"]}, MetricLimits(0.1, 0.8)),
    ],
)
def test_limits_are_numbers_or_params(asked: dict[str, Any], limits: MetricLimits) -> None:
    (rule,) = loaded(written(changed(**{"at_least": None, **asked}))).rules
    assert rule.limits == limits


def test_the_digest_is_over_the_content_and_not_over_how_it_is_written() -> None:
    raw = written(RULE)
    commented = b"# a comment\n" + raw.replace(
        b"{floor: 0.8, word: high}", b"{word: high, floor: 0.8}"
    )
    assert loaded(raw).digest == loaded(commented).digest
    assert loaded(raw).digest == digest_json(loaded(raw).document)
    assert loaded(raw).digest != loaded(raw.replace(b"0.8", b"0.7")).digest


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown check": ({"measure": "quality.acuracy/accuracy"}, "measure", "no check 'quality.acur"),
    "unknown metric": ({"measure": "quality.accuracy/auc"}, "measure", "emits no 'auc'"),
    "malformed measure": ({"measure": "accuracy"}, "measure", "quality.accuracy/accuracy"),
    "no limit": ({"at_least": None}, "id", "asks nothing"),
    "two limits": ({"at_most": 0.9}, "at_most", "asks at_least and at_most"),
    "unknown param": ({"at_least": "params.flor"}, "at_least", "params.flor is not a number"),
    "param that is text": ({"at_least": "params.word"}, "at_least", "params.word is not a number"),
    "limit that is text": ({"at_least": "0.8"}, "at_least", "a finite number, one with its unit"),
    "limit that is a yes": ({"at_least": True}, "at_least", "a finite number, one with its unit"),
    "infinite limit": ({"at_least": float("inf")}, "at_least", "a finite number"),
    "range of a baseline upside down": (
        {"at_least": None, "within": ["baseline + 0.1", "baseline"]},
        "within",
        "the first number is the greater",
    ),
    "range upside down": (
        {"at_least": None, "within": [0.9, 0.1]},
        "within",
        "the first number is the greater",
    ),
    "percent for a share": ({"at_least": 80}, "at_least", "a share between 0 and 1"),
    "limit on a yes or no": (
        {"measure": "provenance.signature/verified", "at_least": 1},
        "at_least",
        "is a yes or no",
    ),
    "unknown coordinate": ({"where": {"epss": 0.1}}, "where", "have no coordinate 'epss'"),
    "coordinate of the wrong kind": (
        {"measure": "evasion.linf/robust_accuracy", "accept": "withstood", "where": {"eps": "x"}},
        "where",
        "not allowed",
    ),
    "withstood an estimate": ({"accept": "withstood"}, "accept", "nothing can withstand here"),
    "withstood a bound that can pass": (
        {
            "measure": "evasion.linf/robust_accuracy",
            "at_least": None,
            "at_most": 0.5,
            "accept": "withstood",
        },
        "accept",
        "nothing can withstand here",
    ),
    "condition on a middle": (
        {"at_least": None, "require": "reading.value > 0.8"},
        "require",
        "asks of its middle alone",
    ),
    "condition on the middle of another": (
        {"at_least": None, "require": 'readings.all(r, r["value"] > 0.8)'},
        "require",
        "asks of its middle alone",
    ),
    "condition that is not CEL": ({"at_least": None, "require": "reading."}, "require", "column"),
    "condition with an unknown param": (
        {"at_least": None, "require": "reading.n > params.nobody"},
        "require",
        "params.nobody is not among",
    ),
    "when that looks at readings": ({"when": "reading.n > 3"}, "when", "undeclared reference"),
    "unknown framework": (
        {"controls": [{"framework": "owasp", "ref": "ML01"}]},
        "controls",
        "no catalogue of 'owasp'",
    ),
    "unknown control": (
        {"controls": [{"framework": "owasp-ml", "ref": "ML99"}]},
        "controls",
        "has no 'ML99'",
    ),
    "reserved id": ({"id": "policy.least_budget"}, "id", "the policy's own"),
    "no such coordinate": ({"for_each": "colour"}, "for_each", "no coordinate 'colour'"),
    "a place that is fixed": (
        {"where": {"group": "F"}, "for_each": ["group"]},
        "for_each",
        "where has fixed group",
    ),
    "unknown setting": ({"atleast": 0.8}, "atleast", "there is no such setting"),
    "unknown severity": ({"severity": "huge"}, "severity", "'low', 'medium', 'high'"),
}


@pytest.mark.parametrize(("changes", "key", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_file_line_rule_and_cure(
    changes: dict[str, Any], key: str, words: str
) -> None:
    raw = written(changed(**changes))
    with pytest.raises(PolicyError, match=words) as caught:
        loaded(raw)
    lines = raw.decode().splitlines()
    line = next(at for at, text in enumerate(lines, 1) if text.strip(" -").startswith(f"{key}:"))
    assert f"mine.yaml:{line}:" in caught.value.problem
    assert caught.value.cure


def test_a_number_without_a_unit_can_be_bounded() -> None:
    rule = changed(measure="hardware.parity/max_logit_diff", at_least=None, at_most=0.001)
    checks = {**CHECKS, ParityCheck.id: ParityCheck}
    policy = load_policy(written(rule), "mine.yaml", checks, CATALOGUES)
    assert policy.rules[0].limits == MetricLimits(most=0.001)


def test_an_unknown_metric_is_answered_with_those_there_are() -> None:
    with pytest.raises(PolicyError) as caught:
        loaded(written(changed(measure="quality.accuracy/auc")))
    assert "It emits accuracy, nll." in caught.value.cure
    assert "rule accurate" in caught.value.problem


def test_every_mistake_is_named_at_once() -> None:
    raw = written(changed(at_least=80), changed(measure="quality.accuracy/auc"))
    with pytest.raises(PolicyError) as caught:
        loaded(raw)
    for word in ("a share between", "emits no 'auc'", "the id stands already at mine.yaml:6"):
        assert word in caught.value.problem


def test_a_policy_without_rules_is_an_error() -> None:
    with pytest.raises(PolicyError, match="has no rules, so that nothing could fail it"):
        loaded(written())


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("kind: Policy", "kind: Audit", "kind"),
        ("auditor/v1", "auditor/v2", "apiVersion"),
        ("owner: risk@example.org", "extra: 1", "owner"),
        ("{floor: 0.8", "{floor: .inf", "finite|Inf|inf"),
        ("{floor: 0.8", "{floor: 123456789012345678901", "number"),
        ("params:", "extends: baseline\nparams:", "not at hand here"),
        ("params:", "checks: {evasion.l3: {}}\nparams:", "no check 'evasion.l3'"),
        ("params:", "checks: {evasion.linf: {step: 3}}\nparams:", "no parameter 'step'"),
        ("params:", "checks: {evasion.linf: {steps: '3'}}\nparams:", "steps: '3' is not allowed"),
        ("params:", "checks: {evasion.linf: {eps: 0.1}}\nparams:", "eps: 0.1 is not allowed"),
        ("params:", "checks: {evasion.linf: {eps: [true]}}\nparams:", "is not allowed"),
        ("params:", "checks: {evasion.linf: {steps: 0}}\nparams:", "steps must be at least 1"),
        ("owner: risk", "applies_to: 'modl == 1', owner: risk", "undeclared reference"),
        ("owner: risk", "valid_for: 90, owner: risk", "valid_for"),
        ("owner: risk", "least_evidence: magic, owner: risk", "least_evidence"),
        ("owner: risk", "least_isolation: none, owner: risk", "least_isolation"),
    ],
)
def test_a_mistake_outside_the_rules_is_named_with_its_line(
    before: str, after: str, words: str
) -> None:
    with pytest.raises(PolicyError, match=words) as caught:
        loaded(written(RULE, head=HEAD.replace(before, after)))
    assert caught.value.problem.startswith("mine.yaml")


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[1, 2]", b"a: [", b"rules: 3", b"a: 1\na: 2"])
def test_what_is_no_policy_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(PolicyError):
        loaded(raw)
    (remark,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert remark.level is LintLevel.ERROR


def test_a_mistake_that_keeps_a_policy_from_being_read_stands_once_at_its_line() -> None:
    raw = written(changed(atleast=0.8))
    (remark,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert remark.where.startswith("mine.yaml:")
    assert remark.problem == "rules.0.atleast: there is no such setting; nearest is: at_least"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_policy_or_an_error_that_says_so(raw: bytes) -> None:
    for remark in lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES):
        assert remark.problem
        assert remark.cure


def test_a_rule_that_can_never_pass_is_a_warning_and_still_loads() -> None:
    raw = written(changed(measure="evasion.linf/robust_accuracy", where={"eps": 0.1}))
    (remark,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert (remark.level, remark.rule, remark.where) == (
        LintLevel.WARNING,
        "accurate",
        "mine.yaml:9",
    )
    assert "can never pass" in remark.problem
    assert loaded(raw).rules[0].where == {"eps": 0.1}
    accepted = written(changed(measure="evasion.linf/robust_accuracy", accept="withstood"))
    assert lint_policy(accepted, "mine.yaml", CHECKS, CATALOGUES) == ()


def test_a_title_that_reports_would_cut_is_a_warning_and_still_loads() -> None:
    assert lint_policy(written(changed(title="t" * 200)), "mine.yaml", CHECKS, CATALOGUES) == ()
    raw = written(changed(title="t" * 201))
    (remark,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert (remark.level, remark.rule) == (LintLevel.WARNING, "accurate")
    assert "201 characters" in remark.problem
    assert loaded(raw).rules[0].title == "t" * 201


def test_a_condition_on_an_exact_value_is_allowed() -> None:
    rule = changed(measure="provenance.signature/verified", at_least=None, require="reading.value")
    assert lint_policy(written(rule), "mine.yaml", CHECKS, CATALOGUES) == ()


def test_the_parameters_of_a_reading_are_not_those_of_the_policy() -> None:
    rule = changed(at_least=None, require="reading.params.eps > 0.1 && reading.n > 10.0")
    assert lint_policy(written(rule), "mine.yaml", CHECKS, CATALOGUES) == ()


def test_a_rule_may_be_asked_for_each_place() -> None:
    assert loaded(written(changed(for_each="group"))).rules[0].for_each == ("group",)
    both = loaded(written(changed(for_each=["group", "target"]))).rules[0]
    assert both.for_each == ("group", "target")
    assert loaded(written(RULE)).rules[0].for_each == ()


def test_a_rule_for_each_slice_that_can_never_pass_is_doubtful() -> None:
    raw = written(changed(for_each="slice"))
    (doubt,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert doubt.level is LintLevel.WARNING
    assert "proves nothing of the others" in doubt.problem
    accepted = written(changed(for_each="slice", accept="withstood"))
    assert lint_policy(accepted, "mine.yaml", CHECKS, CATALOGUES) == ()


TIMED = "hardware.latency/p99"
QUANTITIES = {
    ("5 %", "quality.accuracy/accuracy"): 0.05,
    ("0.05 share", "quality.accuracy/accuracy"): 0.05,
    ("100 ms", TIMED): 0.1,
    ("100ms", TIMED): 0.1,
    ("1.5e-2 s", TIMED): 0.015,
    ("3 µs", TIMED): 3e-6,
    ("2 min", TIMED): 120.0,
    ("2 MiB", "hardware.latency/size"): 2.0 * 2**20,
    ("1 MB", "hardware.latency/size"): 1e6,
    ("1e3 1/s", "hardware.latency/throughput"): 1000.0,
    ("6 1/min", "hardware.latency/throughput"): 0.1,
    ("1 nat", "quality.accuracy/nll"): 1.0,
    ("1 bit", "quality.accuracy/nll"): math.log(2),
}


@pytest.mark.parametrize(("asked", "number"), QUANTITIES.items(), ids=str)
def test_a_bound_is_converted_to_the_unit_of_its_metric(
    asked: tuple[str, str], number: float
) -> None:
    text, measure = asked
    rule = changed(at_least=None, at_most=text, measure=measure)
    (loaded_rule,) = loaded(written(rule)).rules
    assert loaded_rule.limits == MetricLimits(most=number)


def test_a_param_may_have_a_unit_too() -> None:
    head = HEAD.replace("floor: 0.8", "floor: 80 %")
    assert loaded(written(RULE, head=head)).rules[0].limits == MetricLimits(least=0.8)


@pytest.mark.parametrize(
    ("text", "measure", "words"),
    [
        ("5 %", TIMED, r"'5 %' does not fit hardware\.latency/p99, which is measured in s"),
        ("5 s", "quality.accuracy/accuracy", "measured in share.*Write it in share, %"),
        ("5 KB", "hardware.latency/size", "measured in B.*kB, MB"),
        ("5 %", "provenance.signature/signers", "measured in no unit.*Write the number alone"),
        ("120 %", "quality.accuracy/accuracy", "decides nothing"),
        ("five ms", TIMED, "one with its unit as in 100 ms"),
        ("1e999 s", TIMED, "finite|not"),
    ],
)
def test_a_unit_that_does_not_fit_is_refused_with_those_that_do(
    text: str, measure: str, words: str
) -> None:
    with pytest.raises(PolicyError, match=words):
        loaded(written(changed(at_least=None, at_most=text, measure=measure)))


@pytest.mark.parametrize(
    ("asked", "anchored"),
    [
        ({"at_least": "claims.accuracy"}, AnchoredLimits(least=LimitAnchor("accuracy"))),
        (
            {"at_least": "claims.accuracy - 0.02"},
            AnchoredLimits(least=LimitAnchor("accuracy", -0.02)),
        ),
        (
            {"at_least": "claims.accuracy - 2 %"},
            AnchoredLimits(least=LimitAnchor("accuracy", -0.02)),
        ),
        ({"at_most": "claims.acc+params.floor"}, AnchoredLimits(most=LimitAnchor("acc", 0.8))),
        ({"within": [0.1, "claims.accuracy"]}, AnchoredLimits(0.1, LimitAnchor("accuracy"))),
        ({"at_least": "baseline"}, AnchoredLimits(least=LimitAnchor(None))),
        ({"at_least": "baseline - params.floor"}, AnchoredLimits(least=LimitAnchor(None, -0.8))),
        ({"at_most": "baseline + 2 %"}, AnchoredLimits(most=LimitAnchor(None, 0.02))),
        (
            {"within": ["baseline - 0.01", "baseline+0.01"]},
            AnchoredLimits(LimitAnchor(None, -0.01), LimitAnchor(None, 0.01)),
        ),
    ],
)
def test_limits_may_be_taken_from_elsewhere(
    asked: dict[str, Any], anchored: AnchoredLimits
) -> None:
    (rule,) = loaded(written(changed(**{"at_least": None, **asked}))).rules
    assert (rule.limits, rule.anchored) == (None, anchored)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("claims.accuracy - 5 ms", "does not fit"),
        ("claims.accuracy - params.word", "not a number among"),
        ("claims.accuracy * 2", "claims.NAME with a margin"),
        ("claims.accuracy - claims.auc", "claims.NAME with a margin"),
        ("claims", "claims.NAME with a margin"),
        ("baseline.accuracy - 0.1", "or baseline in its place"),
        ("baseline - 5 ms", "does not fit"),
    ],
)
def test_a_claim_with_another_margin_is_refused(text: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        loaded(written(changed(at_least=text)))
