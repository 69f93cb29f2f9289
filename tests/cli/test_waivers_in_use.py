"""`auditor waive`: leave for one rule, signed by who may give it, told everywhere, until a day."""

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from auditor._time import format_moment
from auditor.domain.findings import Outcome, Verdict
from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.record_json import read_record
from auditor.domain.waivers import Waiver
from auditor.reports.folder import EVIDENCE, RECORD, RecordFolder
from auditor.reports.html.run_details import shorten_digest
from auditor.trust.keys.files import create_key_pair, load_signer
from auditor.trust.signatures.decisions import open_waiver, sign_waiver
from auditor.trust.signatures.keys import read_public_key

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy")
LEAVE = (
    "--rule", "accuracy", "--reason", "The sensor is replaced soon.", "--ticket", "RISK-1",
    "--owner", "olga@example.org", "--expires", "90d",
)  # fmt: skip
ANNA = (*LEAVE, "--approver", "anna@example.org", "--key", "anna/decision.key")
MAY = ("--waiver-key", "anna/decision.pub")
TOLD = ("--waiver", "w.json", *MAY)
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "policy.yaml",
    "--record", "waived", "--key", "waived/signer.pub",
)  # fmt: skip


@pytest.fixture
def place(auditor: Command, inside: Path, once: Once) -> Path:
    """The folder of an audit that fails (out), its waiver (w.json), and the same waived."""

    def make() -> None:
        policy = inside / "policy.yaml"
        policy.write_text(policy.read_text().replace("0.6", "0.97"))
        assert auditor(*AUDITED, "--out", "out").code == 1
        for name in ("anna", "bob"):
            create_key_pair(inside / name, stem="decision")
        ended = auditor("waive", "out", *ANNA, "--out", "w.json")
        assert ended.code == 0, ended.said
        assert "accuracy on cpu failed: Required: accuracy of at least 97 %" in ended.said
        assert auditor(*AUDITED, *TOLD, "--out", "waived").code == 0

    once("place", make)
    return inside


def waiver() -> Waiver:
    return open_waiver(Path("w.json").read_bytes(), "w.json")


def signed(name: str, key: str = "anna/decision.key", **changes: Any) -> None:  # noqa: ANN401
    """Write a waiver changed, under a signature that holds."""
    Path(name).write_bytes(sign_waiver(replace(waiver(), **changes), load_signer(Path(key))))


def ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_waived_rule_passes_is_told_and_verifies(auditor: Command, place: Path) -> None:
    record = read_record((place / "waived" / RECORD).read_bytes())
    (finding,) = record.findings
    assert (record.verdict, finding.outcome) == (Verdict.PASS, Outcome.WAIVED)
    assert finding.waiver == record.request.waivers[0].waiver == waiver().digest
    assert (
        "The signer of the waiver RISK-1 writes: “The sensor is replaced soon”" in finding.message
    )
    assert ("waiver", record.request.waivers[0].digest) in {
        (edge.role, edge.destination) for edge in record.lineage
    }
    ended = auditor("verify", "waived", "--key", "waived/signer.pub")
    assert ended.code == 0
    assert "holds waiver RISK-1 accuracy: used on cpu; until" in ended.said
    assert auditor("reproduce", "waived").code == 0
    assert auditor("ledger", "verify").code == 0


