"""Every snippet of the page on CI is one that works."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from auditor.cli.ci import FailureThreshold

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
YAML = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
SHELL = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
Command = Callable[..., Any]


def test_every_command_of_the_page_runs(auditor: Command, inside: Path) -> None:
    (inside / "policy.yaml").write_text(
        (inside / "policy.yaml").read_text().replace("checks: {}\n", "")
    )
    ours = [line for line in SHELL if line.startswith("auditor ")]
    assert [line.split()[1] for line in ours] == ["policies", "audit", "gate", "comment"]
    for line in ours:
        words = shlex.split(line)[1:]
        only = ("--only", "quality.accuracy") if words[0] == "audit" else ()
        ended = auditor(*words, *only)
        assert ended.code == 0, f"{line}: {ended.said}"
    assert "approved for deployment" in (inside / "comment.md").read_text()


def test_every_line_of_shell_is_one_that_is_known() -> None:
    assert all(line.startswith(("auditor ", "pip install ")) for line in SHELL)


def test_the_workflow_gives_the_action_inputs_that_it_has() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (workflow,) = [item for item in YAML if "jobs" in item]
    (step,) = [
        step for step in workflow["jobs"]["audit"]["steps"] if "/auditor@" in step.get("uses", "")
    ]
    assert set(step["with"]) <= set(action["inputs"])
    assert {"security-events", "pull-requests"} <= set(workflow["permissions"])


def test_the_pipeline_gives_the_component_inputs_that_it_has() -> None:
    template = (ROOT / "templates" / "auditor" / "template.yml").read_text(encoding="utf-8")
    spec, _ = yaml.safe_load_all(template)
    (pipeline,) = [item for item in YAML if "include" in item]
    assert set(pipeline["include"][0]["inputs"]) <= set(spec["spec"]["inputs"])


def test_the_hook_of_the_page_is_there() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (config,) = [item for item in YAML if "repos" in item]
    assert {hook["id"] for hook in config["repos"][0]["hooks"]} <= {hook["id"] for hook in hooks}


def test_every_choice_of_what_fails_is_explained() -> None:
    assert all(f"| `{choice}` |" in PAGE for choice in FailureThreshold)
