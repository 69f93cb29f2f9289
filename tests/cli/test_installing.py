"""What a terminal says of an extra is the line that works for how auditor was installed."""

import io
import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from auditor.cli import main
from auditor.cli.main import adapt_install_hints, format_requirement
from auditor.cli.record_output import show_gaps
from auditor.domain.readings import Gap, GapReason
from auditor.errors import suggest_install, update_install_wording

CURE = "Install auditor's extra `client` from where auditor came."
EARLIER = "Run `pip install 'auditor[client]'`."
PACKAGES = (
    "'adversarial-robustness-toolbox>=1.20' 'cma>=4' 'multiprocess>=0.70' "
    "'datasets<4,>=2.4' 'flair>=0.15' 'huggingface-hub<1' "
    "'textattack>=0.3.11' 'transformers<5,>=4.40'"
)
WHEEL = "file:///w/auditor-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("came_from", "told"),
    [
        ({}, PACKAGES),
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
        ({"dir_info": None}, PACKAGES),
        ({"url": "https://h/a.git", "vcs_info": {"vcs": "git"}}, PACKAGES),
        ({"url": "https://[h/a.whl"}, PACKAGES),
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
    assert format_requirement("art,text", came_from) == told
    assert "auditor" not in shlex.split(told), "an index may hold anything under that name"


@pytest.mark.parametrize("written", ["{broken", "[]", "null"])
def test_a_damaged_note_of_the_installation_names_what_the_extra_is_made_of(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    noted = SimpleNamespace(read_text=lambda _: written)
    monkeypatch.setattr("auditor.cli.main.distribution", lambda _: noted)
    assert adapt_install_hints(CURE).endswith(" install 'httpx>=0.27'`.")


def test_an_extra_of_extras_names_what_they_are_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["rich>=13", "torch>=2 ; extra == 'attacks'", 'auditor[attacks] ; extra == "all"']
    monkeypatch.setattr("auditor.cli.main.requires", lambda _: told)
    assert format_requirement("all", {}) == "'torch>=2'"


def test_where_nothing_is_known_the_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> list[str]:
        raise PackageNotFoundError

    monkeypatch.setattr("auditor.cli.main.distribution", unknown)
    monkeypatch.setattr("auditor.cli.main.requires", unknown)
    assert adapt_install_hints(CURE) == CURE
    assert adapt_install_hints(EARLIER) == CURE


def test_words_of_earlier_records_are_shown_as_those_of_today() -> None:
    assert update_install_wording(EARLIER) == CURE
    assert update_install_wording("pip install 'auditor[a,b]', and audit again.") == (
        f"{suggest_install('a,b')}, and audit again."
    )
    assert adapt_install_hints(EARLIER) == adapt_install_hints(CURE)


def test_texts_without_an_extra_are_left_alone() -> None:
    assert adapt_install_hints("pip install model-signing, or audit 'auditor[art]'.") == (
        "pip install model-signing, or audit 'auditor[art]'."
    )


def here() -> str:
    """Return what a message has to name for this installation."""
    came_from = json.loads(distribution("auditor").read_text("direct_url.json") or "{}")
    assert came_from, "the tests run from an installed checkout"
    return format_requirement("client", came_from)


def test_an_error_names_the_line_that_works_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.setenv("AUDITOR_API_KEY", "auk_it_is_read_first")
    assert main.run(["schedule", "list", "--server", "http://127.0.0.1:1"]) == 2
    assert f"pip install {here()}`." in capsys.readouterr().err


def test_a_gap_that_is_shown_names_it_and_the_gap_itself_does_not() -> None:
    gap = Gap(reason=GapReason.NEEDS_EXTRA, detail="It is not installed.", cure=CURE)
    console = Console(file=(file := io.StringIO()), width=80)
    show_gaps(console, [gap])
    assert f"pip install {here()}`." in file.getvalue()
    assert str(Path(__file__).parents[2]) not in json.dumps(gap.to_json())
