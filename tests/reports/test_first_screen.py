"""What stands beside the verdict: who signed, what was declared away, and what was not asked."""

import io
import re
from dataclasses import replace

import pytest
from pages import Page
from rendering_records import BLOBS, FAILING, PASSING, POLICY, RULES, inputs_of

from auditor.cli.record_output import show_record
from auditor.domain.ai_system import AiSystem, SystemDocument, SystemDossier, SystemTopic
from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.evidence import encode_evidence
from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.policies import MetricLimits, RuleEffect
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.requests import PolicyRef
from auditor.policy.pack_names import read_pack_identity
from auditor.reports.formats.html import render_html, typeset_figures
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.controls import list_frameworks
from auditor.reports.html.findings import (
    build_cards,
    build_finding_references,
    describe_intervals,
)
from auditor.reports.html.first_screen import describe_declared, describe_unasked
from auditor.reports.html.verdict import (
    describe_decision,
    describe_second_judgement,
    describe_verdict,
)
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.terminal import create_console
from auditor.selftest.record_forgery import derive_signer
from auditor.trust.signatures.keys import read_public_key

TAG = "not-about-people"
NO_PERSON = "The policy requires no approval by a person."
GROUPS = (
    "Groups compared: race, by columns that the author chose; the audit cannot check that they "
    "describe people."
)


def switched_off(condition: str, tags: tuple[str, ...] = (TAG,)) -> ReportInputs:
    """A pass whose rule of fairness does not apply because of a condition on tags."""
    rules = tuple(
        replace(rule, when=condition) if rule.id == "fair-selection" else rule for rule in RULES
    )
    findings = tuple(
        replace(item, outcome=Outcome.NOT_APPLICABLE) if item.rule == "fair-selection" else item
        for item in PASSING.findings
    )
    record = replace(PASSING, findings=findings, request=replace(PASSING.request, tags=tags))
    return inputs_of(record, policy=replace(POLICY, rules=rules))


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_tag_that_switches_rules_off_stands_beside_the_verdict(quote: str) -> None:
    condition = f"!model.tags.exists(t, t == {quote}{TAG}{quote})"
    inputs = switched_off(condition)
    said = [item.text for item in describe_declared(inputs)]
    assert said[0] == (
        f"1 rule does not apply, because the audit file declares the tag {TAG}: Groups are "
        "selected at similar rates."
    )
    assert said[1] == "This contradicts the data, which has groups or attributes of people: race."
    digits = inputs.record.request.audit_file[:19]
    file = f"the audit file ({digits}…)"
    assert said[2] == f"T{file[1:]} declares this; the audit does not check it."
    lines = Page(render_html(inputs)).lines
    assert GROUPS in lines
    place = lines.index("Declared, not checked")
    lead, title = said[0].removesuffix(".").split(": ")
    assert lines[place + 1 : place + 3] == [f"{lead}:", title]
    assert place < lines.index("Required rules")
    assert said[0] in render_markdown(inputs).replace("\\", "")


def test_a_condition_that_no_tag_decides_is_no_declaration() -> None:
    inputs = switched_off("claims.area > 1.0", tags=("area",))
    assert describe_declared(inputs) == ()
    assert GROUPS in Page(render_html(inputs)).lines
    assert describe_unasked(inputs)[0].text == (
        "1 rule does not apply to this model or its data: Groups are selected at similar rates."
    )


def test_the_provider_of_the_system_is_named_who_declared_it() -> None:
    told = {SystemTopic.PROVIDER_NAME: ("Example Bank",)}
    system = AiSystem(name="desk", version="1", models=(), told=told)
    inputs = replace(
        switched_off(f'!model.tags.exists(t, t == "{TAG}")'),
        dossier=SystemDossier(SystemDocument({}, system)),
    )
    said = describe_declared(inputs)[-1]
    assert said.lead.startswith("The audit file of Example Bank (sha256:")


def test_families_that_no_rule_asks_about_are_named() -> None:
    accurate = replace(PASSING, findings=PASSING.findings[:1])
    assert tuple(item.text for item in describe_unasked(inputs_of(accurate))) == (
        (
            "No rule that applies is about attacks on inputs, poisoned training data "
            "and backdoors, privacy of the training data, fairness between groups, quality of the "
            "data, the hardware or the origin of the artifact."
        ),
        NO_PERSON,
    )
    assert describe_unasked(inputs_of(replace(PASSING, findings=()))) == ()


