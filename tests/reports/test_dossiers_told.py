"""What is evidenced, what is declared and what is missing are told apart."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from dossier_records import DECLARED, DOSSIER, RISKS, SYSTEM, WAIVED, hostile, told
from pages import Page
from rendering_records import (
    FAILING,
    FINDINGS,
    HOSTILE,
    PASSING,
    POLICY,
    RULES,
    SILENT,
    TWO_TARGETS,
    finding,
    inputs_of,
)

from auditor.domain.ai_system import NOTHING, SystemDossier, SystemTopic
from auditor.domain.findings import Outcome
from auditor.domain.number_text import DASH
from auditor.domain.policies import FrameworkControl, ManualDuty
from auditor.domain.readings import Measurement
from auditor.reports.formats.annex_iv import (
    CHAPTERS,
    AnnexEntry,
    EntrySource,
    TechnicalDocumentation,
    build_technical_documentation,
    render_annex,
)
from auditor.reports.formats.html import render_html
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.controls import ControlFramework, list_frameworks
from auditor.reports.html.coverage import ControlCoverage
from auditor.reports.html.findings import build_cards, build_finding_references
from auditor.reports.html.first_screen import describe_declared
from auditor.reports.html.risks import RiskStatus, build_risk_rows
from auditor.reports.html.verdict import find_verdict_expiry
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import escape_invisible

Golden = Callable[[str, str], None]
UNCITED = replace(POLICY, rules=tuple(replace(rule, controls=()) for rule in RULES))


def annex_of(inputs: ReportInputs) -> TechnicalDocumentation:
    found = build_technical_documentation(
        inputs, build_finding_references(inputs, build_cards(inputs))
    )
    assert found is not None
    return found


def entries(inputs: ReportInputs, ref: str) -> dict[str, AnnexEntry]:
    points = [point for section in annex_of(inputs).sections for point in section.points]
    return {item.name: item for point in points if point.ref == ref for item in point.entries}


def frameworks_of(inputs: ReportInputs) -> dict[str, ControlFramework]:
    return {
        item.key: item
        for item in list_frameworks(inputs, build_finding_references(inputs, build_cards(inputs)))
    }


def states(inputs: ReportInputs, framework: str) -> dict[str, ControlCoverage]:
    return {row.name: row.evidenced for row in frameworks_of(inputs)[framework].rows}


def test_a_control_is_evidenced_as_far_as_its_findings_go() -> None:
    assert states(DECLARED, "eu-ai-act") == {
        "Article 15(1)": ControlCoverage.PART,
        "Article 15(5)": ControlCoverage.WHOLE,
    }
    assert states(DECLARED, "nist-ai-rmf") == {"MEASURE 2.11": ControlCoverage.NONE}
    waived = told(replace(FAILING, findings=(WAIVED,)))
    assert states(waived, "nist-ai-rmf") == {"MEASURE 2.11": ControlCoverage.WAIVED}
    (row,) = frameworks_of(waived)["nist-ai-rmf"].rows
    assert row.reasons == (WAIVED.message,)


def test_a_control_of_a_rule_that_was_not_asked_says_why() -> None:
    left_out = finding("accurate", Outcome.NOT_APPLICABLE, "The model is no classifier.")
    (row, _) = frameworks_of(told(replace(FAILING, findings=(left_out,))))["eu-ai-act"].rows
    assert row.evidenced is ControlCoverage.NOT_APPLICABLE
    assert row.reasons == ("The model is no classifier.",)


def test_a_control_whose_rules_a_tag_switches_off_is_not_examined() -> None:
    off = finding("fair-selection", Outcome.NOT_APPLICABLE, "`!model.tags.exists(…)` is false.")
    rules = tuple(
        replace(rule, when="!model.tags.exists(t, t == 'not-about-people')") for rule in RULES
    )
    request = replace(FAILING.request, tags=("not-about-people",))
    record = replace(FAILING, findings=(off,), request=request)
    inputs = replace(told(record), policy=replace(POLICY, rules=rules))
    (row,) = frameworks_of(inputs)["nist-ai-rmf"].rows
    assert row.evidenced is ControlCoverage.UNEXAMINED
    contradiction = "This contradicts the data, which has groups or attributes of people: race."
    assert row.reasons == (
        "The author of the audit file declared the tag not-about-people.",
        contradiction,
    )
    assert contradiction in [item.text for item in describe_declared(inputs)]
    blind = tuple(item for item in record.readings if item.check != "fairness.groups")
    alone = replace(record, findings=(replace(off, readings=()),), readings=blind)
    assert all(
        "contradicts" not in item.text for item in describe_declared(replace(inputs, record=alone))
    )


def test_a_control_that_a_rule_cites_and_no_finding_speaks_of_is_not_evidenced() -> None:
    assert set(states(told(SILENT), "eu-ai-act").values()) == {ControlCoverage.NONE}


def test_a_framework_names_its_pinned_version_and_what_no_rule_speaks_of_where_it_is_whole() -> (
    None
):
    found = frameworks_of(DECLARED)
    iso = found["iso-42001"]
    assert (iso.whole, len(iso.silent), iso.total) == (True, 61, 62)
    assert iso.version.startswith("ISO/IEC 42001")
    assert iso.verified.startswith("20")
    text = Page(render_html(DECLARED)).text()
    assert "61 of 62 entries of this catalogue are spoken of by no rule here" in text
    assert "Pinned: ISO/IEC 42001:2023, https://www.iso.org/standard/81230.html. Titles" in text


def test_a_framework_without_a_catalogue_is_shown_by_the_policys_own_references() -> None:
    cited = (FrameworkControl("house-rules", "7"),)
    policy = replace(POLICY, rules=tuple(replace(rule, controls=cited) for rule in RULES))
    made = tuple(replace(item, controls=cited) for item in FINDINGS)
    inputs = inputs_of(replace(FAILING, findings=made), policy=policy)
    house = frameworks_of(inputs)["house-rules"]
    assert (house.title, house.version, house.whole) == ("house-rules", "", False)
    assert "No catalogue of this framework is pinned here" in Page(render_html(inputs)).text()


def test_links_of_controls_and_risks_lead_to_the_cards_of_their_findings() -> None:
    page = Page(render_html(DECLARED))
    names = set(page.ids())
    links = [a["href"][1:] for tag, a in page.elements if tag == "a" and "href" in a]
    assert links.count("finding-1") >= 3
    assert set(links) <= names


def test_every_topic_stands_at_one_point_and_every_point_has_something_to_say() -> None:
    parts = [item for chapter in CHAPTERS for item in chapter.parts]
    topics = [topic for item in parts for topic in (*item.topics, *item.optional)]
    assert sorted(topics) == sorted(SystemTopic)
    refs = [item.ref for item in parts]
    assert refs == [f"{n}({a})" for n in (1, 2) for a in "abcdefgh"] + list("3456789")
    bare = annex_of(told(SILENT, NOTHING))
    assert all(point.entries for section in bare.sections for point in section.points)


def test_what_is_declared_is_never_said_to_be_seen() -> None:
    found = entries(DECLARED, "2(e)")
    measures = found["Measures of human oversight"]
    assert measures.source is EntrySource.DECLARED
    assert measures.origin == "Declared by provider, not checked here"
    assert measures.lines == SYSTEM.told[SystemTopic.OVERSIGHT_MEASURES]
    assert found["Who oversees it"].origin == "Missing: deployer"
    assert entries(DECLARED, "9")["Who monitors it"].origin == "Missing: Jane Doe"


def test_the_record_fills_what_it_can() -> None:
    model = entries(DECLARED, "1(a)")
    assert FAILING.request.artifact is not None
    assert FAILING.request.artifact.digest in model["Model audited"].lines[0]
    assert model["System"].lines == ("sorting desk 2", "Other models in it: router")
    assert model["Role of the model"].lines == ("Reads the postcode.",)
    tests = entries(DECLARED, "2(g)")
    assert FAILING.digest in tests["Test logs and reports, dated and signed"].lines[0]
    table = tests["Outcome of every rule"].table
    assert table is not None
    assert len(table.rows) == len(FAILING.findings)
    texts = [[cell.text for cell in row] for row in table.rows]
    assert ["The model is accurate on its target", "Passed", "98 %"] in [row[:3] for row in texts]
    assert all(row[3] != DASH for row in texts if row[2].endswith("%"))
    groups = entries(DECLARED, "3")["Performance for groups of people"].table
    assert groups is not None
    assert len(groups.rows) == 6


def test_without_files_everything_that_owners_owe_is_missing_with_a_name() -> None:
    bare = annex_of(told(FAILING, NOTHING))
    assert bare.counts[EntrySource.DECLARED] == 0
    owed = dict(bare.owed)
    assert "Intended purpose (1(a))" in owed["provider"]
    assert "Risks, and what evidences that they are held (5)" in owed["risk owner"]
    owners = {item.split(" (")[0] for items in owed.values() for item in items}
    assert "Standards applied" not in owners
    assert bare.counts[EntrySource.MISSING] == sum(len(items) for items in owed.values())


def test_no_standard_named_means_that_solutions_are_described() -> None:
    said = entries(DECLARED, "7")["Solutions in place of standards"].lines
    assert said[0].startswith("No harmonised standard is said to be applied")
    named = replace(SYSTEM, told={**SYSTEM.told, SystemTopic.STANDARDS: ("ISO/IEC 24029-2",)})
    paper = DOSSIER.system
    assert paper is not None
    dossier = replace(DOSSIER, system=replace(paper, system=named))
    found = entries(told(FAILING, dossier), "7")
    assert list(found) == ["Standards applied"]


def test_a_policy_chosen_after_the_measurements_is_not_said_to_be_fixed_before_them() -> None:
    lines = entries(DECLARED, "2(g)")["Metrics and limits"].lines
    assert lines[1].endswith("before anything ran")
    again = told(replace(FAILING, derived_from="sha256:" + "0" * 64))
    lines = entries(again, "2(g)")["Metrics and limits"].lines
    assert "after the measurements" in lines[1]
    assert "before anything ran" not in lines[1]


def test_reasons_of_rules_and_how_limits_were_chosen_are_told() -> None:
    asked = next(rule for rule in RULES if rule.id == "robust-linf")
    chosen = [replace(asked, threshold="Half of what a guess reaches.")]
    policy = replace(POLICY, rules=tuple(chosen))
    table = entries(told(policy=policy), "4")["Reasons that the policy gives"].table
    assert table is not None
    (row,) = table.rows
    assert [cell.text for cell in row][1:] == [
        "An attacker may change what the camera sees.",
        "Half of what a guess reaches.",
    ]


def test_the_documentation_is_shown_where_the_act_is_cited_or_a_system_is_declared() -> None:
    uncited = inputs_of(replace(FAILING, findings=()), policy=UNCITED)
    assert render_annex(uncited) is None
    assert "annex-iv" not in Page(render_html(uncited)).ids()
    assert render_annex(replace(uncited, dossier=DOSSIER)) is not None
    assert render_annex(inputs_of(FAILING)) is not None


def test_open_risks_that_nobody_accepts_come_first_and_the_severest_of_them() -> None:
    rows = build_risk_rows(DECLARED, build_finding_references(DECLARED, build_cards(DECLARED)))
    assert [(row.risk.id, row.standing) for row in rows] == [
        ("R-worse", RiskStatus.OPEN),
        ("R-open", RiskStatus.OPEN),
        ("R-gone", RiskStatus.OPEN),
        ("R-unseen", RiskStatus.UNSEEN),
        ("R-taken", RiskStatus.ACCEPTED_OPEN),
        ("R-held", RiskStatus.UNACCEPTED),
        ("R-kept", RiskStatus.ACCEPTED),
    ]
    said = {row.risk.id: row.said for row in rows}
    assert said["R-open"] == "1 of 2 failed; what is left is not accepted"
    assert said["R-gone"].startswith("1 of 1 not in this policy")
    assert said["R-unseen"] == "No rule is about it; what is left is not accepted"
    assert said["R-kept"] == "Every rule about it is kept"


def test_a_rule_that_the_policy_lacks_evidences_nothing() -> None:
    text = Page(render_html(DECLARED)).text()
    assert "no-such-rule: is not a rule of this policy" in text


def test_a_risk_whose_rules_were_only_withstood_is_not_said_to_be_kept_for_good() -> None:
    inputs = told(PASSING)
    (row,) = (
        row
        for row in build_risk_rows(inputs, build_finding_references(inputs, build_cards(inputs)))
        if row.risk.id == "R-open"
    )
    assert row.said.startswith("Every rule about it is kept, as far as these attacks can tell")


def test_a_rule_on_several_targets_counts_on_each() -> None:
    inputs = told(TWO_TARGETS)
    (row,) = (
        row
        for row in build_risk_rows(inputs, build_finding_references(inputs, build_cards(inputs)))
        if row.risk.id == "R-open"
    )
    assert row.said.startswith("2 of 4 failed")
    assert any(cell.text.endswith(", on cpu-4") for cell in row.evidence)


def test_a_rule_that_was_not_asked_holds_no_risk_down() -> None:
    left_out = finding("accurate", Outcome.NOT_APPLICABLE, "The model is no classifier.")
    inputs = told(replace(FAILING, findings=(left_out,)))
    rows = {
        row.risk.id: row
        for row in build_risk_rows(inputs, build_finding_references(inputs, build_cards(inputs)))
    }
    assert rows["R-held"].standing is RiskStatus.UNSEEN
    assert rows["R-held"].said.startswith("No rule about it was asked here")


def test_the_summary_tells_risks_in_the_same_order() -> None:
    told_in = render_markdown(DECLARED)
    places = [told_in.index(item.id) for item in (RISKS[3], RISKS[2], RISKS[1], RISKS[4])]
    assert places == sorted(places)
    assert "## Risks (7)" in told_in
    assert "## Risks" not in render_markdown(inputs_of(FAILING))


def test_what_a_policy_says_that_it_cannot_evidence_is_shown_with_its_owner() -> None:
    owed = ManualDuty(FrameworkControl("eu-ai-act", "14"), "A stop button.", "deployer")
    text = Page(render_html(told(policy=replace(POLICY, cannot_evidence=(owed,))))).text()
    assert "What the policy says that it cannot evidence (1)" in text
    assert "EU AI Act, Article 14\nA stop button.\ndeployer" in text


def test_what_owners_declare_is_text_and_never_markup() -> None:
    inputs = hostile()
    page = Page(render_html(inputs))
    assert escape_invisible(HOSTILE) in page.text()
    assert "\u202e" not in page.markup
    annex = render_annex(inputs)
    assert annex is not None
    for text in (annex, render_markdown(inputs)):
        assert "<script>" not in text.replace("\\<script\\>", "")
        assert "\u202e" not in text
        assert "[a](" not in text


@pytest.mark.parametrize("inputs", [DECLARED, hostile(), told(SILENT), told(TWO_TARGETS)])
def test_the_word_compliant_is_said_nowhere(inputs: ReportInputs) -> None:
    annex = render_annex(inputs)
    assert annex is not None
    for text in (annex, render_html(inputs), render_markdown(inputs)):
        assert "complian" not in text.lower()


@pytest.mark.slow
def test_thousands_of_findings_and_risks_stay_small() -> None:
    paper = DOSSIER.risks
    assert paper is not None
    many = SystemDossier(DOSSIER.system, replace(paper, risks=RISKS * 140))
    record = replace(FAILING, readings=FAILING.readings * 200, findings=FAILING.findings * 300)
    inputs = told(record, many)
    assert len(render_html(inputs).encode()) < 2_000_000
    annex = render_annex(inputs)
    assert annex is not None
    assert len(annex.encode()) < 500_000


def test_the_dossier_reads_well(golden: Golden) -> None:
    annex = render_annex(DECLARED)
    assert annex is not None
    golden("annex-declared.md", annex.replace(FAILING.digest, "RECORD-DIGEST"))
    text = Page(render_html(DECLARED)).text().replace(FAILING.digest, "RECORD-DIGEST")
    golden("report-declared.txt", text + "\n")


def test_a_parent_that_the_audit_file_names_is_not_said_to_be_compared() -> None:
    """The record holds its digest; nobody saw that the model was made from it."""
    artifact = FAILING.request.artifact
    assert artifact is not None
    request = replace(FAILING.request, parent=replace(artifact, name="older"))
    written = render_annex(told(replace(FAILING, request=request)))
    assert written is not None
    assert "The audit file names as its parent sha256:" in written
    assert "Made from" not in written
    assert "Compared with its parent" not in written


def test_a_verdict_counts_from_its_measurements_also_when_it_was_judged_again() -> None:
    """A gate counts so; a later day here would promise what no gate keeps."""
    again = replace(FAILING, finished="2027-01-15T12:00:00Z", derived_from="sha256:" + "0" * 64)
    before, after = (find_verdict_expiry(inputs_of(record)) for record in (FAILING, again))
    assert before == after != ""


def test_leave_for_one_rule_hides_no_other_that_failed() -> None:
    failed = finding("fair-selection", Outcome.FAILED, "The gap is too wide.")
    both = told(replace(FAILING, findings=(WAIVED, failed)))
    assert states(both, "nist-ai-rmf") == {"MEASURE 2.11": ControlCoverage.PART}


def test_what_rests_on_a_doubted_figure_is_evidence_only_in_part() -> None:
    doubted = tuple(
        replace(item, doubted=True) if isinstance(item, Measurement) else item
        for item in FAILING.readings
    )
    inputs = told(replace(FAILING, readings=doubted))
    assert states(DECLARED, "eu-ai-act")["Article 15(5)"] is ControlCoverage.WHOLE
    assert states(inputs, "eu-ai-act")["Article 15(5)"] is ControlCoverage.PART


def test_a_waived_rule_holds_no_risk_down() -> None:
    inputs = told(replace(FAILING, findings=(WAIVED,)))
    rows = build_risk_rows(inputs, build_finding_references(inputs, build_cards(inputs)))
    (row,) = (row for row in rows if row.risk.id == "R-worse")
    assert (row.standing, row.said) == (
        RiskStatus.OPEN,
        "1 of 1 waived; what is left is not accepted",
    )
