"""One audit from the command line, and everything that is done with its record."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.reports.attestations import NAMES
from auditor.reports.folder import BUNDLE, EVIDENCE, LEDGER, PROOF, RECORD, SIGNER

RENDERED = (
    "report.html",
    "summary.md",
    "results.sarif",
    "junit.xml",
    "prov.json",
    "bom.cdx.json",
    "VERIFY.md",
    "verify.py",
)
STRICT = "at_least: 0.6"
ONLY = ("--only", "quality.accuracy", "--only", "provenance.signature")
Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
TIMELESS = ("id", "registered", "finished")


def flip(path: Path, at: int | None = None) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 if at is None else at] ^= 1
    path.write_bytes(raw)


@pytest.fixture
def audited(auditor: Command, example: Path, once: Once) -> Path:
    def make() -> None:
        ended = auditor("audit", example / "audit.yaml", *ONLY, "--out", example / "out")
        assert ended.code == 0, ended.said

    once("audited", make)
    return example / "out"


def test_an_audit_writes_every_file_of_the_contract(audited: Path) -> None:
    written = {path.name for path in audited.iterdir()}
    assert written == {RECORD, BUNDLE, *NAMES, SIGNER, EVIDENCE, PROOF, LEDGER, *RENDERED}


def test_an_audit_says_where_its_keys_and_its_report_are(
    auditor: Command, example: Path, home: Path
) -> None:
    first = auditor("audit", example / "audit.yaml", *ONLY)
    again = auditor("audit", example / "audit.yaml", *ONLY)
    assert str(home / "signer.key") in first.said
    assert "ledger.key" in first.said
    assert "signer.key" not in again.said
    assert "ledger.key" not in again.said
    assert str(example / "report" / "report.html") in first.said
    assert "Verdict: PASS" in first.said


@pytest.mark.parametrize(("limit", "code"), [("0.6", 0), ("0.999", 1), ("0.9", 3)])
def test_the_exit_code_is_the_verdict(
    auditor: Command, example: Path, limit: str, code: int
) -> None:
    policy = example / "policy.yaml"
    policy.write_text(policy.read_text().replace("at_least: 0.6", f"at_least: {limit}"))
    assert auditor("audit", example / "audit.yaml", *ONLY).code == code


def test_a_policy_that_only_observes_never_fails_the_command(
    auditor: Command, example: Path
) -> None:
    policy = example / "policy.yaml"
    text = policy.read_text().replace("0.6", "0.999").replace("smoke}", "smoke, mode: observe}")
    policy.write_text(text)
    ended = auditor("audit", example / "audit.yaml", *ONLY)
    assert ended.code == 0
    assert "Verdict: FAIL" in ended.said


def test_an_unbroken_record_verifies(auditor: Command, audited: Path) -> None:
    ended = auditor("verify", audited, "--key", audited / SIGNER)
    assert ended.code == 0, ended.said
    assert "not checked inclusion proof" in ended.said


@pytest.mark.parametrize("name", [RECORD, BUNDLE, *NAMES, *RENDERED])
def test_one_flipped_byte_of_any_file_is_found_and_named(
    auditor: Command, audited: Path, name: str
) -> None:
    flip(audited / name)
    ended = auditor("verify", audited, "--key", audited / SIGNER)
    assert ended.code == 1, ended.said
    assert name in ended.said


def test_every_single_byte_of_the_record_counts(auditor: Command, audited: Path) -> None:
    raw = (audited / RECORD).read_bytes()
    for at in range(0, len(raw), max(1, len(raw) // 12)):
        flip(audited / RECORD, at)
        assert auditor("verify", audited, "--key", audited / SIGNER).code == 1, at
        (audited / RECORD).write_bytes(raw)


def test_one_flipped_byte_of_any_evidence_is_found_and_named(
    auditor: Command, audited: Path
) -> None:
    for blob in sorted((audited / EVIDENCE).iterdir()):
        raw = blob.read_bytes()
        flip(blob)
        ended = auditor("verify", audited, "--key", audited / SIGNER)
        assert ended.code == 1, ended.said
        assert blob.name in ended.said
        blob.write_bytes(raw)


def test_missing_and_added_evidence_are_found(auditor: Command, audited: Path) -> None:
    (audited / EVIDENCE / "extra").write_bytes(b"x")
    assert "evidence/extra" in auditor("verify", audited, "--key", audited / SIGNER).said
    (audited / EVIDENCE / "extra").unlink()
    next((audited / EVIDENCE).iterdir()).unlink()
    assert auditor("verify", audited, "--key", audited / SIGNER).code == 1


def test_another_key_verifies_nothing(auditor: Command, audited: Path, tmp_path: Path) -> None:
    auditor("keys", "new", "--home", tmp_path / "other")
    ended = auditor("verify", audited, "--key", tmp_path / "other" / "signer.pub")
    assert ended.code == 1
    assert "failed signature" in ended.said


def test_the_same_request_twice_gives_the_same_bytes_but_for_times(
    auditor: Command, example: Path
) -> None:
    records = []
    for name in ("one", "two"):
        auditor("audit", example / "audit.yaml", *ONLY, "--out", example / name)
        record = json.loads((example / name / RECORD).read_bytes())
        for field in TIMELESS:
            record.pop(field)
        for edge in record["lineage"]:
            edge.pop("source")
        record["fingerprints"]["cpu"].pop("conditions")
        record["fingerprints"]["cpu"].pop("conditions_facts")
        records.append(record)
    assert records[0] == records[1]


def test_a_record_is_reproduced_from_what_was_kept(
    auditor: Command, example: Path, audited: Path
) -> None:
    for name in ("model.onnx", "test.csv", "audit.yaml", "policy.yaml"):
        (example / name).unlink()
    ended = auditor("reproduce", audited)
    assert ended.code == 0, ended.said
    assert "quality.accuracy on cpu" in ended.said


def test_a_record_is_reproduced_from_a_folder_of_inputs(
    auditor: Command, example: Path, audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "elsewhere"))
    bare = auditor("reproduce", audited)
    assert bare.code == 2
    assert "--inputs" in bare.said
    (example / "test.csv").rename(example / "renamed.csv")
    assert auditor("reproduce", audited, "--inputs", example).code == 0


def test_figures_that_do_not_come_out_again_are_named(
    auditor: Command, example: Path, audited: Path
) -> None:
    record = json.loads((audited / RECORD).read_bytes())
    for reading in record["readings"]:
        if reading.get("metric") == "accuracy":
            reading["value"] += 1e-9
            reading["high"] += 1e-3
    from auditor.domain.json import encode_canonical  # noqa: PLC0415 -- only a forger needs it

    (audited / RECORD).write_bytes(encode_canonical(record))
    ended = auditor("reproduce", audited)
    assert ended.code == 1
    assert "accuracy" in ended.said
    verified = auditor("verify", audited, "--key", audited / SIGNER)
    assert "failed figures" in verified.said


def test_another_policy_judges_the_same_evidence_without_the_model(
    auditor: Command, example: Path, audited: Path
) -> None:
    (example / "model.onnx").unlink()
    stricter = example / "stricter.yaml"
    stricter.write_text((example / "policy.yaml").read_text().replace(STRICT, "at_least: 0.999"))
    ended = auditor("judge", audited, "--policy", stricter)
    assert ended.code == 1, ended.said
    fresh = example / "out-judged"
    record = json.loads((fresh / RECORD).read_bytes())
    old = json.loads((audited / RECORD).read_bytes())
    assert record["derived_from"] is not None
    assert record["readings"] == old["readings"]
    assert record["verdict"] == "fail"
    assert auditor("verify", fresh, "--key", fresh / SIGNER).code == 0


def test_a_record_that_does_not_verify_is_not_judged_again(
    auditor: Command, example: Path, audited: Path
) -> None:
    flip(next((audited / EVIDENCE).iterdir()))
    ended = auditor("judge", audited, "--policy", example / "policy.yaml")
    assert ended.code == 2
    assert "does not verify" in ended.said
    assert not (example / "out-judged").exists()


def test_a_gate_opens_for_the_audited_bytes_alone(
    auditor: Command, example: Path, audited: Path
) -> None:
    asked = (
        "gate",
        "--artifact",
        example / "model.onnx",
        "--policy",
        example / "policy.yaml",
        "--record",
        audited,
        "--key",
        audited / SIGNER,
        "--max-age",
        "1d",
    )
    assert auditor(*asked).code == 0
    assert auditor(*asked, "--target", "cpu").code == 0
    assert auditor(*asked, "--target", "phone").code == 1
    flip(example / "model.onnx")
    ended = auditor(*asked)
    assert ended.code == 1
    assert "failed artifact" in ended.said


def test_a_gate_stays_shut_when_the_record_was_touched(
    auditor: Command, example: Path, audited: Path
) -> None:
    flip(audited / RECORD)
    ended = auditor(
        "gate",
        "--artifact",
        example / "model.onnx",
        "--policy",
        example / "policy.yaml",
        "--record",
        audited,
        "--key",
        audited / SIGNER,
    )
    assert ended.code == 1
    assert RECORD in ended.said


def test_a_gate_asks_for_the_target_that_was_probed(
    auditor: Command, example: Path, audited: Path
) -> None:
    record = json.loads((audited / RECORD).read_bytes())
    probe = example / "probe.json"
    asked = (
        "gate",
        "--artifact",
        example / "model.onnx",
        "--policy",
        example / "policy.yaml",
        "--record",
        audited,
        "--key",
        audited / SIGNER,
        "--fingerprint",
        probe,
    )
    probe.write_text(json.dumps({"identity": record["fingerprints"]["cpu"]["identity"]}))
    assert auditor(*asked).code == 0
    probe.write_text(json.dumps({"identity": "sha256:" + "0" * 64}))
    assert auditor(*asked).code == 1
    probe.write_text("[]")
    assert auditor(*asked).code == 2


def test_a_signed_artifact_verifies_and_a_changed_one_does_not(
    auditor: Command, example: Path, home: Path
) -> None:
    signed = auditor("sign", example / "model.onnx", "--out", example / "model.sig")
    assert signed.code == 0
    asked = (
        "verify",
        example / "model.onnx",
        "--signature",
        example / "model.sig",
        "--key",
        home / "model.pub",
    )
    assert auditor(*asked).code == 0
    flip(example / "model.onnx")
    ended = auditor(*asked)
    assert ended.code == 1
    assert "model.onnx" in ended.said


def test_a_plan_says_cost_and_prospects_before_anything_is_measured(
    auditor: Command, example: Path
) -> None:
    ended = auditor("plan", example / "audit.yaml", "--format", "json")
    assert ended.code == 0, ended.said
    plan = json.loads(ended.out)["cpu"]
    assert {item["check"] for item in plan["checks"]} > {"quality.accuracy", "evasion.linf"}
    assert [item["rule"] for item in plan["rules"]] == ["accuracy"]
    assert "accuracy" in auditor("plan", example / "audit.yaml").said


REFUSING = (
    "evasion.patch", "evasion.spatial", "data.skew", "quality.periods", "privacy.art",
    "privacy.attribute", "poisoning.susceptibility", "hardware.faults", "quality.accuracy",
)  # fmt: skip


def test_a_plan_names_what_the_audit_has_nothing_but_gaps_of(
    auditor: Command, inside: Path
) -> None:
    only = [word for check in REFUSING for word in ("--only", check)]
    planned = json.loads(auditor("plan", "audit.yaml", *only, "--format", "json").out)["cpu"]
    missing = {item["check"]: item["missing"] for item in planned["checks"] if item["missing"]}
    assert auditor("audit", "audit.yaml", *only, "--out", "report").code in {0, 3}
    readings = json.loads((inside / "report" / "record.json").read_text())["readings"]
    seen = {item["check"] for item in readings if "reason" not in item}
    assert set(missing) == set(REFUSING) - seen
    for item in readings:
        if item["check"] in missing:
            told = missing[item["check"]]
            assert (told["reason"], told["detail"]) == (item["reason"], item["detail"])


def test_a_plan_goes_on_where_a_check_fails_to_say_what_it_refuses(
    auditor: Command, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for refuses in (lambda _, __: {}["no"], lambda _, __: True):
        monkeypatch.setattr("auditor.checks.data.skew.TrainingServingSkewCheck.refuses", refuses)
        planned = auditor("plan", inside / "audit.yaml", "--only", "data.skew", "--format", "json")
        (check,) = json.loads(planned.out)["cpu"]["checks"]
        assert (check["check"], check["missing"]) == ("data.skew", None)


def test_a_plan_says_once_what_several_checks_lack_and_the_cure(
    auditor: Command, example: Path
) -> None:
    only = ("--only", "poisoning.input_screen", "--only", "quality.online_gap")
    lines = auditor("plan", example / "audit.yaml", *only, "--all").out.splitlines()
    (told,) = [line for line in lines if line.startswith("needs_production_data ")]
    assert "names no data from production" in told
    assert "under data.production in the audit file" in told
    assert "(poisoning.input_screen, quality.online_gap)" in told


def test_a_drafted_audit_file_runs_as_it_stands(
    auditor: Command, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example)
    (example / "audit.yaml").unlink()
    ended = auditor("init", "model.onnx", "--data", "test.csv")
    assert ended.code == 0, ended.said
    text = (example / "audit.yaml").read_text()
    assert 'labels: "y"' in text
    assert auditor("audit", "audit.yaml", "--policy", "policy.yaml", *ONLY).code == 0
    assert auditor("init", "model.onnx", "--data", "test.csv").code == 2


def test_keys_are_shown_and_never_replaced(auditor: Command, home: Path) -> None:
    made = auditor("keys", "new")
    assert made.code == 0
    assert auditor("keys", "show").out.split()[-1] in made.out
    kept = (home / "signer.key").read_bytes()
    assert auditor("keys", "new").code == 2
    assert (home / "signer.key").read_bytes() == kept


def test_checks_and_policies_are_listed_as_json(auditor: Command) -> None:
    checks = json.loads(auditor("checks", "list", "--format", "json").out)
    assert "evasion.linf" in {item["id"] for item in checks}
    assert auditor("checks", "show", "evasion.linf").code == 0
    policies = json.loads(auditor("policies", "list", "--format", "json").out)
    assert "baseline" in {item["name"] for item in policies}
    assert "kind: Policy" in auditor("policies", "show", "baseline").out
    assert auditor("policies", "lint", "baseline").code == 0


def test_a_folder_with_other_things_is_never_replaced(auditor: Command, example: Path) -> None:
    precious = example / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("years of work")
    ended = auditor("audit", example / "audit.yaml", *ONLY, "--out", precious)
    assert ended.code == 2
    assert (precious / "chapter.txt").read_text() == "years of work"
