"""The pack privacy: leaks and poison fail it, silence never passes it, claims are asked if made."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from judging_cases import CONTEXT, measured

from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.gaps import NOT_SEEN, SHOWN, VERDICT
from auditor.domain.json import Json
from auditor.domain.policies import Policy, Rule, RuleEffect
from auditor.domain.readings import BoundKind, Measurement
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.evaluate.engine import judge_readings
from auditor.policy.load import find_policy_bytes, load_policy

FOLDER = find_shipped_folder("policies")
CLAIMED = {"privacy": {"epsilon": 1.0, "delta": 1e-6, "file": "sha256:" + "0" * 64}}
DIFFERENCE = "epsilon_claimed_minus_recomputed"


@pytest.fixture(scope="module")
def pack() -> Policy:
    raw, source = find_policy_bytes("privacy", FOLDER, FOLDER)
    return load_policy(raw, source, discover_checks(), load_catalogues(FOLDER))


def said(rule: Rule, word: str, *, doubted: bool = False) -> Measurement:
    return measured(
        word, check=rule.check, metric=VERDICT, bound=BoundKind.AT_LEAST, doubted=doubted,
        params=rule.where,
    )  # fmt: skip


def judged(
    pack: Policy, *readings: Measurement, claims: Mapping[str, Json] | None = None
) -> Mapping[str, Finding]:
    context = replace(CONTEXT, claims=claims or {})
    return {item.rule: item for item in judge_readings(pack, lambda _: readings, context)}


def on_verdicts(pack: Policy) -> list[Rule]:
    return [rule for rule in pack.rules if rule.metric == VERDICT]


def test_a_leak_or_a_backdoor_that_is_shown_fails_its_rule(pack: Policy) -> None:
    assert on_verdicts(pack)
    for rule in on_verdicts(pack):
        found = judged(pack, said(rule, SHOWN), claims=CLAIMED)[rule.id]
        assert found.outcome is Outcome.FAILED, rule.id


def test_what_was_not_seen_is_withstood_and_what_is_doubted_is_unknown(pack: Policy) -> None:
    for rule in on_verdicts(pack):
        seen = judged(pack, said(rule, NOT_SEEN), claims=CLAIMED)[rule.id]
        open_ = judged(pack, said(rule, NOT_SEEN, doubted=True), claims=CLAIMED)[rule.id]
        assert (seen.outcome, open_.outcome) == (Outcome.WITHSTOOD, Outcome.UNKNOWN), rule.id


def test_silence_passes_nothing(pack: Policy) -> None:
    found = judged(pack, claims=CLAIMED)
    assert {item.outcome for item in found.values()} == {Outcome.UNKNOWN}


def test_a_claim_is_asked_about_where_one_is_made(pack: Policy) -> None:
    of_claims = {rule.id for rule in pack.rules if rule.check == "privacy.dp_claim"}
    without, with_one = judged(pack), judged(pack, claims=CLAIMED)
    assert {without[rule].outcome for rule in of_claims} == {Outcome.NOT_APPLICABLE}
    assert {with_one[rule].outcome for rule in of_claims} == {Outcome.UNKNOWN}


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(-1.1, -0.9, Outcome.FAILED), (0.0, 0.1, Outcome.PASSED), (-0.1, 0.1, Outcome.UNKNOWN)],
)
def test_a_claim_below_its_own_arithmetic_fails(
    pack: Policy, low: float, high: float, outcome: Outcome
) -> None:
    reading = measured((low + high) / 2, low, high, check="privacy.dp_claim", metric=DIFFERENCE)
    assert judged(pack, reading, claims=CLAIMED)["privacy-as-claimed"].outcome is outcome


def test_all_that_denies_kept_is_a_verdict_and_one_failure_ends_it(pack: Policy) -> None:
    denying = [rule.id for rule in pack.rules if rule.effect is RuleEffect.DENY]
    asked = [rule for rule in on_verdicts(pack) if rule.id in denying]
    kept = [said(rule, NOT_SEEN) for rule in asked]
    difference = measured(0.1, 0.0, 0.2, check="privacy.dp_claim", metric=DIFFERENCE)

    def verdict(*readings: Measurement) -> Verdict:
        found = judged(pack, *readings, claims=CLAIMED)
        return Verdict.of(found[rule].outcome for rule in denying)

    assert verdict(*kept, difference) is Verdict.PASS
    assert verdict(said(asked[-1], SHOWN), *kept[:-1], difference) is Verdict.FAIL
