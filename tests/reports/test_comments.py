"""A comment on a pull request: short, the verdict first, and green for nothing but a pass."""

import re
from dataclasses import replace

import pytest
import waiver_papers
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import (
    EVERY_RECORD,
    FAILING,
    FINDINGS,
    HOSTILE,
    HOSTILE_RECORD,
    OPEN,
    PASSING,
    inputs_of,
)

from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import WaiverRef
from auditor.reports.formats.ci import (
    MARKS,
    CommentContext,
    build_comment_marker,
    render_comment,
    render_unverified_comment,
)
from auditor.reports.html.verdict import VerdictWording, describe_verdict, find_verdict_expiry
from auditor.reports.signer_text import shorten_key
from auditor.reports.waiver_text import list_exceptions
from auditor.trust.signatures.decisions import open_waiver, sign_waiver

GREEN = MARKS[Verdict.PASS]
MOST = 65_536
every_record = pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)


ALONE = CommentContext()


def comment(record: AuditRecord, standing: CommentContext = ALONE) -> str:
    return render_comment(inputs_of(record), standing)


def unclosed(written: str) -> int:
    """Count hidden parts that do not end; a mark after a backslash hides nothing."""
    return len(re.findall(r"(?<!\\)<!--", written)) - len(re.findall(r"-->", written))


@every_record
def test_the_verdict_stands_under_the_hidden_line(record: AuditRecord) -> None:
    hidden, headline, *_ = comment(record).splitlines()
    assert hidden == build_comment_marker(record)
    shown = Verdict.INCONCLUSIVE if list_exceptions(record) else record.verdict
    assert headline.startswith(f"## {MARKS[shown]} ")


def test_the_hidden_line_is_that_of_the_model_and_the_policy() -> None:
    assert build_comment_marker(FAILING) == build_comment_marker(PASSING)
    request = FAILING.request
    assert build_comment_marker(FAILING) != build_comment_marker(
        replace(FAILING, request=replace(request, name="other"))
    )


@every_record
def test_only_a_pass_that_is_believed_is_green(record: AuditRecord) -> None:
    kept = record.verdict is Verdict.PASS and not list_exceptions(record)
    assert (GREEN in comment(record)) == kept
    doubted = comment(record, CommentContext(mistakes=("freshness: it is 91 days old",)))
    assert GREEN not in doubted
    assert "91 days" in doubted
    assert GREEN not in render_unverified_comment(record, ("signature: it does not hold",))


def test_of_a_record_that_does_not_verify_no_figure_is_shown() -> None:
    written = render_unverified_comment(PASSING, ("signature: it does not hold",))
    assert "signature: it does not hold" in written
    assert "0.9" not in written
    assert "Robust" not in written


def test_what_came_out_otherwise_than_in_the_base_is_listed() -> None:
    written = comment(FAILING, CommentContext(base=PASSING))
    assert "The verdict was **pass** and is **fail**." in written
    assert "| robust-linf | cpu | Withstood | Failed |" in written
    assert "| calibrated | cpu | not asked | Undecided |" in written
    assert "| accurate |" not in written


def test_a_base_that_is_equal_changes_nothing() -> None:
    assert "No rule came out otherwise." in comment(FAILING, CommentContext(base=FAILING))


def test_a_base_of_another_policy_is_named_so() -> None:
    policy = replace(OPEN.request.policy, digest="sha256:" + "0" * 64, name="older")
    base = replace(OPEN, request=replace(OPEN.request, policy=policy))
    assert "judged by another policy: older" in comment(OPEN, CommentContext(base=base))


def test_why_nothing_is_compared_is_said() -> None:
    said = comment(FAILING, CommentContext(because="the base does not verify"))
    assert "Nothing is compared: the base does not verify" in said


def test_details_are_folded_and_every_fold_is_closed() -> None:
    written = comment(FAILING)
    assert written.count("<details>") == written.count("</details>") == 2


