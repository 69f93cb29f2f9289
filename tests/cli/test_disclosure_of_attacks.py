"""Rows of attacks are shown and withheld one by one, and cannot be tampered with."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.json import encode_canonical
from auditor.domain.verification_steps import StepResult
from auditor.reports.folder import RecordFolder
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.verifiers import build_verifier

pytestmark = pytest.mark.slow

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
SCHEMA = """\
features:
  - {name: a, kind: numeric, range: [0, 1]}
  - {name: b, kind: numeric, range: [0, 1]}
  - {name: c, kind: numeric, range: [0, 1], immutable: true}
"""
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: few, version: 1.0.0, owner: tests@example.org, least_budget: smoke}
params: {}
checks:
  evasion.tabular: {eps: [0.05, 0.1], stages: ["search:5"], rows: 60}
  evasion.decision: {eps: [0.1, 0.5], stages: ["rays:20", "surfree:20"], rows: 60}
  evasion.transfer: {eps: [0.1], hidden: 4, epochs: 3, rows: 60}
  evasion.corruption: {kinds: [missing_values], severities: [1], rows: 60}
  evasion.certified: {eps: [0.01], rows: 30, samples: 20, selection: 5}
rules:
  - id: robust
    title: It withstands small changes
    severity: low
    effect: info
    measure: evasion.decision/robust_accuracy
    where: {eps: 0.1, norm: linf}
    at_least: 0.1
    accept: withstood
    rationale: Somebody may try.
    remediation: Train it otherwise.
"""
ALL = "quality.accuracy"
"""The check that names every row."""
ITEMS: Mapping[str, tuple[str, ...]] = {
    "evasion.tabular": ("adversarial_probabilities", "distance", "clean_probabilities"),
    "evasion.decision": ("distance", "l2_distance", "l2_adversarial_probabilities"),
    "evasion.transfer": ("adversarial_probabilities", "labels"),
    "evasion.corruption": ("clean_decided", "labels"),
    "evasion.certified": ("clean_probabilities", "votes_counted"),
}
EDITS = [(check, item) for check, items in ITEMS.items() for item in items]


@pytest.fixture
def part(auditor: Command, inside: Path, once: Once) -> Path:
    """A folder with the rows of attacks, of which every fifth is withheld."""

    def make() -> None:
        (inside / "schema.yaml").write_text(SCHEMA)
        (inside / "few.yaml").write_text(POLICY)
        text = (inside / "audit.yaml").read_text()
        text = text.replace("{domain: [0.0, 1.0]}", "{features: schema.yaml}")
        (inside / "audit.yaml").write_text(f"{text}disclosure: rows\n")
        only = [word for check in (*ITEMS, ALL) for word in ("--only", check)]
        ended = auditor("audit", "audit.yaml", "--policy", "few.yaml", *only, "--out", "full")
        assert ended.code in {0, 3}, ended.said
        (inside / "ids.txt").write_text("\n".join(f"r{at}" for at in range(0, 240, 5)))
        assert auditor("disclose", "full", "--withhold", "ids.txt", "--out", "part").code == 0

    once("part", make)
    return inside / "part"


@pytest.fixture(scope="module")
def known() -> dict[str, RecordVerifier]:
    """What verifies, made once: it depends on the signer's key alone."""
    return {}


def failures(folder: Path, known: dict[str, RecordVerifier]) -> str:
    if not known:
        known["key"] = build_verifier(folder / "signer.pub")
    steps = verify_folder(RecordFolder(folder), known["key"])
    return "; ".join(step.detail for step in steps if step.result is StepResult.FAILED)


def opening(folder: Path, check: str, item: str) -> Path:
    record = json.loads((folder / "record.json").read_bytes())
    (seen,) = (one for one in record["observations"] if one["check"] == check)
    return folder / "openings" / str(seen["evidence"][item]).removeprefix("sha256:")


def edited(folder: Path, check: str, item: str, change: Callable[[list[Any]], object]) -> None:
    path = opening(folder, check, item)
    told = json.loads(path.read_bytes())
    change(told["rows"])
    path.write_bytes(encode_canonical(told))


def shown(rows: list[Any]) -> list[int]:
    return [at for at, row in enumerate(rows) if isinstance(row, list)]


def falsified(rows: list[Any]) -> None:
    """Change one bit of a row that is shown."""
    at = shown(rows)[3]
    raw = bytearray(b64decode(rows[at][1]))
    raw[-1] ^= 1
    rows[at] = [rows[at][0], b64encode(bytes(raw)).decode()]


def moved(rows: list[Any]) -> None:
    """Exchange two rows that are shown."""
    one, other = shown(rows)[1:3]
    rows[one], rows[other] = rows[other], rows[one]


def test_figures_of_attacks_lie_within_what_the_shown_rows_allow(
    auditor: Command, part: Path
) -> None:
    ended = auditor("verify", part, "--key", part / "signer.pub")
    assert ended.code == 3, ended.said
    said = " ".join(ended.said.split())
    for metric in ("robust_accuracy (eps 0.1, norm l2)", "robust_accuracy (eps 0.1, norm linf)"):
        assert f"{metric} of evasion.decision on cpu, signed as" in said
    assert "of evasion.transfer on cpu, signed as" in said
    for check in ITEMS:
        assert f"{check} on cpu" in said
    whole = auditor("verify", "full", "--key", part / "signer.pub")
    assert whole.code == 0, whole.said


def test_no_withheld_row_is_named_in_what_is_published(part: Path) -> None:
    ids = json.loads(opening(part, "evasion.tabular", "ids").read_bytes())["rows"]
    named = {json.loads(b64decode(row[1])) for row in ids if isinstance(row, list)}
    assert named
    assert not {name for name in named if int(name[1:]) % 5 == 0}
    withheld = [row for row in ids if not isinstance(row, list)]
    assert len(withheld) + len(named) == len(ids) == 60
    record = (part / "record.json").read_text()
    assert not [name for name in (f'"r{at}"' for at in range(0, 240, 5)) if name in record]


@pytest.mark.parametrize(("check", "item"), EDITS)
def test_a_row_of_an_attack_that_is_changed_or_moved_is_refused(
    part: Path, known: dict[str, RecordVerifier], check: str, item: str
) -> None:
    for change in (falsified, moved):
        before = opening(part, check, item).read_bytes()
        edited(part, check, item, change)
        assert "they are not those that were bound" in failures(part, known)
        opening(part, check, item).write_bytes(before)
    assert not failures(part, known)