def test_a_pass_by_waiver_is_one_by_exception_everywhere(auditor: Command, place: Path) -> None:
    ended = auditor(*AUDITED, *TOLD, "--out", "again")
    assert "Verdict: PASS (1 required rule failed and is waived) under" in ended.said
    key = read_public_key((place / "anna/decision.pub").read_bytes()).identity
    short = key.removeprefix("key:sha256:")[:12]
    assert f"signed by key {short}" in ended.said
    when = datetime.fromisoformat(waiver().expires)
    headline = (
        f"Approved by exception: 1 of 1 required rule failed and is waived until {when.day} "
        f"{when:%B %Y} by key {short}, which names itself “anna@example.org”"
    )
    summary = (place / "waived" / "summary.md").read_text().replace("\\", "")
    assert summary.startswith(f"# {headline}\n")
    for text in (summary, (place / "waived" / "report.html").read_text()):
        assert headline in text
        assert (
            f"signed by key {short}; only the audit file or the command line of the audit" in text
        )
        assert " is approved by exception on cpu" in text
        assert (
            "The signer names “anna@example.org” as the approver and “olga@example.org” as" in text
        )
        assert text.count("not the names that the waiver holds") == 1
    page = (place / "waived" / "report.html").read_text()
    assert 'class="verdict v-exception"' in page
    assert "Approved for deployment" not in page
    opened = auditor(*GATE, *MAY)
    assert "every required rule passed or is waived (1 waived: accuracy)" in opened.said
    assert "Gate: open" in opened.said


def test_every_output_tells_who_waived_what_until_when(auditor: Command, place: Path) -> None:
    until = waiver().expires
    written = format_moment(until)
    told = (
        "anna@example.org",
        "olga@example.org",
        "RISK-1",
        "The sensor is replaced soon",
        written,
    )
    for name in ("report.html", "summary.md", "results.sarif", "junit.xml"):
        text = (place / "waived" / name).read_text().replace("\\", "")
        assert [word for word in told if word not in text] == [], name
    (run,) = json.loads((place / "waived" / "results.sarif").read_bytes())["runs"]
    (suppression,) = run["results"][0]["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert suppression["properties"] == {
        "ticket": "RISK-1", "expires": until, "owner": told[1], "approver": told[0],
        "waiver": waiver().digest,
    }  # fmt: skip
    (case,) = ET.parse(place / "waived" / "junit.xml").iter("testcase")  # noqa: S314 -- our own
    assert case.find("skipped") is not None
    vsa = json.loads((place / "waived" / "verdict.vsa.json").read_bytes())
    said = json.loads(base64.b64decode(vsa["dsseEnvelope"]["payload"]))["predicate"]
    bundle = compute_digest((place / "w.json").read_bytes()).removeprefix("sha256:")
    assert {"uri": "urn:auditor:waiver:w.json", "digest": {"sha256": bundle}} in said[
        "inputAttestations"
    ]
    page = (place / "waived" / "report.html").read_text()
    assert '<section id="decisions">' in page
    assert until not in page
    # One waiver has one digest on the page: that of its file, as its commands and the ledger show
    assert f"RISK-1 ({shorten_digest(f'sha256:{bundle}')})" in page
    assert shorten_digest(waiver().digest) not in page
    assert (
        f"valid until {written}. Report signed by key" in page
    )  # the policy sets no end, and the waiver does
    assert "approvals/" in page
    assert '<section id="decisions">' not in (place / "out" / "report.html").read_text()


@pytest.mark.slow
def test_the_same_in_the_audit_file_gives_a_record_that_is_reproduced(
    auditor: Command, place: Path
) -> None:
    with (place / "audit.yaml").open("a") as file:
        file.write("waivers: [w.json]\nwaiver_keys: [anna/decision.pub]\n")
    assert auditor(*AUDITED, "--out", "again").code == 0
    assert auditor("reproduce", "again").code == 0


@pytest.mark.parametrize(("named", "code", "verdict"), [((), 1, "fail"), (MAY, 0, "pass")])
def test_in_ci_an_audit_file_does_not_say_alone_whose_waivers_count(
    auditor: Command, place: Path, named: tuple[str, ...], code: int, verdict: str
) -> None:
    """A merge that breaks a rule could bring a key of its own, and a waiver by it."""
    with (place / "audit.yaml").open("a") as file:
        file.write("waivers: [w.json]\nwaiver_keys: [anna/decision.pub]\n")
    ended = auditor(*AUDITED, *named, "--ci", "gitlab", "--out", "again")
    assert ended.code == code, ended.said
    assert ("w.json) that only the audit file allows" in ended.said) is (code == 1)
    assert f"AUDITOR_VERDICT={verdict}" in (place / "auditor.env").read_text()


