"""A package that brings a check and its block, installed as the documentation tells."""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from auditor.checks.registry import GROUP, add_checks, check_origins, discover_checks
from auditor.domain.checks import Check, Metric, is_attack
from auditor.domain.readings import Unit
from auditor.domain.report_blocks import CheckOrigin
from auditor.errors import BrokenCheckError

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


def make_check(*bases: type, **more: object) -> type[Check]:
    """Return a check class with all that has no default, and what is given."""
    told = {
        "id": "toy.given",
        "version": 1,
        "title": "Given",
        "needs": frozenset(),
        "emits": {"share": Metric("Share", Unit.SHARE)},
        **{name: lambda *_: () for name in ("cost", "observe", "figures")},
    }
    kept = {name: value for name, value in {**told, **more}.items() if value is not None}
    return cast("type[Check]", type("Given", bases, kept))


def test_classes_join_the_checks_that_were_found() -> None:
    found = add_checks(discover_checks(), [make_check(Check)])
    assert list(found) == sorted([*discover_checks(), "toy.given"])


def test_a_check_that_has_the_shape_alone_gets_the_defaults() -> None:
    check = add_checks({}, [make_check()])["toy.given"]
    assert (check.uses, check.grid, check.by_example) == ((), {}, None)
    assert check().refuses(cast("Any", None)) is None
    assert not is_attack(check)


def test_a_check_that_says_by_an_older_name_that_it_attacks_still_does() -> None:
    assert is_attack(add_checks({}, [make_check(attacks=True)])["toy.given"])


@pytest.mark.parametrize("base", [(), (Check,)])
@pytest.mark.parametrize("name", ["emits", "figures"])
def test_a_check_without_a_required_declaration_is_refused(
    base: tuple[type, ...], name: str
) -> None:
    with pytest.raises(BrokenCheckError, match=f"lacks {name}"):
        add_checks({}, [make_check(*base, **{name: None})])


def test_an_id_that_is_taken_is_refused() -> None:
    with pytest.raises(BrokenCheckError, match=r"claims the id 'quality\.accuracy'"):
        add_checks(discover_checks(), [make_check(Check, id="quality.accuracy")])
