"""What people must know before they run something is said where they look for it."""

import re
from pathlib import Path

import pytest

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
     "web/templates/start.html.j2"],
)  # fmt: skip
def test_pages_that_install_auditor_say_that_it_is_not_published_yet(page: str) -> None:
    said = told(page)
    first = re.search(r"pip install '[^']*\[", said)
    assert first
    assert "not on PyPI yet" in said[: first.start() + 150]
