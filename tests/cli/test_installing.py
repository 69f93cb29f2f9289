"""What a terminal says of an extra is the line that works for how auditor was installed."""

import io
import json
import shlex
import sys
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from auditor.cli import main
from auditor.cli.installing import as_installed, requirement
from auditor.cli.showing import show_gaps
from auditor.domain.readings import Gap, Reason

CURE = "Run `pip install 'auditor[client]'`."
WHEEL = "file:///w/auditor-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("came_from", "told"),
    [
        ({}, "'auditor[art,text]'"),
        (
            {"url": "file:///my%20work/auditor", "dir_info": {"editable": True}},
            "--editable '/my work/auditor[art,text]'",
        ),
        ({"url": "file:///w/auditor", "dir_info": {}}, "'auditor[art,text] @ file:///w/auditor'"),
        ({"url": WHEEL, "archive_info": {}}, f"'auditor[art,text] @ {WHEEL}'"),
        (
            {"url": "https://h/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            "'auditor[art,text] @ git+https://h/a.git@c0ffee'",
        ),
        (
            {"url": "https://u:t@h/a.whl?Signature=s#egg", "archive_info": {}, "subdirectory": "p"},
            "'auditor[art,text] @ https://h/a.whl#subdirectory=p'",
        ),
        ({"dir_info": None}, "'auditor[art,text]'"),
        ({"url": "https://h/a.git", "vcs_info": {"vcs": "git"}}, "'auditor[art,text]'"),
        ({"url": "https://[h/a.whl"}, "'auditor[art,text]'"),
    ],
    ids=[
        "index",
        "editable",
        "folder",
        "wheel",
        "repository",
        "signed address",
        "no folder",
        "no commit",
        "no address",
    ],
)
def test_an_extra_comes_from_where_auditor_came_from(came_from: dict[str, Any], told: str) -> None:
    assert requirement("art,text", came_from) == told
    assert len(shlex.split(told)) <= 2


@pytest.mark.parametrize("written", ["{broken", "[]", "null"])
def test_a_damaged_note_of_the_installation_leaves_the_name(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    noted = SimpleNamespace(read_text=lambda _: written)
    monkeypatch.setattr("auditor.cli.installing.distribution", lambda _: noted)
    assert as_installed(CURE).endswith(" install 'auditor[client]'`.")


def test_texts_without_an_extra_are_left_alone() -> None:
    assert as_installed("pip install model-signing, or audit 'auditor[art]'.") == (
        "pip install model-signing, or audit 'auditor[art]'."
    )


def here() -> str:
    """Return what a message has to name for this installation."""
    came_from = json.loads(distribution("auditor").read_text("direct_url.json") or "{}")
    assert came_from, "the tests run from an installed checkout"
    return requirement("client", came_from)


def test_an_error_names_the_line_that_works_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.setenv("AUDITOR_API_KEY", "auk_it_is_read_first")
    assert main.run(["schedule", "list", "--server", "http://127.0.0.1:1"]) == 2
    assert f"pip install {here()}`." in capsys.readouterr().err


def test_a_gap_that_is_shown_names_it_and_the_gap_itself_does_not() -> None:
    gap = Gap(reason=Reason.NEEDS_EXTRA, detail="It is not installed.", cure=CURE)
    console = Console(file=(file := io.StringIO()), width=80)
    show_gaps(console, [gap])
    assert f"pip install {here()}`." in file.getvalue()
    assert str(Path(__file__).parents[2]) not in json.dumps(gap.to_json())
