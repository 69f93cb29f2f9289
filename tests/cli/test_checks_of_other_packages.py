"""A package that brings a check and its block, installed as the documentation tells."""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.checks.registry import GROUP, check_origins, discover_checks
from auditor.domain.report_blocks import CheckOrigin

PAGE = Path(__file__).parents[2] / "docs" / "checks-of-your-own.md"
FENCED = re.compile(r"^```(toml|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
MODULE = "toychecks_margins"
AUDIT = ("audit", "audit.yaml", "--only", "toy.margins", "--out", "out")
Command = Callable[..., Any]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the documented package."""
    written = dict(FENCED.findall(PAGE.read_text(encoding="utf-8")))
    project = tomllib.loads(written["toml"])["project"]
    name, version = project["name"], project["version"]
    entries = [f"{key} = {value}" for key, value in project["entry-points"][GROUP].items()]
    folder = tmp_path / "site"
    papers = folder / f"{name}-{version}.dist-info"
    papers.mkdir(parents=True)
    (folder / f"{MODULE}.py").write_text(written["python"])
    (papers / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (papers / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *entries, ""]))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)


def test_no_check_is_said_to_be_another_packages_where_none_is_installed() -> None:
    assert check_origins() == {}


@pytest.mark.usefixtures("installed")
def test_an_installed_package_brings_its_check_under_its_name_and_version() -> None:
    assert discover_checks()["toy.margins"].__module__ == MODULE
    assert check_origins() == {"toy.margins": CheckOrigin("toychecks", "1.2.0")}


@pytest.mark.usefixtures("installed")
def test_the_documented_check_is_audited_and_its_block_is_in_the_report(
    inside: Path, auditor: Command
) -> None:
    auditor(*AUDIT)
    page = (inside / "out" / "report.html").read_text(encoding="utf-8")
    assert "From toychecks · Margins of decisions" in page
    assert "<strong>toychecks 1.2.0</strong>" in page
    assert "A small margin is a decision that little would turn." in page
    assert "Rows up to a margin</title>" in page
    summary = (inside / "out" / "summary.md").read_text(encoding="utf-8")
    assert "- Margins of decisions on cpu, from toychecks 1.2.0" in summary
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
