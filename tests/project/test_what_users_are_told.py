"""What people must know before they run something is said where they look for it."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def told(page: str) -> str:
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def test_the_readme_names_the_extra_that_remakes_the_examples() -> None:
    assert "pip install '.[examples]'" in told("README.md")


def test_the_page_on_security_says_what_a_recipe_without_a_sandbox_can_do() -> None:
    said = told("SECURITY.md")
    assert "`allow: unsandboxed`" in said
    assert "read every file that you can" in said


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/index.md", "docs/first-gate.md", "docs/ci.md", "docs/service.md",
     "auditor/service/web/templates/start.html.j2"],
)  # fmt: skip
def test_pages_that_install_auditor_say_that_it_is_not_published_yet(page: str) -> None:
    said = told(page)
    first = re.search(r"pip install '[^']*\[", said)
    assert first
    assert "not on PyPI yet" in said[: first.start() + 150]


def test_the_versions_of_python_that_are_promised_are_those_that_ci_tests() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    tested = jobs["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    assert [it for line in project["classifiers"] for it in version.findall(line)] == tested
    assert project["requires-python"] == f">={tested[0]}"
    _, row = told("README.md").split("| platforms |")
    assert re.findall(r"3\.\d+", row.partition("|")[0]) == tested