def test_a_pass_that_needs_the_approval_of_no_person_says_so() -> None:
    def said(record: AuditRecord, approvals: int) -> bool:
        inputs = inputs_of(record, policy=replace(POLICY, approvals=approvals))
        return NO_PERSON in render_markdown(inputs)

    assert (said(PASSING, 0), said(PASSING, 1), said(FAILING, 0)) == (True, False, False)


@pytest.mark.parametrize("name", ["key", "evidence_key"])
def test_a_key_that_was_made_for_one_record_names_no_person(name: str) -> None:
    lasting = inputs_of(PASSING)
    made = inputs_of(replace(PASSING, tool={**PASSING.tool, name: "ephemeral"}))
    named = "(owner unverified)"
    assert named in describe_decision(lasting, "")
    assert named not in describe_decision(made, "")
    assert "(made for one record, names no person)" in describe_decision(made, "")


def test_a_pass_shows_its_required_rules_with_figure_and_limit() -> None:
    lines = Page(render_html(inputs_of(PASSING))).lines
    place = lines.index("Required rules")
    shown = " ".join(lines[place : place + 8])
    assert "To do:" not in shown
    assert "Ranges in parentheses are 95 % intervals." in shown
    said = "Robust accuracy (eps = 0.1, L∞) is at most 41 % (36\N{EN DASH}46 %); required:"
    assert said in shown


def test_the_confidence_of_intervals_is_that_of_the_record() -> None:
    surer = tuple(
        replace(it, confidence=0.99) if isinstance(it, Measurement) and it.low is not None else it
        for it in PASSING.readings
    )
    for readings, said in ((PASSING.readings, "95 % intervals"), (surer, "99 % intervals")):
        assert describe_intervals(replace(PASSING, readings=readings), PASSING.findings) == said
    assert describe_intervals(PASSING, ()) == ""
    out = io.StringIO()
    show_record(create_console(file=out), inputs_of(PASSING))
    assert f"{PASSING.request.version}, with 95 % intervals" in out.getvalue()


def test_a_pass_shows_the_rules_that_are_nearest_to_their_limit_first_and_eight_at_most() -> None:
    accurate = next(it for it in PASSING.findings if it.rule == "accurate")
    place = accurate.readings[0]
    rules, findings = [], []
    for at in range(10):
        limits = MetricLimits(least=0.5 + 0.04 * at)
        rule = next(it for it in RULES if it.id == "accurate")
        rules.append(replace(rule, id=f"rule-{at}", title=f"Rule {at}", limits=limits))
        findings.append(replace(accurate, rule=f"rule-{at}", title=f"Rule {at}", readings=(place,)))
    record = replace(PASSING, findings=tuple(findings))
    inputs = inputs_of(record, policy=replace(POLICY, rules=tuple(rules)))
    lines = Page(render_html(inputs)).lines
    there = lines[lines.index("Required rules") : lines.index("Limits of this verdict")]
    assert [it for it in there if re.fullmatch(r"Rule \d", it)] == [
        f"Rule {at}" for at in range(9, 1, -1)
    ]
    assert any(it.startswith("2 more: see Findings") for it in there)


def test_a_doubted_figure_within_the_limit_says_why_it_decides_nothing() -> None:
    finding = replace(PASSING.findings[0], outcome=Outcome.UNKNOWN)
    place = finding.readings[0]
    doubted = replace(
        PASSING.readings[place], doubted=True, details={"doubts": ["most rows are copies"]}
    )
    readings = (*PASSING.readings[:place], doubted, *PASSING.readings[place + 1 :])
    (card,) = build_cards(inputs_of(replace(PASSING, readings=readings, findings=(finding,))))
    assert card.headline.endswith("Undecided, because the figure is doubted: most rows are copies.")


