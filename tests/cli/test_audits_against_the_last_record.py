"""An audit that is held against the newest record of its model that the store keeps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from test_audits_against_a_baseline import ONLY, RULE
from test_the_compare_command import turn

from auditor.cli.key_options import open_own_ledger
from auditor.domain.challenges import Challenge, ChallengeOutcome
from auditor.domain.json import compute_digest
from auditor.trust.keys.files import create_key_pair
from auditor.trust.signatures.decisions import sign_challenge
from auditor.trust.signatures.keys import KeySigner

Command = Callable[..., Any]
LAST = ("--baseline", "last")


def record_of(folder: Path) -> str:
    return compute_digest((folder / "record.json").read_bytes())


def named_in(folder: Path) -> str | None:
    request = json.loads((folder / "record.json").read_bytes())["request"]
    return dict(request).get("baseline")


@pytest.mark.slow
def test_a_first_audit_goes_on_without_one_and_says_so(auditor: Command, inside: Path) -> None:
    asked = inside / "audit.yaml"
    asked.write_text(asked.read_text() + "baseline: last\n")
    policy = inside / "policy.yaml"
    policy.write_text(policy.read_text() + RULE.format(margin="20 %").replace("deny", "warn"))
    assert "and none is given" in auditor("plan", asked, *ONLY, "--format", "json").said
    ended = auditor("audit", asked, *ONLY, "--out", "first")
    assert ended.code == 0, ended.said
    assert "No baseline: no record of line on cpu that holds is kept here" in ended.said
    assert named_in(inside / "first") is None
    page = (inside / "first" / "report.html").read_text()
    assert "not compared with an earlier one" in page
    assert 'id="since"' not in page
    assert "and none is given" not in auditor("plan", asked, *ONLY, "--format", "json").said
    other = auditor("audit", asked, *ONLY, "--baseline", "./last", "--out", "second")
    assert other.code == 2
    assert "last/record.json" in other.said


@pytest.fixture
def worse(auditor: Command, finished: Path) -> Path:
    """The folder of a second version, held against the record of the first; it errs more often."""
    turn(finished / "model.onnx")
    asked = (finished / "audit.yaml").read_text().replace("1.0.0", "2.0.0")
    (finished / "audit.yaml").write_text(asked)
    ended = auditor("audit", "audit.yaml", *ONLY, *LAST, "--out", "worse")
    assert ended.code == 1, ended.said
    first = record_of(finished / "out")
    assert "Baseline: line 1.0.0, decided 20" in ended.said
    assert f"verdict pass, record {first}" in ended.said
    assert named_in(finished / "worse") == first
    return finished / "worse"


@pytest.mark.slow
def test_report_and_summary_say_what_moved_since_the_last_record(
    auditor: Command, worse: Path
) -> None:
    page, summary = ((worse / name).read_text() for name in ("report.html", "summary.md"))
    assert "<h2>Since line 1.0.0</h2>" in page
    assert "Got worse" in page
    assert "Baseline record" in page  # in the graph of the lineage
    assert "not compared with an earlier one" not in page
    assert "## Since line 1.0.0\n" in summary
    assert "| Got worse | Accuracy | quality.accuracy/accuracy | cpu |" in summary
    assert "It is right often enough, cpu: Passed before, Failed now" in summary
    assert "Other differences:" in summary
    said = auditor("lineage", "worse").said
    assert f"baseline:{record_of(worse.parent / 'out').removeprefix('sha256:')[:12]}" in said
    assert auditor("verify", worse, "--key", worse / "signer.pub").code == 0
    assert auditor("reproduce", worse).code == 0


def test_the_newest_is_taken_and_what_another_key_signed_is_passed_over(
    auditor: Command, worse: Path
) -> None:
    folder = worse.parent
    ended = auditor("audit", "audit.yaml", *ONLY, *LAST, "--out", "third")
    assert named_in(folder / "third") == record_of(worse)
    assert (
        "figures that both records have, none moved"
        in (folder / "third" / "summary.md").read_text()
    )
    create_key_pair(folder / "other", stem="other")
    key = ("--baseline-key", folder / "other" / "other.pub")
    ended = auditor("audit", "audit.yaml", *ONLY, *LAST, *key, "--out", "fourth")
    assert ended.code == 1
    assert f"Passed over: the baseline record {record_of(folder / 'third')} does not" in ended.said
    assert "No baseline" in ended.said
    assert named_in(folder / "fourth") is None


@pytest.mark.slow
def test_a_model_that_fell_behind_does_not_pass_at_the_second_try(
    auditor: Command, finished: Path
) -> None:
    text = (finished / "policy.yaml").read_text().replace("at_least: 0.6", "at_least: 0.05")
    (finished / "policy.yaml").write_text(text + RULE.format(margin="20 %"))
    turn(finished / "model.onnx")
    for out in ("second", "third"):
        ended = auditor("audit", "audit.yaml", *ONLY, *LAST, "--out", out)
        assert ended.code == 1, ended.said
        assert named_in(finished / out) == record_of(finished / "out")
    assert f"record {record_of(finished / 'second')} did not keep not-worse" in ended.said


@pytest.mark.slow
def test_a_record_that_was_challenged_is_passed_over(auditor: Command, worse: Path) -> None:
    told = Challenge(
        record=record_of(worse), record_id="aud-1", artifact=None, target="cpu",
        identity=compute_digest(b"cpu"), examples=compute_digest(b"examples"), trials=(),
        disproved=(), moved=(), outcome=ChallengeOutcome.REFUTED,
        signer=f"key:{compute_digest(b'key')}", tried="2026-01-01T00:00:00Z",
    )  # fmt: skip
    signer = KeySigner(ec.derive_private_key(83, ec.SECP256R1()))
    with open_own_ledger() as store, store.unit_of_work() as work:
        work.challenge(told, sign_challenge(told, signer))
    ended = auditor("audit", "audit.yaml", *ONLY, *LAST, "--out", "third")
    assert f"Passed over: record {record_of(worse)} was challenged" in ended.said
    assert named_in(worse.parent / "third") == record_of(worse.parent / "out")


def test_only_an_audit_can_ask_for_the_last_record(auditor: Command, finished: Path) -> None:
    ended = auditor("judge", "out", *LAST)
    assert ended.code == 2
    assert "is for audits" in ended.said
    assert not (finished / "out-judged").exists()
