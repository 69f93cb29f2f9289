"""Nobody is told to install `auditor` by its name alone, and actions of others are pinned.

An index may have anything under that name, and jobs that install it hold keys.
"""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LINE = re.compile(
    r"(?:pip3?|uv|pipx)[ \t]+(?:tool[ \t]+)?install"
    r"""((?:\s+'[^'\n]*'|\s+"[^"\n]*"|[ \t]+[^\s'"`#]+)+)"""
)
WORD = re.compile(r"""'([^'\n]*)'|"([^"\n]*)"|([^\s'"`#]+)""")
NAMED = re.compile(r"auditor\s*(?:\[[^\]]*\])?\s*(?:[=<>!~].*)?")
"""A requirement without `@`, which would say where it comes from."""
USES = re.compile(r"^\s*(?:- )?uses:\s*(?P<what>\S+)(?P<note>.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
OURS = "OWNER/auditor@COMMIT"
WORKFLOWS = (
    *sorted((ROOT / ".github" / "workflows").glob("*.y*ml")),
    ROOT / "action.yml",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "auditor/service/web/templates/start.html.j2",
)


def tree() -> list[Path]:
    """Every text that is handed out: the sources, and not what tests keep as bad examples."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    kept = [name for name in listed if name and not name.startswith("tests/")]
    return [path for name in kept if (path := ROOT / name).is_file()]


def by_name(text: str) -> list[str]:
    words = [word for line in LINE.finditer(text) for word in WORD.findall(line[1])]
    return [what for word in words if NAMED.fullmatch(what := "".join(word))]


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("pip install 'auditor[all]'", True),
        ("python -m pip install --quiet auditor", True),
        ("pip install auditor==1.0", True),
        ("run: uv pip install 'auditor[client]'", True),
        ("`pip install\n'auditor[art]'`", True),
        ("pip install httpx auditor", True),
        ("pip install '.[all]'        # in a checkout of auditor", False),
        ("pip install './auditor[client]'", False),
        ("pip install ./auditor-1.0.0-py3-none-any.whl", False),
        ("pip install 'auditor[all] @ file:///path/to/checkout'", False),
        ("pip install auditor-tools", False),
    ],
)
def test_the_rule_knows_a_name_from_a_place(line: str, *, refused: bool) -> None:
    assert bool(by_name(line)) is refused


def test_no_text_of_the_tree_installs_auditor_by_its_name() -> None:
    found = []
    for path in tree():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {what}" for what in by_name(text)]
    assert not found


def test_what_pip_installs_in_a_pipeline_has_no_name_alone_as_default() -> None:
    template = (ROOT / "templates" / "auditor" / "template.yml").read_text(encoding="utf-8")
    spec, _ = yaml.safe_load_all(template)
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    defaults = [spec["spec"]["inputs"]["requirement"]["default"]]
    defaults += [action["inputs"]["requirement"]["default"]]
    assert not any(item.startswith("auditor") for item in defaults)
    assert '"${REQUIREMENT:-$SOURCE[all]}"' in (ROOT / "action.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_others_are_pinned_by_commit_and_say_their_version(path: Path) -> None:
    for match in USES.finditer(path.read_text(encoding="utf-8")):
        what = match["what"]
        if what.startswith("ClassVar"):
            continue
        assert what == OURS or PINNED.fullmatch(what), f"{path.name}: {what}"
        assert what == OURS or re.match(r" # v\d+\.\d+\.\d+", match["note"]), f"{path.name}: {what}"


def test_the_pins_are_looked_for_where_they_are() -> None:
    seen = {path.name for path in WORKFLOWS if "uses: actions/" in path.read_text(encoding="utf-8")}
    assert {"ci.yml", "action.yml", "ci.md", "tokens.md", "start.html.j2"} <= seen