def test_judging_again_takes_waivers_and_runs_no_model(auditor: Command, place: Path) -> None:
    (place / "model.onnx").unlink()
    ended = auditor("judge", "out", *TOLD, "--out", "judged")
    assert ended.code == 0, ended.said
    assert "waiver RISK-1 of accuracy: used, on cpu" in ended.said
    assert auditor("verify", "judged", "--key", "judged/signer.pub").code == 0
    # Waivers of the old record do not count by themselves.
    assert auditor("judge", "waived", "--policy", "policy.yaml", "--out", "bare").code == 1


def test_nobody_waives_but_who_was_named(auditor: Command, place: Path) -> None:
    ended = auditor(*AUDITED, "--waiver", "w.json", "--out", "no")
    assert (ended.code, "no key for waivers is named" in ended.said) == (2, True)
    ended = auditor(*AUDITED, "--waiver", "w.json", "--waiver-key", "bob/decision.pub")
    assert ended.code == 2
    assert "w.json is not signed by any of the 1 keys for waivers" in ended.said
    assert not (place / "no").exists()


@pytest.mark.slow
def test_a_changed_waiver_a_draft_and_one_given_twice_are_refused(
    auditor: Command, place: Path
) -> None:
    bundle = json.loads(Path("w.json").read_bytes())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(
        payload.replace(b"olga@", b"otto@")
    ).decode()
    (place / "changed.json").write_bytes(encode_canonical(bundle))
    ended = auditor(*AUDITED, "--waiver", "changed.json", *MAY)
    assert ended.code == 2
    assert "the signature of changed.json does not hold: SIGNATURE" in ended.said
    (place / "draft.yaml").write_text(yaml.safe_dump(waiver().to_json()))
    ended = auditor(*AUDITED, "--waiver", "draft.yaml", *MAY)
    assert (ended.code, "draft.yaml is not signed" in ended.said) == (2, True)
    shutil.copy("w.json", "copy.json")
    ended = auditor(*AUDITED, *TOLD, "--waiver", "copy.json")
    assert (ended.code, "says the same as w.json" in ended.said) == (2, True)


def test_who_audits_may_not_waive(auditor: Command, place: Path, home: Path) -> None:
    signed("own.json", str(home / "signer.key"))
    ended = auditor(*AUDITED, "--waiver", "own.json", "--waiver-key", home / "signer.pub")
    assert (ended.code, "who audits may not waive" in ended.said) == (2, True)
    ended = auditor("waive", "out", *ANNA[:-1], home / "signer.key", "--out", "x.json")
    assert ended.code == 2
    assert "signer.pub is the report key, and may not be the decision key too" in ended.said


def test_an_expired_waiver_and_a_foreign_one_waive_nothing_and_say_so(
    auditor: Command, place: Path
) -> None:
    signed("old.json", created=ago(60), expires=ago(1))
    signed("other.json", artifact="sha256:" + "b" * 64)
    ended = auditor(*AUDITED, "--waiver", "old.json", "--waiver", "other.json", *MAY, "--out", "no")
    assert ended.code == 1
    day = format_moment(ago(1)).partition(",")[0]
    assert f"unused waiver RISK-1 of accuracy: expired, it expired on {day}" in ended.said
    assert "for something else, it is for another artifact, sha256:bbbb" in ended.said
    (finding,) = read_record((place / "no" / RECORD).read_bytes()).findings
    assert finding.outcome is Outcome.FAILED
    assert f"expired on {day}" in finding.message
    for name in ("report.html", "summary.md", "results.sarif", "junit.xml"):
        text = (place / "no" / name).read_text().replace("\\", "")
        assert "The waiver RISK-1 of accuracy waived nothing: it expired on" in text, name
        assert "waived nothing: it is for another artifact" in text, name
    assert auditor("verify", "no", "--key", "no/signer.pub").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--approver", " OLGA@example.org"), "who is the owner as well"),
        (("--approver", "anna", "--expires", "200d"), "more than 180 days"),
        (("--approver", "anna", "--expires", "2y"), "--expires 2y is neither an age nor a date"),
        (("--approver", "anna", "--reason", "because"), "no reason"),
        (("--approver", "anna", "--rule", "other"), "the rule does not exist"),
        (("--approver", "anna", "--target", "gpu"), "no finding is on gpu"),
        (("--owner", "otto"), "the waiver lacks --approver"),
    ],
)
def test_what_no_waiver_may_be_is_not_signed(
    auditor: Command, place: Path, words: tuple[str, ...], said: str
) -> None:
    ended = auditor("waive", "out", *LEAVE, *words, "--key", "anna/decision.key", "--out", "x.json")
    assert (ended.code, said in ended.said) == (2, True), ended.said
    assert not (place / "x.json").exists()


