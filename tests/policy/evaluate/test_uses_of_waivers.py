"""What came of each waiver that an audit was given, and the words of the findings it touches."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from bare_records import bare_record
from judging_cases import CONTEXT, POLICY, RULE, measured
from waiver_papers import NOW, read

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import TargetSpec
from auditor.domain.waivers import Waiver, WaiverSubject
from auditor.policy.evaluate.engine import (
    WaiverStatus,
    WaiverUse,
    build_waiver_subject,
    covers_finding,
    equals_but_for_waivers,
    evaluate_waivers,
    judge_readings,
)

ARTIFACT = Artifact("model", "1.0.0", (FileDigest("model.onnx", 3, "ab" * 32),))
REQUEST = AuditRequest(
    name="model",
    version="1.0.0",
    artifact=ARTIFACT,
    targets=(TargetSpec("cpu"), TargetSpec("gpu")),
    datasets=(),
    policy=PolicyRef("tests", "1.0.0", "sha256:0"),
    audit_file="",
    seed=7,
    budget=Budget.CI,
)
RULES = (RULE, replace(RULE, id="fair", metric="gap"), replace(RULE, id="fast", when="served"))


def waiver(rule: str = "accurate", **changes: object) -> Waiver:
    return read(**{"rule": rule, "artifact": ARTIFACT.digest, **changes})


def judged(waivers: Sequence[Waiver], now: str = NOW) -> tuple[Finding, ...]:
    """Judge two targets: accuracy fails, the gap passes, and speed is not asked for."""
    readings = [
        reading
        for target in ("cpu", "gpu")
        for reading in (
            measured(0.5, 0.4, 0.6, target=target),
            measured(0.9, 0.85, 0.95, metric="gap", target=target),
        )
    ]
    context = replace(
        CONTEXT,
        targets=("cpu", "gpu"),
        artifact=ARTIFACT.digest,
        waivers=tuple(waivers),
        now=now,
    )
    return judge_readings(replace(POLICY, rules=RULES), lambda _: readings, context)


def used(*waivers: Waiver, now: str = NOW) -> list[WaiverUse]:
    """Return what came of waivers in a record whose audit was given them."""
    record = bare_record(
        request=REQUEST, findings=judged(waivers, now), registered=now, finished=now
    )
    return list(evaluate_waivers(record, waivers))


OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("given", "use", "detail", "targets"),
    [
        (waiver(), WaiverStatus.USED, "on cpu, gpu", ("cpu", "gpu")),
        (waiver(target="gpu"), WaiverStatus.USED, "on gpu", ("gpu",)),
        (waiver(artifact=OTHER), WaiverStatus.FOREIGN, f"it is for another artifact, {OTHER}", ()),
        (
            waiver("other", artifact=OTHER),
            WaiverStatus.FOREIGN,
            f"it is for another artifact, {OTHER}",
            (),
        ),
        (waiver("other"), WaiverStatus.UNMATCHED, "no finding is of other", ()),
        (
            waiver("other", target="gpu"),
            WaiverStatus.UNMATCHED,
            "no finding is of other on gpu",
            (),
        ),
        (waiver(target="npu"), WaiverStatus.UNMATCHED, "no finding is of accurate on npu", ()),
        (
            waiver("other", expires="2026-02-20"),
            WaiverStatus.UNMATCHED,
            "no finding is of other",
            (),
        ),
        (
            waiver(expires="2026-02-20"),
            WaiverStatus.EXPIRED,
            "it expired on 20 February 2026, 00:00 UTC",
            (),
        ),
        (
            waiver(created="2026-04-01"),
            WaiverStatus.EARLY,
            "it is valid from 1 April 2026, 00:00 UTC on",
            (),
        ),
        (waiver("fair"), WaiverStatus.UNNEEDED, "fair came to passed", ()),
        (waiver("fast"), WaiverStatus.UNNEEDED, "fast came to not applicable", ()),
    ],
)
def test_what_came_of_a_waiver_is_said_with_its_reason(
    given: Waiver, use: WaiverStatus, detail: str, targets: tuple[str, ...]
) -> None:
    assert used(given) == [WaiverUse(given, use, detail, targets)]
    assert used(given)[0].idle is (use is not WaiverStatus.USED)


def test_of_two_waivers_of_a_rule_one_is_used_and_the_other_not_needed() -> None:
    first, last = waiver(expires="2026-04-01"), waiver(expires="2026-06-01")
    assert used(first, last) == [
        WaiverUse(first, WaiverStatus.UNNEEDED, "accurate is waived by another waiver"),
        WaiverUse(last, WaiverStatus.USED, "on cpu, gpu", ("cpu", "gpu")),
    ]
    somewhere = waiver(target="gpu", expires="2026-07-01")
    assert used(last, somewhere) == [
        WaiverUse(last, WaiverStatus.USED, "on cpu", ("cpu",)),
        WaiverUse(somewhere, WaiverStatus.USED, "on gpu", ("gpu",)),
    ]


def test_a_waived_finding_says_who_answers_for_what_and_what_is_done_instead() -> None:
    before = judged([])[0].message
    plain = waiver(reason="The sensor is replaced in April.")
    assert judged([plain])[0].message == (
        f"{before} Waived until 1 May 2026, 00:00 UTC, though it failed. The signer of the waiver "
        "RISK-12 writes: “The sensor is replaced in April”, and names anna@example.org as approver "
        "and olga@example.org as the owner of the risk."
    )
    beside = waiver(compensating=["Each alarm is looked at", "weekly review."])
    assert judged([beside])[0].message.endswith(
        "as the owner of the risk. Instead: Each alarm is looked at; weekly review."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expires": "2026-02-20"},
         "expired on 20 February 2026, 00:00 UTC, and does not count any more"),
        ({"created": "2026-04-01"},
         "is valid from 1 April 2026, 00:00 UTC on, and does not count yet"),
    ],
)  # fmt: skip
def test_a_finding_tells_every_waiver_of_it_that_does_not_count(
    changes: dict[str, str], said: str
) -> None:
    before = judged([])
    idle, foreign = waiver(target="cpu", **changes), waiver(artifact=OTHER, **changes)
    first, *others = judged([idle, foreign, waiver("other", **changes)])
    named = "A waiver (RISK-12, approved by anna@example.org)"
    assert first == replace(before[0], message=f"{before[0].message} {named} {said}.")
    assert others == list(before[1:])


def test_a_waiver_that_counts_hides_those_that_do_not() -> None:
    idle, valid = waiver(expires="2026-02-20"), waiver()
    assert judged([idle, valid]) == judged([valid])


def test_a_waiver_covers_findings_by_rule_target_and_slice() -> None:
    finding = replace(judged([])[0], slice={"sex": "F"})
    assert covers_finding(waiver(slice={"sex": "F"}), finding)
    assert covers_finding(waiver(), finding)
    assert not covers_finding(waiver(slice={"sex": "M"}), finding)
    assert not covers_finding(waiver("fair"), finding)
    assert not covers_finding(waiver(target="gpu"), finding)


def test_what_waivers_are_held_against_is_named_as_in_the_request() -> None:
    named = WaiverSubject("model", ARTIFACT.digest, "tests", "sha256:0")
    assert build_waiver_subject(REQUEST) == named
    assert build_waiver_subject(replace(REQUEST, artifact=None)) == replace(named, artifact=None)


@pytest.mark.parametrize(("before", "after"), [*product(Outcome, repeat=2)])
def test_only_a_waiver_that_ran_out_may_lie_between_two_outcomes_of_the_same_figures(
    before: Outcome, after: Outcome
) -> None:
    ran_out = before is Outcome.WAIVED and after in {Outcome.FAILED, Outcome.UNKNOWN}
    assert equals_but_for_waivers(before, after) is (before is after or ran_out)
