"""What owners declare of a system is read without guessing, and nothing is made up."""

import json
from typing import Any

import pytest
import yaml

from auditor.domain.ai_system import (
    OWNERS,
    TITLES,
    AiSystem,
    SystemModel,
    SystemTopic,
    find_topic_owner,
)
from auditor.domain.json import digest_json, encode_canonical
from auditor.errors import DossierError
from auditor.inputs.auditfile.system_files import (
    BEGUN_RISKS,
    NAMING,
    draft_system_file,
    read_system,
)
from auditor.reports.schemas import find_schema_errors

BARE: dict[str, Any] = {
    "apiVersion": "auditor/v1",
    "kind": "System",
    "name": "desk",
    "version": "1",
    "models": [{"name": "m", "role": "Proposes."}],
}
FULL: dict[str, Any] = {
    **BARE,
    **{topic.head: "A text." for topic in SystemTopic},
    "provider": {"name": "Bank", "contact": "office@bank.example"},
    "people": [{"group": "applicants", "how": "are refused"}],
    "oversight": {"measures": ["one", "two"], "who": "Clerks", "qualifications": "A course"},
    "monitoring": {"plan": "p", "frequency": "weekly", "triggers": ["drift"], "who": "Jane"},
    "owners": {"monitoring": "Jane", "monitoring.who": "John", "risks": "Committee"},
}


def read(**fields: object) -> AiSystem:
    return read_system(json.dumps({**BARE, **fields}).encode(), "system.yaml").system


def test_what_is_left_out_is_missing_and_nothing_is_made_up() -> None:
    assert read() == AiSystem(name="desk", version="1", models=(SystemModel("m", "Proposes."),))
    assert read(purpose=None, provider={}, people=[], standards=[]).told == {}


def test_every_topic_can_be_told_has_a_title_and_an_owner() -> None:
    system = read_system(json.dumps(FULL).encode(), "system.yaml").system
    assert set(system.told) == set(SystemTopic) == set(TITLES) == set(OWNERS)
    assert system.told[SystemTopic.PEOPLE] == ("applicants: are refused",)
    assert system.told[SystemTopic.OVERSIGHT_MEASURES] == ("one", "two")
    assert system.role_of("m") == "Proposes."
    assert system.role_of("other") is None


def test_the_most_particular_owner_fills_a_topic() -> None:
    system = read_system(json.dumps(FULL).encode(), "system.yaml").system
    assert find_topic_owner(SystemTopic.MONITORING_WHO, system) == "John"
    assert find_topic_owner(SystemTopic.MONITORING_PLAN, system) == "Jane"
    assert find_topic_owner(SystemTopic.OVERSIGHT_WHO, system) == "deployer"
    assert find_topic_owner(SystemTopic.PURPOSE, None) == "provider"


def test_a_text_may_have_lines_and_its_ends_do_not_count() -> None:
    raw = yaml.safe_dump({**BARE, "purpose": "One.  \nTwo.\n\n"}).encode()
    assert read_system(raw, "s").system.told[SystemTopic.PURPOSE] == ("One.\nTwo.",)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"models": []}, "models: "),
        ({"models": [{"name": "m"}, {"name": "m"}]}, "models.1.name is 'm' a second time"),
        ({"version": 1.0}, "version: 1.0 is not text; write it in quotes"),
        ({"purpse": "x"}, "purpse: there is no such setting"),
        ({"purpose": "TODO: ask Jane"}, "is a placeholder"),
        ({"purpose": "…"}, "is a placeholder"),
        ({"purpose": "<the purpose>"}, "is a placeholder"),
        ({"standards": ["EN 1", "tbd"]}, "standards.1: 'tbd' is a placeholder"),
        ({"purpose": ""}, "purpose.0: is empty"),
        ({"purpose": "a\u202eb"}, "cannot be printed"),
        ({"purpose": 7}, "purpose: 7 is not a list"),
        ({"people": [{"group": "g"}]}, "people.0.how: this setting is missing"),
        ({"owners": {"purpos": "x"}}, "owners.purpos is nothing that has an owner"),
        ({"owners": {"purpose": ""}}, "owners.purpose is not an owner"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_cure(fields: dict[str, object], said: str) -> None:
    with pytest.raises(DossierError) as raised:
        read(**fields)
    assert raised.value.problem.startswith("system.yaml:1: ")
    assert said in raised.value.problem
    assert raised.value.cure


def test_a_system_without_the_audited_model_is_refused_by_both_names() -> None:
    raw = b"apiVersion: auditor/v1\nkind: System\nname: d\nversion: a\nmodels: [{name: m}]\n"
    assert read_system(raw, "system.yaml", "m")
    with pytest.raises(DossierError) as raised:
        read_system(raw, "system.yaml", "other")
    assert raised.value.problem == (
        "system.yaml:5: models holds m, and not other, which the audit file audits"
    )


def test_what_is_kept_as_evidence_reads_back_as_the_same() -> None:
    paper = read_system(yaml.safe_dump(FULL).encode(), "system.yaml")
    again = read_system(encode_canonical(paper.document), "evidence")
    assert again == paper
    assert digest_json(again.document) == digest_json(paper.document)


def test_a_begun_system_file_is_accepted_as_it_stands_and_names_every_setting() -> None:
    begun = draft_system_file('a "model"')
    system = read_system(begun.encode(), "system.yaml", 'a "model"').system
    assert system.told == {}
    filled = "\n".join(line.removeprefix("# ") for line in begun.splitlines()[2:])
    whole = yaml.safe_load(filled.replace("…", "A text."))
    assert set(read_system(yaml.safe_dump(whole).encode(), "s").system.told) == set(SystemTopic)
    with pytest.raises(DossierError, match="placeholder"):
        read_system(filled.encode(), "s")


def test_what_is_begun_is_named_by_the_audit_file_that_is_begun_with_it() -> None:
    assert yaml.safe_load(NAMING) == {"system": "system.yaml", "risks": None}
    assert yaml.safe_load(BEGUN_RISKS)["risks"] is None


@pytest.mark.parametrize("document", [BARE, FULL], ids=["bare", "full"])
def test_what_is_read_follows_the_published_schema(document: dict[str, Any]) -> None:
    assert find_schema_errors("system", document) == []
    assert find_schema_errors("system", {**document, "purpose": 7})
    assert find_schema_errors("system", {**document, "extra": "x"})
