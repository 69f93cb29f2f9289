"""Law that a policy rests on goes stale: lint says so, by the day on which it is asked."""

from dataclasses import replace
from datetime import date

import pytest
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, loaded, written

from auditor.domain.policies import UNREAD, FrameworkControl, LegalBasis, ManualDuty
from auditor.policy.explain import explain_policy
from auditor.policy.lint_remarks import LintLevel
from auditor.policy.load import lint_policy

TODAY = date(2026, 12, 1)
CITING = {**RULE, "controls": [{"framework": "owasp-ml", "ref": "ML01"}]}
LEGAL = (
    "{datum: High-risk rules apply, value: 2027-12-02, source: 'https://example.org/law',"
    " verified: 2026-11-27, review_by: 2027-05-27}"
)
DUTY = "{framework: owasp-ml, ref: ML01, asks: Limit queries, owner: deployer}"


def with_metadata(**lists: str) -> str:
    more = "".join(f", {key}: [{value}]" for key, value in lists.items())
    return HEAD.replace("risk@example.org}", f"risk@example.org{more}}}")


def doubts(head: str, today: date = TODAY, **changes: object) -> list[str]:
    catalogues = {"owasp-ml": replace(CATALOGUES["owasp-ml"], **changes)}  # type: ignore[arg-type]
    raw = written(CITING, head=head)
    found = lint_policy(raw, "mine.yaml", CHECKS, catalogues, today)
    assert all(item.level is LintLevel.WARNING and item.where for item in found)
    return [item.problem for item in found]


def test_law_that_was_verified_lately_is_not_remarked() -> None:
    assert doubts(with_metadata(legal=LEGAL)) == []


@pytest.mark.parametrize(
    ("before", "after", "today", "said"),
    [
        ("2026-11-27", "unread", TODAY, "was never read at its source"),
        ("2027-05-27", "2026-11-30", TODAY, "was to be reviewed by 2026-11-30"),
        ("2027-05-27", "2030-01-01", date(2027, 11, 28), "more than a year ago"),
        ("2026-11-27", "2026-12-02", TODAY, "a day yet to come"),
    ],
)
def test_law_is_doubted_that_nobody_read_or_looked_at_for_long(
    before: str, after: str, today: date, said: str
) -> None:
    fresh = {"verified": today.isoformat()}
    (problem,) = doubts(with_metadata(legal=LEGAL.replace(before, after)), today, **fresh)
    assert problem.startswith("High-risk rules apply")
    assert said in problem


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verified": UNREAD}, "the catalogue of OWASP ML was never read"),
        ({"verified": "2025-11-01"}, "last verified on 2025-11-01"),
        ({"review_by": "2026-11-30"}, "to be reviewed by 2026-11-30"),
        ({"unread": frozenset({"ML01"})}, "OWASP ML ML01 was catalogued without reading its text"),
    ],
)
def test_a_catalogue_is_doubted_where_a_rule_cites_it(
    changes: dict[str, object], said: str
) -> None:
    (problem,) = doubts(HEAD, **changes)
    assert said in problem
    assert doubts(with_metadata(cannot_evidence=DUTY), **changes)
    raw = written(RULE)
    assert lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES, TODAY) == ()


def test_without_a_day_nothing_is_stale() -> None:
    raw = written(CITING, head=with_metadata(legal=LEGAL.replace("2026-11-27", "unread")))
    assert lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES) == ()


def test_a_duty_names_a_control_that_is_catalogued() -> None:
    raw = written(RULE, head=with_metadata(cannot_evidence=DUTY.replace("ML01", "ML99")))
    (mistake,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert mistake.level is LintLevel.ERROR
    assert "has no 'ML99'" in mistake.problem


@pytest.mark.parametrize("day", ["2026-11-31", "lately", "2026-11"])
def test_a_day_that_is_none_is_refused(day: str) -> None:
    raw = written(RULE, head=with_metadata(legal=LEGAL.replace("2027-05-27", f"'{day}'")))
    (mistake,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert "review_by" in mistake.problem


def test_duties_law_and_thresholds_reach_the_policy() -> None:
    head = with_metadata(legal=LEGAL, cannot_evidence=DUTY)
    policy = loaded(written({**RULE, "threshold": "A starting point."}, head=head))
    assert policy.cannot_evidence == (
        ManualDuty(FrameworkControl("owasp-ml", "ML01"), "Limit queries", "deployer"),
    )
    assert policy.legal == (
        LegalBasis(
            "High-risk rules apply", "2027-12-02", "https://example.org/law", "2026-11-27",
            "2027-05-27",
        ),
    )  # fmt: skip
    assert policy.rules[0].threshold == "A starting point."


def test_an_explanation_says_what_is_left_to_whom_and_which_law_nobody_read() -> None:
    raw = written(RULE, head=with_metadata(legal=LEGAL, cannot_evidence=DUTY))
    told = dict(explain_policy(loaded(raw), CHECKS, CATALOGUES)[0].said)
    assert told["Left to"] == "deployer (owasp-ml ML01): Limit queries"
    assert told["Law"].startswith("High-risk rules apply: 2027-12-02 (verified 2026-11-27")
    unread = written(RULE, head=with_metadata(legal=LEGAL.replace("2026-11-27", "unread")))
    assert (
        "not yet verified"
        in dict(explain_policy(loaded(unread), CHECKS, CATALOGUES)[0].said)["Law"]
    )