def test_a_rule_that_was_kept_is_not_waived(auditor: Command, place: Path) -> None:
    policy = (place / "policy.yaml").read_text().replace("0.97", "0.6")
    (place / "mild.yaml").write_text(policy)
    assert auditor("judge", "out", "--policy", "mild.yaml", "--out", "kept").code == 0
    ended = auditor("waive", "kept", *ANNA, "--out", "x.json")
    assert ended.code == 2
    assert "no finding of accuracy to waive: accuracy passed on cpu" in ended.said


def test_a_draft_written_by_hand_is_signed_as_it_stands(auditor: Command, place: Path) -> None:
    said = {**waiver().to_json(), "ticket": "RISK-2", "compensating": ["A person looks at each."]}
    (place / "draft.yaml").write_text(yaml.safe_dump(said))
    ended = auditor(
        "waive", "--file", "draft.yaml", "--key", "anna/decision.key", "--out", "d.json"
    )
    assert ended.code == 0, ended.said
    ended = auditor(*AUDITED, "--waiver", "d.json", *MAY, "--out", "by-hand")
    assert ended.code == 0
    (finding,) = read_record((place / "by-hand" / RECORD).read_bytes()).findings
    assert "Instead: A person looks at each." in finding.message
    (place / "draft.yaml").write_text(yaml.safe_dump({**said, "artifact": "any"}))
    ended = auditor(
        "waive", "--file", "draft.yaml", "--key", "anna/decision.key", "--out", "any.json"
    )
    assert (ended.code, "The waiver applies to EVERY version of line." in ended.said) == (
        0,
        True,
    ), ended.said
    (place / "draft.yaml").write_text(yaml.safe_dump({**said, "owner": "ANNA@example.org"}))
    ended = auditor(
        "waive", "--file", "draft.yaml", "--key", "anna/decision.key", "--out", "e.json"
    )
    assert ended.code == 2
    assert "draft.yaml:2: approver is anna@example.org, who is the owner as well" in ended.said


def test_a_draft_is_held_against_the_record_that_is_named_beside_it(
    auditor: Command, place: Path
) -> None:
    said = waiver().to_json()
    drafts = {
        "fits": said,
        "other": {**said, "artifact": "sha256:" + "0" * 64},
        "kept": {**said, "rule": "no-such-rule"},
        "past": {**said, "created": "2020-01-01T00:00:00Z", "expires": "2020-02-01T00:00:00Z"},
    }
    signed = {}
    for name, draft in drafts.items():
        (place / f"{name}.yaml").write_text(yaml.safe_dump(draft))
        asked = ("--file", f"{name}.yaml", "--key", "anna/decision.key", "--out", f"{name}.json")
        signed[name] = auditor("waive", "out", *asked)
    assert signed["fits"].code == 0, signed["fits"].said
    assert "accuracy on cpu failed" in signed["fits"].said
    assert "is for another artifact" in signed["other"].said
    assert "the rule does not exist" in signed["kept"].said
    assert "expired on 2020-02-01" in signed["past"].said
    assert {signed[name].code for name in ("other", "kept", "past")} == {2}
    assert not any((place / f"{name}.json").exists() for name in ("other", "kept", "past"))
    past = auditor("waive", "--file", "past.yaml", "--key", "anna/decision.key", "--out", "p.json")
    assert past.code == 2


