"""The command that withholds rows, and what other commands make of what it wrote."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disclosed_folders import ONLY, everything, named

from auditor.domain.evidence import encode_evidence

Command = Callable[..., Any]


def test_rows_can_be_shown_alone(auditor: Command, disclosed: Path, verify: Command) -> None:
    ended = auditor("disclose", "full", "--rows", "ids.txt", "--out", "few")
    assert ended.code == 0, ended.said
    assert "237" in ended.out
    assert "237 of 240 rows withheld: quality.accuracy on cpu" in verify("few").said


def test_more_rows_can_be_withheld_later_and_none_come_back(
    auditor: Command, disclosed: Path, verify: Command
) -> None:
    (disclosed / "more.txt").write_text("r7\n")
    assert auditor("disclose", "part", "--withhold", "more.txt", "--out", "less").code == 0
    assert "4 of 240 rows withheld: quality.accuracy on cpu" in verify("less").said
    (disclosed / "back.txt").write_text("r1\n")
    assert auditor("disclose", "part", "--rows", "back.txt", "--out", "x").code == 2


def test_disclosing_gives_the_same_bytes_each_time(auditor: Command, disclosed: Path) -> None:
    assert auditor("disclose", "full", "--withhold", "ids.txt", "--out", "again").code == 0
    assert everything(disclosed / "again") == everything(disclosed / "part")


def test_evidence_that_is_not_by_row_is_shown_on_the_owners_word_alone(
    auditor: Command, disclosed: Path, verify: Command
) -> None:
    also = ("--also", "fairness.groups")
    ended = auditor("disclose", "full", "--withhold", "ids.txt", *also, "--out", "wide")
    assert ended.code == 0
    said = verify("wide").said
    assert "fairness.groups on cpu" not in said
    assert "withheld figures 22 of 27 readings recomputed" in said
    assert "3 of 240 rows withheld" in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("full", "--withhold", "none.txt"), "the evidence names no row 'r999'"),
        (("full", "--withhold", "empty.txt"), "no row is named"),
        (("full", "--withhold", "missing.txt"), "missing.txt cannot be read"),
        (("full",), "exactly one of --rows and --withhold is needed"),
        (
            ("full", "--withhold", "ids.txt", "--rows", "ids.txt"),
            "exactly one of --rows and --withhold is needed",
        ),
        (("full", "--withhold", "ids.txt", "--also", "ghost"), "the record has nothing of 'ghost'"),
    ],
    ids=["unknown", "empty", "missing", "neither", "both", "ghost"],
)
def test_who_names_rows_wrongly_is_told(
    auditor: Command, disclosed: Path, arguments: Sequence[str], reason: str
) -> None:
    (disclosed / "none.txt").write_text("r1\nr999\n")
    (disclosed / "empty.txt").write_text("\n")
    ended = auditor("disclose", *arguments, "--out", "other")
    assert ended.code == 2
    assert reason in ended.said
    assert not (disclosed / "other").exists()


@pytest.mark.slow
def test_checks_that_go_by_no_row_are_withheld_whole(
    auditor: Command, disclosed: Path, verify: Command
) -> None:
    only = ("--only", "hardware.determinism", "--only", "hardware.memory")
    assert auditor("audit", "audit.yaml", *only, "--out", "other").code in {0, 3}
    secret = json.loads((disclosed / "other" / "disclosure.key").read_bytes())
    assert encode_evidence(None).digest in secret["blobs"].values()
    assert verify("other").code == 0  # what is null in itself is not withheld
    place = disclosed / "other" / "rows" / named(disclosed / "other", "ids", "hardware.determinism")
    (disclosed / "one.txt").write_text(str(np.load(place)[0]))
    assert auditor("disclose", "other", "--withhold", "one.txt", "--out", "less").code == 0
    assert (
        "all withheld: hardware.determinism on cpu, hardware.memory on cpu" in verify("less").said
    )


def test_a_plain_record_cannot_withhold_rows(auditor: Command, finished: Path) -> None:
    (finished / "ids.txt").write_text("r1\n")
    ended = auditor("disclose", "out", "--withhold", "ids.txt", "--out", "part")
    assert ended.code == 2
    assert "Audit with `disclosure: rows`" in ended.said


def test_a_report_that_shows_rows_withholds_none(auditor: Command, disclosed: Path) -> None:
    with (disclosed / "audit.yaml").open("a") as file:
        file.write("show_examples: true\n")
    ended = auditor("audit", "audit.yaml", "--out", "shown")
    assert ended.code == 2
    assert "a report that shows rows withholds none" in ended.said


def test_a_gate_opens_for_the_whole_folder_and_not_for_a_part(
    auditor: Command, disclosed: Path, home: Path
) -> None:
    asked = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml")
    key = ("--key", home / "signer.pub")
    assert auditor(*asked, "--record", "full", *key).code == 0
    assert auditor(*asked, "--record", "part", *key).code == 1


def test_only_the_whole_folder_is_reproduced_and_judged(
    auditor: Command, disclosed: Path, verify: Command
) -> None:
    assert auditor("reproduce", "full").code == 0
    ended = auditor("reproduce", "part")
    assert ended.code == 2
    assert "withholds the key under which the record names its data" in ended.said
    changed = (disclosed / "policy.yaml").read_text().replace("0.6", "0.7")
    (disclosed / "other.yaml").write_text(changed)
    assert auditor("judge", "full", "--policy", "other.yaml", "--out", "judged").code == 0
    assert verify("judged").code == 0
    ended = auditor("judge", "part", "--policy", "other.yaml", "--out", "x")
    assert ended.code == 2
    assert "part withholds evidence of" in ended.said


def test_two_records_of_one_audit_have_no_digest_of_rows_in_common(
    auditor: Command, disclosed: Path
) -> None:
    assert auditor("audit", "audit.yaml", *ONLY, "--out", "second").code == 0
    first, second = (
        {named(disclosed / folder, item) for item in ("ids", "labels", "task")}
        for folder in ("full", "second")
    )
    assert not first & second
    keys = [
        json.loads((disclosed / folder / "disclosure.key").read_bytes())
        for folder in ("full", "second")
    ]
    assert keys[0]["key"] != keys[1]["key"]
    assert sorted(keys[0]["blobs"].values()) == sorted(keys[1]["blobs"].values())


ATTACKS = (
    *("evasion.l0", "evasion.l1", "evasion.l2", "evasion.linf", "evasion.linf_query"),
    *("evasion.transfer", "evasion.universal", "hardware.parity", "quality.calibration"),
)


@pytest.mark.slow
def test_rows_are_withheld_of_every_check_that_goes_by_row(
    auditor: Command, disclosed: Path, verify: Command
) -> None:
    only = [word for check in ATTACKS for word in ("--only", check)]
    assert auditor("audit", "audit.yaml", *only, "--out", "attacked").code in {0, 3}
    assert verify("attacked").code == 0
    (disclosed / "some.txt").write_text("\n".join(f"r{row}" for row in range(0, 240, 2)))
    asked = ("disclose", "attacked", "--withhold", "some.txt", "--out", "half")
    assert auditor(*asked).code == 0
    ended = verify("half")
    assert ended.code == 3, ended.said
    assert "all withheld" not in ended.said
    assert all(f"{check} on cpu" in ended.said for check in ATTACKS)
    shares = ("clean_accuracy (norm l2)", "robust_accuracy (eps 0.1, norm linf)", "flip_rate")
    assert all(f"bounds {share}" in ended.said for share in shares)
