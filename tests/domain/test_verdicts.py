"""The verdict is a fold that fails closed."""

from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.findings import Outcome, Verdict

OUTCOMES = st.lists(st.sampled_from(Outcome))


def test_nothing_at_all_is_inconclusive() -> None:
    assert Verdict.of([]) is Verdict.INCONCLUSIVE


def test_rules_that_do_not_apply_are_silence() -> None:
    assert Verdict.of([Outcome.NOT_APPLICABLE]) is Verdict.INCONCLUSIVE


def test_kept_withstood_and_waived_rules_pass() -> None:
    kept = [Outcome.PASSED, Outcome.WITHSTOOD, Outcome.WAIVED, Outcome.NOT_APPLICABLE]
    assert Verdict.of(kept) is Verdict.PASS


@given(OUTCOMES)
def test_one_more_failure_never_helps(outcomes: list[Outcome]) -> None:
    assert Verdict.of([*outcomes, Outcome.FAILED]) is Verdict.FAIL


@given(OUTCOMES)
def test_one_more_doubt_never_passes(outcomes: list[Outcome]) -> None:
    assert Verdict.of([*outcomes, Outcome.UNKNOWN]) is not Verdict.PASS


@given(OUTCOMES, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(outcomes: list[Outcome], random: object) -> None:
    shuffled = list(outcomes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Verdict.of(shuffled) is Verdict.of(outcomes)


@given(OUTCOMES, st.sampled_from([Outcome.PASSED, Outcome.WITHSTOOD, Outcome.WAIVED]))
def test_one_more_kept_rule_never_hides_a_broken_one(
    outcomes: list[Outcome], kept: Outcome
) -> None:
    if Verdict.of(outcomes) is Verdict.FAIL:
        assert Verdict.of([*outcomes, kept]) is Verdict.FAIL
