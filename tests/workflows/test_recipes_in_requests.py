"""Code that trains is an input like any other: copied, digested, registered, and named by it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from watching import Nobody

from auditor.domain.record_json import read_record
from auditor.domain.training_recipes import RecipeRef
from auditor.errors import AuditFileError
from auditor.reports.schemas import validate_record
from auditor.workflows.audit import run_audit
from auditor.workflows.plan import build_target_plans
from auditor.workflows.prepare import PreparedAudit, prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import OPENERS, build_path_resolver, build_resolvers
from auditor.workflows.workspace import open_workspace

AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: m}
task: {classes: ["no", "yes"]}
data:
  evaluation: {path: scored.npz, labels: y, predictions: said}
"""
RECIPE = "recipe: {path: recipe.py, allow: false}\n"
ONE = ("quality.accuracy",)


def audited(folder: Path, text: str, code: str) -> PreparedAudit:
    (folder / "recipe.py").write_text(code)
    (folder / "audit.yaml").write_text(text)
    said = np.array(["no", "yes", "yes", "no"])
    np.savez(folder / "scored.npz", y=said, said=said)
    parts = build_resolvers(folder)
    file = read_overridden_audit_file(text.encode(), "audit.yaml", parts, only=ONE)
    with prepare_audit(file, build_path_resolver(folder / "audit.yaml"), parts) as prepared:
        return prepared


def test_the_code_is_an_input_by_its_digest_and_the_request_names_it(tmp_path: Path) -> None:
    code = "def train(X, y, seed):\n    return None\n"
    request = audited(tmp_path, AUDIT + RECIPE, code).request
    digest = hashlib.sha256(code.encode()).hexdigest()
    listed = {item.path: item.file.sha256 for item in request.inputs}
    assert listed["recipe.py"] == digest
    assert request.recipe == RecipeRef(digest=f"sha256:{digest}", function="train")
    assert request.to_json()["recipe"] == {
        "digest": f"sha256:{digest}", "function": "train", "dp_train": None, "allowed": False
    }  # fmt: skip


def test_leave_to_run_without_a_sandbox_is_in_the_record(tmp_path: Path) -> None:
    text = AUDIT + RECIPE.replace("false", "unsandboxed")
    request = audited(tmp_path, text, "train = 1\n").request
    assert request.recipe is not None
    assert request.recipe.unsandboxed
    assert request.to_json()["recipe"]["unsandboxed"] is True


def test_another_code_makes_another_request(tmp_path: Path) -> None:
    one = audited(tmp_path, AUDIT + RECIPE, "train = 1\n").request
    two = audited(tmp_path, AUDIT + RECIPE, "train = 2\n").request
    assert one.digest != two.digest


def test_a_request_without_a_recipe_says_nothing_of_one(tmp_path: Path) -> None:
    assert "recipe" not in audited(tmp_path, AUDIT, "train = 1\n").request.to_json()


def test_what_runs_is_the_copy_that_was_digested(tmp_path: Path) -> None:
    parts = build_resolvers(tmp_path)
    text = AUDIT + RECIPE
    audited(tmp_path, text, "train = 1\n")
    file = read_overridden_audit_file(text.encode(), "audit.yaml", parts, only=ONE)
    with prepare_audit(file, build_path_resolver(tmp_path / "audit.yaml"), parts) as prepared:
        (tmp_path / "recipe.py").write_text("train = 2\n")
        source = prepared.materials.recipe
        assert source is not None
        assert source.path.read_text() == "train = 1\n"


def test_a_record_keeps_the_recipe_and_rests_on_it(tmp_path: Path) -> None:
    text = AUDIT + RECIPE
    audited(tmp_path, text, "train = 1\n")
    parts = build_resolvers(tmp_path)
    file = read_overridden_audit_file(text.encode(), "audit.yaml", parts, only=ONE)
    settings = AuditorSettings(tmp_path / "home", f"sqlite:///{tmp_path / 'auditor.db'}")
    with (
        prepare_audit(file, build_path_resolver(tmp_path / "audit.yaml"), parts) as prepared,
        open_workspace(settings) as place,
    ):
        place.keep_inputs(prepared, build_path_resolver(tmp_path / "audit.yaml"))
        record = run_audit(prepared, place.surroundings(), Nobody())
        named = prepared.request.recipe
        assert named is not None
        assert place.store.blobs.get(named.digest) == b"train = 1\n"
    assert read_record(record.canonical()).request.recipe == named
    assert [edge.role for edge in record.lineage if edge.destination == named.digest] == ["recipe"]
    assert validate_record(record.to_json()) == []


@pytest.mark.parametrize(
    ("section", "code", "said"),
    [
        ("", "def other(): ...", "recipe.function: recipe.py defines no train"),
        (
            ", dp_train: private",
            "def train(): ...",
            "recipe.dp_train: recipe.py defines no private",
        ),
        ("", "class A:\n    def train(self): ...", "defines no train"),
        ("", "x = 1\ndef train(:", "recipe.py:2: invalid syntax"),
    ],
)
def test_a_function_that_is_not_there_is_named_before_anything_runs(
    tmp_path: Path, section: str, code: str, said: str
) -> None:
    text = AUDIT + RECIPE.replace("}", f"{section}}}")
    with pytest.raises(AuditFileError) as raised:
        audited(tmp_path, text, code)
    assert said in raised.value.problem
    assert raised.value.cure


@pytest.mark.parametrize(
    "code",
    [
        "from mine import learn as train",
        "from mine import *",
        "train = make()",
        "try:\n    from a import train\nexcept ImportError:\n    def train(): ...",
        "def make():\n    global train\n    train = 1",
        "globals()['train'] = 1",
        "def __getattr__(name): ...",
    ],
)
def test_a_function_that_may_be_there_is_left_to_be_found_when_it_runs(
    tmp_path: Path, code: str
) -> None:
    assert audited(tmp_path, AUDIT + RECIPE, code).request.recipe is not None


def test_a_plan_says_that_a_recipe_is_named_and_may_not_be_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text("def train(X, y, seed): ...")
    audited(tmp_path, AUDIT, "")
    asked = ("privacy.membership",)
    tiers = {}
    for text in (AUDIT, AUDIT + RECIPE):
        (tmp_path / "recipe.py").write_text("def train(X, y, seed): ...")
        parts = build_resolvers(tmp_path)
        file = read_overridden_audit_file(text.encode(), "audit.yaml", parts, only=asked)
        with prepare_audit(file, build_path_resolver(tmp_path / "audit.yaml"), parts) as prepared:
            (plan,) = build_target_plans(prepared, OPENERS).values()
        tiers[text] = next(tier for tier in plan.tiers if tier.input == "recipe")
    assert not any(tier.here for tier in tiers.values())
    assert "names no recipe" in tiers[AUDIT].why
    assert "gives no leave to run it" in tiers[AUDIT + RECIPE].why
    assert "recipe.allow: true" in tiers[AUDIT + RECIPE].why