def test_checks_that_were_left_out_stand_in_the_box_of_declarations() -> None:
    only = ("quality.accuracy", "provenance.signature")
    record = replace(PASSING, request=replace(PASSING.request, only=only))
    inputs = inputs_of(record)
    left = len(inputs.checks.keys() - set(only))
    said = [item.text for item in describe_declared(inputs)]
    assert said[0] == "Only these checks ran: quality.accuracy, provenance.signature."
    assert said[1].startswith(
        f"{left} checks were left out, among them all about attacks on inputs"
    )
    assert "fairness between groups" in said[1]


def test_a_model_of_one_file_is_named_by_the_sum_of_the_file() -> None:
    def digest(*names: str) -> str:
        files = tuple(FileDigest.of(name, name.encode()) for name in names)
        artifact = replace(PASSING.request.artifact, files=files)  # type: ignore[type-var]
        record = replace(PASSING, request=replace(PASSING.request, artifact=artifact))
        facts = describe_verdict(inputs_of(record)).facts
        return next(fact.digest for fact in facts if fact.name == "Model")

    assert digest("m.onnx") == f"{FileDigest.of('m.onnx', b'm.onnx').digest[:19]}…"
    assert digest("m.onnx", "m.data").startswith("auditor digest of 2 files sha256:")


def test_a_limit_stands_beside_a_title_that_does_not_hold_it() -> None:
    card = next(it for it in build_cards(inputs_of(PASSING)) if it.limit == "at least 50 %")
    for title, beside in (
        ("Robust accuracy is useful", "at least 50 %"),
        ("Robust accuracy is at least 50 %", ""),
    ):
        assert replace(card, finding=replace(card.finding, title=title)).limit_beside == beside
    longer = replace(card, limit="at most 1", finding=replace(card.finding, title="Is at most 1.5"))
    assert longer.limit_beside == "at most 1"


def test_what_failed_stands_above_what_was_declared() -> None:
    inputs = switched_off(f"!model.tags.exists(t, t == '{TAG}')")
    denied = replace(FAILING.findings[0], effect=RuleEffect.DENY, outcome=Outcome.FAILED)
    record = replace(inputs.record, findings=(denied, *inputs.record.findings[1:]))
    lines = Page(render_html(replace(inputs, record=record))).lines
    assert lines.index("Failed rules") < lines.index("Declared, not checked")


def test_the_tally_says_how_many_of_the_rules_are_required() -> None:
    effects = (RuleEffect.DENY, RuleEffect.WARN)
    found = tuple(replace(PASSING.findings[0], effect=effect) for effect in effects)
    lines = Page(render_html(inputs_of(replace(PASSING, findings=found)))).lines
    assert "2 passed (1 required)" in lines
    lines = Page(render_html(inputs_of(replace(PASSING, findings=found[1:])))).lines
    assert "1 passed (none required)" in lines


PEM = derive_signer(7, "release").public_pem().decode()


def named_by(roles: list[Json]) -> tuple[AuditRecord, ReportInputs]:
    """A record whose trust policy names the key that signed it, with those roles."""
    document: Json = {
        "apiVersion": "auditor/v1",
        "kind": "TrustPolicy",
        "metadata": {"name": "acme", "version": 3, "owner": "a@example.org",
                     "expires": "2030-01-01T00:00:00Z"},
        "keys": {"release": {"pem": PEM}},
        "auditors": [{"key": "release", "roles": roles}],
    }  # fmt: skip
    item = {"trust": {"policy": document, "moment": None, "standing": "accepted", "tags": []}}
    blob = encode_evidence(item)
    seen = CheckObservation(
        target="cpu", check="provenance.signature", version=1, params={}, seed=1,
        evidence={"signature": blob.digest},
    )  # fmt: skip
    signer = read_public_key(PEM.encode()).identity
    lineage = tuple(
        replace(edge, destination=signer) if edge.role == "signer" else edge
        for edge in PASSING.lineage
    )
    record = replace(PASSING, observations=(*PASSING.observations, seen), lineage=lineage)
    blobs = {**BLOBS, blob.digest: blob.raw}
    return record, inputs_of(record, blob=blobs.__getitem__)


