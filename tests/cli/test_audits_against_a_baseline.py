"""An audit that is held against the record of the released version: bound, kept, and verified."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_audits_with_a_dossier import alone

from auditor.domain.json import compute_digest
from auditor.trust.keys.files import create_key_pair

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
ONLY = ("--only", "quality.accuracy")
RULE = """\
  - id: not-worse
    title: It is no worse than the released version
    severity: high
    effect: deny
    measure: quality.accuracy/accuracy
    at_least: baseline - {margin}
"""


@pytest.fixture
def asked(example: Path) -> Path:
    """An audit whose policy asks that the model be no worse than a baseline."""
    return asking(example, "20 %")


def asking(example: Path, margin: str) -> Path:
    policy = (example / "policy.yaml").read_text().partition("  - id: not-worse")[0]
    (example / "policy.yaml").write_text(policy + RULE.format(margin=margin))
    return example / "audit.yaml"


@pytest.fixture
def released(auditor: Command, example: Path, once: Once) -> Path:
    """The record of the released version."""
    out = example / "released"

    def make() -> None:
        assert auditor("audit", example / "audit.yaml", *ONLY, "--out", out).code == 0

    once("released", make)
    return out


@pytest.fixture
def held(auditor: Command, released: Path, asked: Path, once: Once) -> Path:
    """The record of a version that was held against the released one."""
    out = asked.parent / "out"

    def make() -> None:
        ended = auditor("audit", asked, *ONLY, "--baseline", released, "--out", out)
        assert ended.code == 0, ended.said

    once("held", make)
    return out


def record_in(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "record.json").read_bytes()))


def finding_in(folder: Path) -> dict[str, Any]:
    (found,) = (item for item in record_in(folder)["findings"] if item["rule"] == "not-worse")
    return dict(found)


def test_the_baseline_is_bound_by_digest_and_lies_among_the_evidence(
    held: Path, released: Path
) -> None:
    record, raw = record_in(held), (released / "record.json").read_bytes()
    assert record["request"]["baseline"] == compute_digest(raw)
    assert (held / "evidence" / compute_digest(raw).removeprefix("sha256:")).read_bytes() == raw
    (edge,) = (edge for edge in record["lineage"] if edge["role"] == "baseline")
    assert (edge["relation"], edge["destination"]) == ("used", compute_digest(raw))
    found = finding_in(held)
    assert (found["outcome"], found["limits"]) == ("passed", "at least baseline - 0.2")
    assert "The baseline, line 1.0.0, had" in found["message"]
    assert "`auditor compare`" in found["message"]


def test_a_record_without_a_baseline_says_nothing_of_one(released: Path) -> None:
    assert "baseline" not in record_in(released)["request"]


def test_it_verifies_without_the_baseline_with_and_without_auditor(
    auditor: Command, held: Path, released: Path
) -> None:
    shutil.rmtree(released)
    ended = auditor("verify", held, "--key", held / "signer.pub")
    assert ended.code == 0, ended.said
    assert alone(held) == (0, [])


def test_a_baseline_that_is_changed_or_taken_away_is_found(
    auditor: Command, held: Path, released: Path
) -> None:
    name = compute_digest((released / "record.json").read_bytes()).removeprefix("sha256:")
    place, key = held / "evidence" / name, held / "signer.pub"
    raw = place.read_bytes()
    for act in (lambda: place.write_bytes(raw.replace(b"0.9", b"0.1")), place.unlink):
        act()
        ended = auditor("verify", held, "--key", key)
        assert ended.code == 1
        assert f"evidence/{name}" in ended.said
        assert alone(held) == (1, ["evidence"])


def test_it_is_reproduced_from_what_was_kept(
    auditor: Command, held: Path, released: Path, asked: Path
) -> None:
    shutil.rmtree(released)
    asked.unlink()
    ended = auditor("reproduce", held)
    assert ended.code == 0, ended.said


def test_a_margin_that_the_rows_cannot_show_stays_unknown(
    auditor: Command, released: Path, example: Path
) -> None:
    out = example / "out"
    asked = asking(example, "0.001")
    assert auditor("audit", asked, *ONLY, "--baseline", released, "--out", out).code == 3
    assert finding_in(out)["outcome"] == "unknown"
    assert auditor("verify", out, "--key", out / "signer.pub").code == 0


def test_without_a_baseline_nothing_is_known_and_the_cure_is_named(
    auditor: Command, asked: Path
) -> None:
    out = asked.parent / "out"
    ended = auditor("audit", asked, *ONLY, "--out", out)
    assert ended.code == 3
    assert "a baseline record (--baseline DIR" in finding_in(out)["message"]
    assert "and none is given" in auditor("plan", asked, *ONLY, "--format", "json").said


def test_the_audit_file_may_name_the_baseline_and_its_key(
    auditor: Command, released: Path, asked: Path
) -> None:
    shutil.copy(released / "signer.pub", asked.parent / "released.pub")
    asked.write_text(asked.read_text() + "baseline: released\nbaseline_key: released.pub\n")
    out = asked.parent / "out"
    ended = auditor("audit", asked, *ONLY, "--out", out)
    assert ended.code == 0, ended.said
    assert finding_in(out)["outcome"] == "passed"
    assert "and none is given" not in auditor("plan", asked, *ONLY, "--format", "json").said


def test_a_baseline_under_another_key_is_refused_before_anything_runs(
    auditor: Command, released: Path, asked: Path
) -> None:
    create_key_pair(asked.parent / "other", stem="other")
    key = asked.parent / "other" / "other.pub"
    out = asked.parent / "out"
    against = ("--baseline", released, "--baseline-key", key)
    ended = auditor("audit", asked, *ONLY, *against, "--out", out)
    assert ended.code == 2
    assert "does not verify" in ended.said
    assert "--baseline-key" in ended.said
    assert not out.exists()
    assert auditor("judge", released, *against, "--out", out).code == 2


@pytest.mark.parametrize("name", ["record.json", "record.sigstore.json"])
def test_a_baseline_that_was_changed_is_refused(
    auditor: Command, released: Path, asked: Path, name: str
) -> None:
    place = released / name
    place.write_bytes(place.read_bytes().replace(b"0", b"1", 1))
    ended = auditor("audit", asked, *ONLY, "--baseline", released)
    assert ended.code == 2
    assert "released" in ended.said


def test_a_key_of_no_baseline_is_refused(auditor: Command, released: Path, asked: Path) -> None:
    ended = auditor("audit", asked, *ONLY, "--baseline-key", released / "signer.pub")
    assert ended.code == 2
    assert "none is named" in ended.said


def test_a_record_is_judged_again_with_a_baseline_and_keeps_it(
    auditor: Command, released: Path, asked: Path
) -> None:
    example = asked.parent
    first, again = example / "first", example / "again"
    policy = example / "policy.yaml"
    ended = auditor("judge", released, "--policy", policy, "--baseline", released, "--out", first)
    assert ended.code == 0, ended.said
    assert finding_in(first)["outcome"] == "passed"
    assert auditor("judge", first, "--policy", policy, "--out", again).code == 0
    assert record_in(again)["request"]["baseline"] == record_in(first)["request"]["baseline"]
    for folder in (first, again):
        ended = auditor("verify", folder, "--key", folder / "signer.pub")
        assert ended.code == 0, ended.said


def gate_of(example: Path, *more: object) -> tuple[object, ...]:
    out = example / "out"
    return (
        "gate", "--artifact", example / "model.onnx", "--policy", example / "policy.yaml",
        "--record", out, "--key", out / "signer.pub", *more,
    )  # fmt: skip


def test_a_gate_and_a_comment_take_a_baseline_that_they_name_and_no_other(
    auditor: Command, held: Path, released: Path
) -> None:
    """Whoever is judged could audit the model on inverted labels first, and name that record."""
    example, named = held.parent, record_in(held)["request"]["baseline"]
    said = ("comment", held, "--key", held / "signer.pub")
    ended = auditor(*gate_of(example))
    assert (ended.code, "Gate: closed (baseline)" in ended.said) == (1, True), ended.said
    assert f"not-worse depends on the baseline {named}" in ended.said
    assert "not believed" in auditor(*said).said
    for against in (named, released):
        assert auditor(*gate_of(example, "--baseline", against)).code == 0
        ended = auditor(*said, "--baseline", against)
        assert "not believed" not in ended.said
        assert f"not-worse rests on a baseline: the record of line 1.0.0, {named}" in ended.said
    for against in ("sha256:" + "0" * 64, held):
        assert auditor(*gate_of(example, "--baseline", against)).code == 1
        assert "not believed" in auditor(*said, "--baseline", against).said


@pytest.mark.parametrize("name", ["report.html", "summary.md"])
def test_the_first_screen_says_which_baseline_a_verdict_rests_on(held: Path, name: str) -> None:
    text = " ".join((held / name).read_text().replace("\\", "").split())
    assert "not-worse rests on a baseline: the record of line 1.0.0, " in text


def test_a_baseline_of_a_gate_that_is_no_record_is_an_error(auditor: Command, held: Path) -> None:
    ended = auditor(*gate_of(held.parent, "--baseline", held.parent / "nowhere"))
    assert ended.code == 2, ended.said


WRITTEN = "baseline: released\nbaseline_key: released.pub\n"


@pytest.mark.parametrize(
    ("written", "options", "counts"),
    [
        (WRITTEN, (), False),
        (WRITTEN, ("--baseline", "released"), False),
        (WRITTEN, ("--baseline-key", "released.pub"), True),
        ("baseline: released\n", (), False),
        ("baseline: released\n", ("--baseline", "released"), True),
    ],
)
def test_in_ci_the_command_line_says_which_baseline_counts(
    auditor: Command,
    released: Path,
    asked: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    written: str,
    options: tuple[str, ...],
    counts: bool,  # noqa: FBT001 -- a parameter
) -> None:
    """A merge that makes the model worse could bring a bad record, and the key that signed it."""
    example = asked.parent
    monkeypatch.chdir(example)
    if written == WRITTEN:
        shutil.copy(released / "signer.pub", example / "released.pub")
        shutil.rmtree(home)
    asked.write_text(asked.read_text() + written)
    ended = auditor("audit", asked, *ONLY, *options, "--ci", "gitlab", "--out", example / "out")
    assert ended.code == int(not counts), ended.said
    told = (example / "auditor.env").read_text()
    named = compute_digest((released / "record.json").read_bytes())
    assert f"AUDITOR_VERDICT={'pass' if counts else 'fail'}" in told
    assert (f"AUDITOR_BASELINE={named}" in told) is counts
    assert ("that only the audit file allows" in ended.said) is not counts
