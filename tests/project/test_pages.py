"""The written pages say what the code does."""

import re
import runpy
from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest

from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.ai_system import OWNERS
from auditor.domain.auditfiles import (
    AuditFile,
    DataSection,
    GeneratorSection,
    InputSection,
    ModelSection,
    PrivacySection,
    RecipeSection,
    ShadowsSection,
    TaskSection,
)
from auditor.domain.targets import CascadeSpec, EndpointSpec, TargetSpec
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.auditfile.system_files import read_risks, read_system
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.inherit import ExtendingPolicySchema, PolicySource
from auditor.policy.load import find_policy_source, load_policy, load_policy_source
from auditor.policy.schema import PolicyMetadataSchema, PolicySchema, RuleSchema
from auditor.reports.formats.annex_iv import CHAPTERS
from auditor.targets.target_specs import resolve_target

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/*/*.md")]
    if path.is_file()
)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")
YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def test_the_pages_of_the_checks_are_current() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_check_pages.py"))
    expected = script["pages"](discover_checks())
    found = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("checks/*.md")}
    assert found.keys() == expected.keys(), "run make docs"
    stale = [name for name, text in expected.items() if found[name] != text]
    assert not stale, "run make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    broken = [target for target in targets if not (page.parent / target).exists()]
    assert not broken


@pytest.mark.parametrize("page", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_what_it_costs_and_fits_half_a_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "\n## The price\n" in text
    assert len(text.split()) <= 350
    assert f"({page.name})" in (page.parent / "index.md").read_text(encoding="utf-8")


def blocks(page: Path) -> list[str]:
    return YAML.findall(page.read_text(encoding="utf-8"))


TELLING = ("audit-file.md", "data-and-drift.md", "privacy-and-poisoning.md")
AUDIT_FILES = [text for name in TELLING for text in blocks(DOCS / name)]
POLICIES = blocks(DOCS / "policy.md")
UNSAID: frozenset[str] = frozenset()


@pytest.mark.parametrize("text", AUDIT_FILES, ids=range(len(AUDIT_FILES)))
def test_an_audit_file_of_the_documentation_is_accepted(text: str) -> None:
    read_audit_file(text.encode(), "audit.yaml", resolve_target)


@pytest.mark.parametrize("text", POLICIES, ids=range(len(POLICIES)))
def test_a_policy_of_the_documentation_is_accepted(text: str) -> None:
    catalogues = load_catalogues(find_shipped_folder("policies"))
    parent = partial(find_policy_source, base=DOCS, folder=find_shipped_folder("policies"))
    written = PolicySource(text.encode(), "policy.yaml", "policy.yaml", parent)
    assert load_policy_source(written, discover_checks(), catalogues).rules


def test_the_documentation_of_the_dossier_is_accepted_and_names_every_setting_and_its_owner() -> (
    None
):
    system, risks = blocks(DOCS / "dossier.md")
    assert read_system(system.encode(), "system.yaml", "loan-approval").system.told
    baseline = (find_shipped_folder("policies") / "baseline.yaml").read_bytes()
    policy = load_policy(
        baseline, "baseline", discover_checks(), load_catalogues(find_shipped_folder("policies"))
    )
    assert read_risks(risks.encode(), "risks.yaml", [rule.id for rule in policy.rules]).risks
    rows = [line for line in (DOCS / "dossier.md").read_text().splitlines() if line[:1] == "|"]
    told = {item.ref: item for chapter in CHAPTERS for item in chapter.parts}
    for ref, part in told.items():
        for topic in (*part.topics, *part.optional):
            (row,) = (row for row in rows if f"`{topic}`" in row)
            assert row.endswith(f"| {ref} | {OWNERS[topic]} |")


def test_the_documentation_names_every_setting_of_a_policy() -> None:
    text = (DOCS / "policy.md").read_text(encoding="utf-8")
    shapes = (PolicySchema, ExtendingPolicySchema, PolicyMetadataSchema, RuleSchema)
    named = {name for shape in shapes for name in shape.model_fields}
    absent = {name for name in named - UNSAID if name not in text}
    assert absent == set()


def test_the_documentation_names_every_setting_of_an_audit_file() -> None:
    text = (DOCS / "audit-file.md").read_text(encoding="utf-8")
    model, data = (ModelSection, TaskSection, InputSection), (DataSection, RecipeSection)
    sections = (AuditFile, *model, *data, PrivacySection, ShadowsSection, GeneratorSection)
    named = {field.name for section in sections for field in fields(section)}
    # source and raw are what was read, not what was written; a title names what is in no file;
    # some are asked for by the caller alone, and no file can set them.
    callers = {"only", "granted", "own_policy", "allow_unsandboxed", "attempt"}
    unwritten = {"source", "raw", "title", *callers}
    absent = {name for name in named - unwritten if f"`{name}`" not in text}
    assert absent == set()


def test_the_documentation_names_every_setting_of_a_target() -> None:
    text = (DOCS / "targets.md").read_text(encoding="utf-8")
    named = {field.name for spec in (TargetSpec, EndpointSpec) for field in fields(spec)}
    absent = {name for name in named if not re.search(rf"^\|[^|]*`{name}`", text, re.MULTILINE)}
    assert absent == set()
    assert all(f"`{field.name}`" in text for field in fields(CascadeSpec))


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", (DOCS / "threat-model.md").read_text()))
    assert len(named) > 20
    assert not sorted(name for name in named if not (ROOT / name).is_file())