def test_a_gate_asks_whose_waivers_count(auditor: Command, place: Path) -> None:
    shut = auditor(*GATE)
    assert (shut.code, "say whose waivers count" in shut.said) == (1, True)
    other = auditor(*GATE, "--waiver-key", "bob/decision.pub")
    assert (other.code, "not trusted for decisions here" in other.said) == (1, True)
    assert auditor(*GATE, *MAY).code == 0


def test_a_gate_shuts_when_a_waiver_has_run_out_since(
    auditor: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in (4, 16, 64, 256):  # until it is judged before its end, however slowly
        ends = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed("short.json", expires=ends)
        judged = auditor("judge", "out", "--waiver", "short.json", *MAY, "--out", "waived2")
        if judged.code == 0:
            break
    assert judged.code == 0
    gate = [word.replace("waived", "waived2") for word in GATE]
    while datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") < ends:
        pass
    shut = auditor(*gate, *MAY)
    assert shut.code == 1
    assert f"expired on {ends}, and accuracy is waived on cpu" in shut.said
    assert "; expired on" in auditor("verify", "waived2", "--key", "waived2/signer.pub").said
    assert auditor("verify", "waived2", "--key", "waived2/signer.pub").code == 0


@pytest.mark.parametrize("part", ["digest", "key"])
def test_a_record_does_not_verify_without_its_waiver_or_with_another(
    auditor: Command, place: Path, part: str
) -> None:
    record = read_record((place / "waived" / RECORD).read_bytes())
    name = getattr(record.request.waivers[0], part).removeprefix("sha256:")
    path = place / "waived" / EVIDENCE / name
    path.write_bytes(path.read_bytes().replace(b"A", b"B", 1))
    ended = auditor("verify", "waived", "--key", "waived/signer.pub")
    assert ended.code == 1
    assert "failed evidence" in ended.said
    assert "failed waiver" in ended.said
    path.unlink()
    assert auditor("verify", "waived", "--key", "waived/signer.pub").code == 1


def test_a_finding_that_nothing_waives_does_not_verify(auditor: Command, place: Path) -> None:
    """Whoever holds the signing key cannot waive by writing so."""
    held = RecordFolder(place / "out")
    content = json.loads(held.read(RECORD))
    content["findings"][0]["outcome"], content["verdict"] = "waived", "pass"
    (place / "out" / RECORD).write_bytes(encode_canonical(content))
    ended = auditor("verify", "out", "--key", "out/signer.pub")
    assert ended.code == 1
    assert "rule accuracy on cpu comes out otherwise" in ended.said


def test_a_key_that_was_revoked_waives_no_more(auditor: Command, place: Path) -> None:
    since = ago(1)
    ended = auditor("keys", "revoke", "anna/decision.pub", "--since", since, "--reason", "stolen")
    assert ended.code == 0
    ended = auditor(*AUDITED, *TOLD, "--out", "no")
    assert (ended.code, "may sign no more" in ended.said) == (2, True)
    shut = auditor(*GATE, *MAY)
    assert (shut.code, "which the ledger here says is revoked since" in shut.said) == (1, True)


@pytest.mark.slow
def test_a_comment_takes_waivers_as_the_gate_does(auditor: Command, place: Path) -> None:
    comment = ("comment", "waived", "--key", "waived/signer.pub")
    nobodys = auditor(*comment).out
    assert "model 1.0.0: approved for deployment" not in nobodys
    assert "not approved on this record" in nobodys
    assert "accuracy waived" in nobodys
    others = auditor(*comment, "--waiver-key", "bob/decision.pub").out
    assert "not approved on this record" in others
    taken = auditor(*comment, *MAY).out
    assert "not approved" not in taken
    assert "| **Waived** |" in taken
    assert "though it failed. The signer of the waiver" in taken