def test_the_signer_has_the_name_that_the_trust_policy_gives_its_key() -> None:
    record, inputs = named_by(["record"])
    said = describe_verdict(inputs)
    digits = next(e.destination for e in record.lineage if e.role == "signer").split(":")[-1][:12]
    assert f"Report signed by release (by trust policy acme 3), key {digits}." in said.sentences[0]
    fact = next(item for item in said.facts if item.name == "Report signed by")
    assert fact.text == "release (by trust policy acme 3)"
    assert digits in fact.digest


def test_the_policy_stands_with_its_owner() -> None:
    def policy(inputs: ReportInputs) -> str:
        return next(item.text for item in describe_verdict(inputs).facts if item.name == "Policy")

    inputs = inputs_of(PASSING)
    assert policy(inputs).endswith(f"; owner: {POLICY.owner}")
    assert "owner" not in policy(replace(inputs, policy=replace(POLICY, owner="")))


def test_a_key_without_the_role_of_records_has_no_name() -> None:
    _, inputs = named_by(["waiver"])
    assert "release" not in describe_verdict(inputs).sentences[0]


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<td>-0.2 %</td>", "<td>\N{MINUS SIGN}0.2\N{NO-BREAK SPACE}%</td>"),
        ("<p>10 %, 5 ms and 3 GiB</p>", "<p>10\u00a0%, 5\u00a0ms and 3\u00a0GiB</p>"),
        ("<b>1 nat</b> <i>4 h 2 min</i>", "<b>1\u00a0nat</b> <i>4\u00a0h 2\u00a0min</i>"),
        ("<p>(n = 1149)</p>", "<p>(n\u00a0=\u00a01149)</p>"),
        ("<p>3 models, 2 s-shaped curves, 5 </p>",) * 2,
        ('<i title="5 %"><code>5 %</code></i>',) * 2,
        ("<p>(-5 to -1)</p>", "<p>(\N{MINUS SIGN}5 to \N{MINUS SIGN}1)</p>"),
        ('<i data-of="-1" id="-1">-1</i>', '<i data-of="-1" id="-1">\N{MINUS SIGN}1</i>'),
        ("<code>--seed -1</code>", "<code>--seed -1</code>"),
        ("<pre><code>x -1</code></pre>", "<pre><code>x -1</code></pre>"),
        ("<style>a { margin: -1px }</style>", "<style>a { margin: -1px }</style>"),
        ("<p>2026-11-24, loanapp-2, 1-2, W-3, sha256:-1</p>",) * 2,
    ],
)  # fmt: skip
def test_figures_have_minus_signs_and_keep_their_units_and_nothing_else_changes(
    markup: str, shown: str
) -> None:
    assert typeset_figures(markup) == shown


def test_no_figure_of_a_page_has_a_hyphen_for_a_sign() -> None:
    below = replace(FAILING.readings[7], value=-0.25, low=-0.5, high=-0.125)
    record = replace(FAILING, readings=(*FAILING.readings[:7], below, *FAILING.readings[8:]))
    page = render_html(inputs_of(record))
    assert "\N{MINUS SIGN}25\N{NO-BREAK SPACE}%" in page
    assert "-25\N{NO-BREAK SPACE}%" not in page
    assert "25 %" not in page


def judged_by(policy: PolicyRef) -> ReportInputs:
    return inputs_of(replace(PASSING, request=replace(PASSING.request, policy=policy)))


def test_a_policy_that_only_has_the_name_of_a_pack_is_named_on_every_first_screen() -> None:
    forged = replace(read_pack_identity("baseline"), digest=f"sha256:{'0' * 64}")
    said = f"“baseline {forged.version}” but is not the pack of that name in this version"
    inputs = judged_by(forged)
    lines = Page(render_html(inputs)).lines
    box = lines[lines.index("Declared, not checked") : lines.index("Required rules")]
    assert any(said in line for line in box)
    assert said in render_markdown(inputs).split("## Findings")[0]
    out = io.StringIO()
    show_record(create_console(file=out), inputs)
    assert said in out.getvalue()


def test_nothing_is_claimed_of_the_name_of_a_pack_and_of_a_policy_of_another_name() -> None:
    own = PolicyRef("house-rules", "1.0.0", f"sha256:{'0' * 64}")
    pack = read_pack_identity("baseline")
    for policy, named in (
        (own, "Policy “house-rules 1.0.0” (not a pack of auditor); approval valid"),
        (pack, f"Policy baseline {pack.version}; approval valid"),
    ):
        told = render_markdown(judged_by(policy))
        assert "calls itself" not in told
        assert named in told