@pytest.mark.parametrize("count", [1, 41, 700])
def test_the_comment_is_short_enough_and_whole(count: int) -> None:
    some = FAILING.findings[1]
    crowd = tuple(
        replace(some, target=f"t{number}", message="m" * 5_000, remediation="ü" * 5_000)
        for number in range(count)
    )
    written = comment(replace(FAILING, findings=crowd), CommentContext(base=PASSING))
    assert len(written.encode()) < MOST
    assert written.count("<details>") == written.count("</details>") == 2
    if count > 1:
        assert f"{count - 40} more are in the report." in written


def test_hostile_words_make_neither_markup_nor_a_mention() -> None:
    calling = "@octocat closes #1 <b> <!-- "
    findings = tuple(replace(item, title=calling) for item in FAILING.findings)
    written = comment(replace(FAILING, findings=findings))
    assert "@octocat" not in written
    assert "#1 " not in written
    assert "<b>" not in written
    assert unclosed(written) == 0
    assert HOSTILE not in comment(HOSTILE_RECORD)


@given(st.text())
def test_any_message_leaves_the_comment_whole(text: str) -> None:
    findings = tuple(replace(item, message=text, title=text) for item in FAILING.findings)
    written = comment(replace(FAILING, findings=findings))
    assert written.count("<details>") == written.count("</details>") == 2
    assert unclosed(written) == 0


def test_a_waived_rule_stands_among_what_is_not_kept_and_its_waiver_ends_the_verdict() -> None:
    signed = sign_waiver(
        waiver_papers.read(
            rule="robust-linf",
            model=FAILING.request.name,
            artifact=FAILING.request.artifact.digest if FAILING.request.artifact else None,
            policy=FAILING.request.policy.name,
            created="2026-11-01T00:00:00Z",
            expires="2026-12-01",
        ),
        waiver_papers.new_signer(),
    )
    found = open_waiver(signed, "w.json")
    ref = WaiverRef(compute_digest(signed), found.digest, compute_digest(b"key"), "w.json")
    request = replace(FAILING.request, waivers=(ref,))
    waived = replace(FINDINGS[1], outcome=Outcome.WAIVED, waiver=found.digest)
    record = replace(FAILING, request=request, findings=(FINDINGS[0], waived))
    inputs = replace(inputs_of(record), blob=lambda _: signed)
    assert find_verdict_expiry(inputs) == "1 December 2026, 00:00 UTC"
    assert "**Waived**" in render_comment(inputs, CommentContext())


def test_a_headline_names_the_key_of_waivers_and_quotes_the_names_in_them() -> None:
    signer = waiver_papers.new_signer()
    pem = signer.public_pem()
    waivers, findings = [], []
    blobs = {compute_digest(pem): pem}
    for ticket, approver in (("R-1", "Chief Risk Officer"), ("R-2", "European Central Bank")):
        words = {"ticket": ticket, "approver": approver, "model": PASSING.request.name}
        signed = sign_waiver(waiver_papers.read(**words), signer)
        found = open_waiver(signed, "w.json")
        blobs[compute_digest(signed)] = signed
        ref = WaiverRef(compute_digest(signed), found.digest, compute_digest(pem), "w.json")
        waivers.append(ref)
        findings.append(
            replace(PASSING.findings[0], rule=ticket, outcome=Outcome.WAIVED, waiver=found.digest)
        )

    def told(many: int, *more: Finding) -> VerdictWording:
        request = replace(PASSING.request, waivers=tuple(waivers[:many]))
        record = replace(PASSING, request=request, findings=(*findings[:many], *more))
        return describe_verdict(replace(inputs_of(record), blob=blobs.__getitem__))

    key = f"key {shorten_key(signer.identity)}"
    assert told(1).headline.endswith(
        f"until 1 May 2026 by {key}, which names itself “Chief Risk Officer”"
    )
    both = told(2)
    assert both.headline.endswith(f"by {key}, which signed in 2 different names")
    said = "signed waivers in 2 different names: “Chief Risk Officer”; “European Central Bank”."
    assert any(text.endswith(said) for text in both.sentences)
    failed = told(2, replace(PASSING.findings[0], rule="f", outcome=Outcome.FAILED))
    assert "1 of 3 required rules failed. 2 more are waived." in failed.sentences
    assert sum(text.startswith("Waived until 1 May 2026") for text in failed.sentences) == 2
