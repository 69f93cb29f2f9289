"""An audit of several group columns is verified, in whatever order the audit file names them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.mark.parametrize(
    "groups", ["[town, area]", pytest.param("[area, town]", marks=pytest.mark.slow)]
)
def test_a_record_of_two_group_columns_is_verified(
    auditor: Command, inside: Path, home: Path, groups: str
) -> None:
    head, *rows = (inside / "test.csv").read_text().splitlines()
    areas = (("east", "west", "east")[at % 3] for at in range(len(rows)))
    lines = (f"{row},{area}" for row, area in zip(rows, areas, strict=True))
    (inside / "test.csv").write_text("\n".join([f"{head},area", *lines]) + "\n")
    file = inside / "audit.yaml"
    told = file.read_text()
    assert "groups: [town]" in told
    file.write_text(told.replace("groups: [town]", f"groups: {groups}"))
    assert auditor("audit", "audit.yaml", "--out", "out").code in {0, 1, 3}
    verified = auditor("verify", "out", "--key", home / "signer.pub")
    assert verified.code == 0, verified.said
