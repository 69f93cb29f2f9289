"""Shell completion, as the shells ask for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

AUDITOR = Path(sys.executable).with_name("auditor")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ver", ["verify"]),
        ("gate --pol", ["--policy"]),
        ("audit audit.yaml --budget ''", ["smoke", "ci", "full"]),
        ("verify out --format j", ["json"]),
        ("keys ro", ["rotate"]),
    ],
)
def test_bash_completes_commands_options_and_their_values(words: str, found: list[str]) -> None:
    script = f"""
    PATH={AUDITOR.parent}:$PATH
    eval "$(_AUDITOR_COMPLETE=bash_source auditor)"
    complete -p auditor
    COMP_WORDS=(auditor {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _auditor_completion auditor
    echo "${{COMPREPLY[@]}}"
    """
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    registered, completed = ended.stdout.splitlines()
    assert registered.endswith("-F _auditor_completion auditor")
    assert completed.split() == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script_and_its_answers(shell: str) -> None:
    source = subprocess.run(
        [AUDITOR], env={"_AUDITOR_COMPLETE": f"{shell}_source"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"_AUDITOR_COMPLETE={shell}_complete" in source.stdout
    asked = {"COMP_WORDS": "auditor repr", "COMP_CWORD": "repr" if shell == "fish" else "1"}
    answer = subprocess.run(
        [AUDITOR], env={**asked, "_AUDITOR_COMPLETE": f"{shell}_complete"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "reproduce" in answer.stdout
    assert "verify" not in answer.stdout
