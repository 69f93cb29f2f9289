"""What owners declare beside an audit is bound, kept, verified, reproduced and judged again."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor.domain.json import compute_digest, encode_canonical

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
SYSTEM = """\
apiVersion: auditor/v1
kind: System
name: sorting desk
version: "2"
models: [{name: line, role: Sorts letters by town.}]
purpose: To sort letters.
"""
RISKS = """\
apiVersion: auditor/v1
kind: Risks
risks:
  - {id: R-1, hazard: Loss, affected: senders, severity: high, rules: [accuracy], residual: Some.}
  - {id: R-2, hazard: Letters are read, affected: senders, severity: low, residual: Envelopes.}
"""
ONLY = ("--only", "quality.accuracy")


def declare(example: Path, *, system: str = SYSTEM, risks: str = RISKS) -> Path:
    (example / "system.yaml").write_text(system)
    (example / "risks.yaml").write_text(risks)
    path = example / "audit.yaml"
    path.write_text(path.read_text() + "system: system.yaml\nrisks: risks.yaml\n")
    return path


def alone(out: Path) -> tuple[int, list[str]]:
    """Verify a folder without auditor: the exit code, and the steps that fail."""
    key = out.parent / "trusted.pub"
    key.write_bytes((out / "signer.pub").read_bytes())
    words = [sys.executable, out / "verify.py", out, "--key", key]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    steps = [line.split() for line in ended.stdout.splitlines()]
    return ended.returncode, [step[1] for step in steps if step[0] == "failed"]


@pytest.fixture
def declared(auditor: Command, example: Path, once: Once) -> Path:
    """The folder of a finished audit with a system file and a file of risks."""
    out = example / "out"

    def make() -> None:
        ended = auditor("audit", declare(example), *ONLY, "--out", out)
        assert ended.code == 0, ended.said

    once("declared", make)
    return out


def test_both_files_are_bound_by_digest_and_lie_among_the_evidence(declared: Path) -> None:
    record = json.loads((declared / "record.json").read_bytes())
    listed = {item["path"] for item in record["request"]["inputs"]}
    assert {"system.yaml", "risks.yaml"} <= listed
    for role, text in (("system", SYSTEM), ("risks", RISKS)):
        raw = encode_canonical(yaml.safe_load(text))
        named = record["request"][role]
        assert named == compute_digest(raw)
        assert (declared / "evidence" / named.removeprefix("sha256:")).read_bytes() == raw
        (edge,) = (edge for edge in record["lineage"] if edge["role"] == role)
        assert (edge["relation"], edge["destination"]) == ("used", named)


def test_the_record_verifies_with_and_without_auditor(auditor: Command, declared: Path) -> None:
    key = declared / "signer.pub"
    assert auditor("verify", declared, "--key", key).code == 0
    assert alone(declared) == (0, [])
    bundle = declared.parent / "bundle.zip"
    assert auditor("export", declared, "--out", bundle).code == 0
    assert auditor("verify", bundle, "--key", key).code == 0


@pytest.mark.parametrize("role", ["system", "risks"])
def test_a_declaration_that_is_changed_or_taken_away_is_found(
    auditor: Command, declared: Path, role: str
) -> None:
    record = json.loads((declared / "record.json").read_bytes())
    place = declared / "evidence" / record["request"][role].removeprefix("sha256:")
    raw, key = place.read_bytes(), declared / "signer.pub"
    for act in (lambda: place.write_bytes(raw.replace(b"etters", b"omers")), place.unlink):
        act()
        ended = auditor("verify", declared, "--key", key)
        assert ended.code == 1
        assert f"evidence/{place.name}" in ended.said
        assert alone(declared) == (1, ["evidence"])


@pytest.mark.slow
def test_the_record_is_reproduced_from_what_was_kept(
    auditor: Command, example: Path, declared: Path
) -> None:
    (example / "system.yaml").unlink()
    ended = auditor("reproduce", declared)
    assert ended.code == 0, ended.said


@pytest.mark.slow
def test_judging_again_carries_the_declarations_also_where_a_rule_is_gone(
    auditor: Command, example: Path, declared: Path
) -> None:
    other = example / "other.yaml"
    other.write_text((example / "policy.yaml").read_text().replace("id: accuracy", "id: right"))
    again = example / "again"
    assert auditor("judge", declared, "--policy", other, "--out", again).code == 0
    first, second = (
        json.loads((folder / "record.json").read_bytes())["request"] for folder in (declared, again)
    )
    assert {name: first[name] for name in ("system", "risks")} == {
        name: second[name] for name in ("system", "risks")
    }
    assert auditor("verify", again, "--key", again / "signer.pub").code == 0
    assert auditor("reproduce", again).code == 0


@pytest.mark.slow
def test_a_policy_in_place_of_the_files_need_not_have_the_rules_of_its_risks(
    auditor: Command, example: Path, declared: Path
) -> None:
    other, out = example / "other.yaml", example / "otherwise"
    other.write_text((example / "policy.yaml").read_text().replace("id: accuracy", "id: right"))
    audit = declared.parent / "audit.yaml"
    assert auditor("audit", audit, "--policy", other, "--out", out, *ONLY).code == 0
    assert "is not a rule of this policy" in (out / "report.html").read_text()
    assert auditor("reproduce", out).code == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: line,", "name: other,", "holds other, and not line, which the audit file audits"),
        ("[accuracy]", "[acuracy]", "'acuracy', which is not a rule of the policy"),
    ],
)
def test_what_contradicts_the_audit_is_refused_before_anything_runs(
    auditor: Command, example: Path, old: str, new: str, said: str
) -> None:
    path = declare(example, system=SYSTEM.replace(old, new), risks=RISKS.replace(old, new))
    for command in ("plan", "audit"):
        ended = auditor(command, path, *(ONLY if command == "audit" else ()))
        assert ended.code == 2
        assert said in ended.said


def test_a_file_that_is_not_there_is_named(auditor: Command, example: Path) -> None:
    path = declare(example)
    (example / "risks.yaml").unlink()
    ended = auditor("plan", path)
    assert ended.code == 2
    assert "audit.yaml:13: risks: risks.yaml does not exist (looked for" in ended.said


def test_init_begins_a_dossier_that_the_audit_takes_as_it_stands(
    auditor: Command, example: Path
) -> None:
    drafted = example / "drafted" / "audit.yaml"
    drafted.parent.mkdir()
    named = ("--data", example / "test.csv", "--out", drafted, "--system")
    assert auditor("init", example / "model.onnx", *named).code == 0
    assert (drafted.parent / "risks.yaml").is_file()
    ended = auditor("audit", drafted, *ONLY, "--budget", "smoke", "--out", example / "out")
    assert ended.code == 3, ended.said
    record = json.loads((example / "out" / "record.json").read_bytes())
    assert record["request"]["system"]
    drafted.unlink()
    assert auditor("init", example / "model.onnx", *named).code == 2


def test_the_dossier_is_written_signed_and_told_in_every_rendering(
    auditor: Command, declared: Path
) -> None:
    page = declared.parent / "annex-iv.md"
    assert auditor("export", declared, "--format", "annex-iv", "--out", page).code == 0
    assert "Sorts letters by town." in page.read_text()
    assert "R-2: Letters are read" in page.read_text()
    for name in ("report.html", "summary.md"):
        assert "Letters are read" in (declared / name).read_text()
    raw, key = (declared / "summary.md").read_bytes(), declared / "signer.pub"
    (declared / "summary.md").write_bytes(raw.replace(b"Missing", b"Present") + b"\n")
    ended = auditor("verify", declared, "--key", key)
    assert ended.code == 1
    assert "summary.md is not the file that was signed" in ended.said


def test_no_dossier_is_written_or_can_be_slipped_in_where_nobody_asks_for_one(
    auditor: Command, example: Path
) -> None:
    out = example / "out"
    assert auditor("audit", example / "audit.yaml", *ONLY, "--out", out).code == 0
    assert not (out / "annex-iv.md").exists()
    (out / "annex-iv.md").write_text("All is well.\n")
    ended = auditor("verify", out, "--key", out / "signer.pub")
    assert ended.code == 1
    assert "annex-iv.md is not signed" in ended.said