def test_a_free_name_of_a_target_stands_beside_the_machine_of_the_audit() -> None:
    (spec,), fingerprints = PASSING.request.targets, PASSING.fingerprints
    free = replace(spec, name="datacentre-frankfurt")
    record = replace(
        PASSING,
        request=replace(PASSING.request, targets=(free,)),
        fingerprints={free.name: fingerprints["cpu"]},
    )
    place = "EPYC, onnxruntime 1.32.0, which the audit file calls “datacentre-frankfurt”"
    told = describe_verdict(inputs_of(record))
    assert f" on {place}. Policy" in told.sentences[0]
    (ran,) = (fact.text for fact in told.facts if fact.name == "Runs on")
    assert ran.startswith("“datacentre-frankfurt” (EPYC, ")
    for of, there in ((record, True), (PASSING, False)):
        out = io.StringIO()
        show_record(create_console(file=out), inputs_of(of))
        assert (f"ran on {place}" in out.getvalue().replace("\n", " ")) is there


def test_a_control_shows_what_was_measured_before_the_title_of_the_rule() -> None:
    inputs = inputs_of(PASSING)
    found = build_finding_references(inputs, build_cards(inputs))
    rows = [row for of in list_frameworks(inputs, found) for row in of.rows]
    cells = [cell.text for row in rows for cell in row.cells]
    assert "Accuracy is at least 90 % (rule: The model is accurate on its target)" in cells


def test_the_list_of_findings_shows_the_limit_whatever_the_title_says() -> None:
    findings = tuple(replace(it, title="It is at least 99 %") for it in PASSING.findings)
    inputs = inputs_of(replace(PASSING, findings=findings))
    for card in build_cards(inputs):
        title = f"It is at least 99 % (required: {card.limit})"
        assert title in " ".join(Page(render_html(inputs)).lines).replace("\N{NO-BREAK SPACE}", " ")
        assert f"| It is at least 99 % | {card.limit} |" in render_markdown(inputs)
    assert {card.limit for card in build_cards(inputs)} == {
        "at least 90 %", "at least 50 %", "at most 10 %", "yes",
    }  # fmt: skip


def test_a_second_judgement_and_a_smoke_budget_stand_on_the_first_screen() -> None:
    again = replace(PASSING, derived_from="sha256:" + "7" * 64)
    told = describe_verdict(inputs_of(again))
    (sentence,) = (text for text in told.sentences if text.startswith("Judged again on"))
    assert "when the figures were known: they are those of the record sha256:7777" in sentence
    assert "may have been chosen by them" in sentence
    first = replace(again, tool={**again.tool, "first_verdict": "fail"})
    (sentence,) = describe_second_judgement(first)
    assert sentence.endswith("read the verdict of that record too: not approved.")
    assert not any(
        "Judged again" in text for text in describe_verdict(inputs_of(PASSING)).sentences
    )
    assert any(text.startswith("The budget was smoke") for text in told.limits)
    larger = replace(PASSING, request=replace(PASSING.request, budget=Budget.CI))
    assert not any("smoke" in text for text in describe_verdict(inputs_of(larger)).limits)


def test_inputs_that_kept_their_default_and_outputs_that_nobody_read_are_named() -> None:
    (place, known), *_ = PASSING.fingerprints.items()
    assert known.interface is not None
    many = tuple(f"w{at}" for at in range(8))
    face = replace(known.interface, unread=("embedding",), defaults=("mode", *many))
    record = replace(PASSING, fingerprints={place: replace(known, interface=face)})
    said = {item.lead: item.items for item in describe_unasked(inputs_of(record))}
    assert said["Outputs of the model that nothing was asked about"] == ("“embedding”",)
    named = said[
        "Inputs of the model that have a default value, which the audit did not change: at other "
        "values the model may decide otherwise"
    ]
    assert named == ("“mode”", "“w0”", "“w1”", "“w2”", "“w3”", "“w4”", "3 more")
