"""An evaluation file that holds few rows many times passes nothing, whatever the few show."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
ONLY = ("--only", "quality.accuracy", "--only", "evasion.linf", "--only", "data.duplicates")
ROBUST = """\
  - id: robust
    title: It bears small changes
    severity: high
    effect: deny
    measure: evasion.linf/robust_accuracy
    where: {eps: 0.01}
    at_least: 0.6
    accept: withstood
"""


def copy(place: Path, rows: int, times: int, jitter: float) -> None:
    """Keep the rows that lie furthest from the model's line, so many times each, hardly moved."""
    head, *lines = (place / "test.csv").read_text().splitlines()
    parts = [line.split(",") for line in lines]
    sure = sorted(parts, key=lambda part: -abs(6 * float(part[1]) + 4 * float(part[2]) - 5))
    easy = [part for part in sure if (part[-1] == "yes") == (float(part[1]) > 0.5)][:rows]
    copies = [
        [f"c{time}-{row[0]}", *(str(float(it) + jitter * time) for it in row[1:3]), *row[3:]]
        for time in range(times)
        for row in easy
    ]
    text = "\n".join([head, *(",".join(row) for row in copies)])
    (place / "test.csv").write_text(text + "\n")
    with (place / "policy.yaml").open("a") as file:
        file.write(ROBUST)


@pytest.mark.slow
@pytest.mark.parametrize(("jitter", "equal"), [(0.0, 0.975), (1e-6, 0.0)])
def test_twenty_easy_rows_forty_times_each_open_nothing(
    auditor: Command, inside: Path, home: Path, jitter: float, equal: float
) -> None:
    copy(inside, 20, 40, jitter)
    ended = auditor("audit", "audit.yaml", *ONLY, "--out", "out")
    assert ended.code == 3
    record = json.loads((inside / "out" / "record.json").read_bytes())
    assert {item["outcome"] for item in record["findings"]} == {"unknown"}
    accuracy = next(it for it in record["readings"] if it.get("metric") == "accuracy")
    assert accuracy["doubted"]
    assert "780 of 800 evaluation rows repeat another row" in accuracy["details"]["doubt"]
    assert accuracy["low"] < 0.9
    robust = [it for it in record["readings"] if it.get("metric") == "robust_accuracy"]
    assert robust
    assert all(it["doubted"] and it["n"] == 20 for it in robust)
    counted = next(it for it in record["readings"] if it.get("metric") == "exact_share")
    assert (counted["value"], counted["doubted"]) == (equal, False)
    assert auditor("verify", "out", "--key", home / "signer.pub").code == 0
    gate = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
    shut = auditor(*gate, "--key", home / "signer.pub")
    assert shut.code == 1
    assert "Gate: closed (verdict)" in shut.said
