"""The worked example of docs/waivers.md, run as it is written, on the digits."""

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditor.trust.keys.files import load_signer
from auditor.trust.signatures.decisions import open_waiver, sign_waiver

Command = Callable[..., Any]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "waivers.md").read_text(encoding="utf-8")
PART = PAGE.partition("## A worked example")[2].partition("\n## ")[0]
FILES = ("model.onnx", "model.sig", "model.pub", "test.npz", "train.npz", "recipe.py", "audit.yaml")


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        shutil.copy(ROOT / "examples" / "digits" / name, tmp_path / name)
    (policy,) = re.findall(r"```yaml\n(.*?)```", PART, re.DOTALL)
    (tmp_path / "strict.yaml").write_text(policy)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> list[tuple[list[str], int]]:
    """Return each command of the page with the code that it is said to exit with."""
    (block,) = re.findall(r"```sh\n(.*?)```", PART, re.DOTALL)
    lines = [line.rpartition(" # ") for line in block.splitlines()]
    return [(shlex.split(line)[1:], int(said[0])) for line, _, said in lines]


@pytest.mark.slow
def test_the_worked_example_does_what_the_page_says(auditor: Command, digits: Path) -> None:
    ended = {}
    for words, code in commands():
        done = auditor(*words)
        assert done.code == code, (words, done.said)
        ended.setdefault(words[0], []).append(done.said)
    assert "say whose waivers count with --waiver-key" in ended["gate"][0]
    comment = (digits / "comment.md").read_text()
    assert "\N{WARNING SIGN}" in comment
    assert "RISK-7" in comment

    told = replace(
        open_waiver((digits / "w.json").read_bytes(), "w.json"),
        created="2026-01-01T00:00:00Z",
        expires="2026-01-31T00:00:00Z",
    )
    (digits / "w.json").write_bytes(sign_waiver(told, load_signer(digits / "anna/decision.key")))
    again = auditor(*next(words for words, _ in commands() if words[0] == "judge")[:-1], "later")
    assert again.code == 1
    assert "expired" in again.said
