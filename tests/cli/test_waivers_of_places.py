"""`auditor waive --slice`: leave for one place of those that a rule is asked for each of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.record_json import read_record
from auditor.reports.folder import RECORD
from auditor.trust.keys.files import create_key_pair
from auditor.trust.signatures.decisions import open_waiver

Command = Callable[..., Any]
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: towns, version: 1.0.0, owner: a@example.org}
rules:
  - id: chosen
    title: Few are chosen in each town
    severity: high
    measure: fairness.groups/selection_rate
    at_most: 0.1
    for_each: group
"""
LEAVE = (
    "waive", "out", "--rule", "chosen", "--reason", "The sensor is replaced soon.",
    "--ticket", "RISK-1", "--owner", "olga", "--approver", "anna", "--expires", "90d",
    "--key", "anna/decision.key", "--out", "w.json",
)  # fmt: skip
TOLD = ("--waiver", "w.json", "--waiver-key", "anna/decision.pub")
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "towns.yaml",
    "--record", "again", "--key", "out/signer.pub", "--waiver-key", "anna/decision.pub",
)  # fmt: skip


@pytest.fixture
def place(auditor: Command, inside: Path) -> Path:
    """The folder of an audit in which a rule fails in both towns."""
    (inside / "towns.yaml").write_text(POLICY)
    audited = ("audit", "audit.yaml", "--policy", "towns.yaml", "--only", "fairness.groups")
    assert auditor(*audited, "--out", "out").code == 1
    create_key_pair(inside / "anna", stem="decision")
    return inside


def outcomes(folder: str) -> dict[str, str]:
    record = read_record((Path(folder) / RECORD).read_bytes())
    return {item.name: item.outcome.value for item in record.findings}


def test_leave_for_one_place_waives_that_place_alone_and_names_it_everywhere(
    auditor: Command, place: Path
) -> None:
    ended = auditor(*LEAVE, "--slice", "group=north")
    assert ended.code == 0, ended.said
    assert "chosen[group=north] on cpu failed" in ended.said
    assert "group=south" not in ended.said
    assert dict(open_waiver(Path("w.json").read_bytes(), "w.json").slice) == {"group": "north"}
    judged = auditor("judge", "out", *TOLD, "--out", "again")
    assert (judged.code, "RISK-1 of chosen[group=north]: used" in judged.said) == (1, True)
    assert outcomes("again") == {"chosen[group=north]": "waived", "chosen[group=south]": "failed"}
    told = auditor("verify", "again", "--key", "out/signer.pub")
    assert (told.code, "chosen[group=north]: used" in told.said) == (0, True)
    shut = auditor(*GATE)
    assert (shut.code, "holds waivers chosen[group=north] until" in shut.said) == (1, True)


@pytest.mark.slow
def test_leave_for_every_place_says_so_aloud(auditor: Command, place: Path) -> None:
    ended = auditor(*LEAVE)
    assert (ended.code, "The waiver applies to EVERY slice of chosen" in ended.said) == (0, True)
    assert "chosen[group=south] on cpu failed" in ended.said


@pytest.mark.parametrize("named", ["group=west", "north", ""])
def test_a_place_at_which_nothing_was_found_is_not_waived(
    auditor: Command, place: Path, named: str
) -> None:
    ended = auditor(*LEAVE, "--slice", named)
    assert (ended.code, "findings at: group=north; group=south" in ended.said) == (2, True)
