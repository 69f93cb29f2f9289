import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import rendering_records as records
from attacked_records import ATTACKED, DOUBTED
from hypothesis import given
from hypothesis import strategies as st
from pages import Page
from rendering_records import EVERY_RECORD, FAILING, HOSTILE, OPEN, PASSING, SILENT, inputs_of

from auditor.domain.findings import Outcome
from auditor.domain.policies import EnforcementMode
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.reports.formats.html import render_html
from auditor.reports.html.measurements import build_measurement_rows
from auditor.reports.wording import escape_invisible

MOST_BYTES = 2_000_000
RECORDS = {**EVERY_RECORD, "attacked": ATTACKED, "doubted": DOUBTED}
every_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
Golden = Callable[[str, str], None]


def page_of(record: AuditRecord, *, show_examples: bool = True) -> Page:
    return Page(render_html(inputs_of(record, show_examples=show_examples)))


@every_record
def test_every_report_nests_names_each_place_once_and_is_small(record: AuditRecord) -> None:
    markup = render_html(inputs_of(record))
    ids = Page(markup).ids()
    assert len(set(ids)) == len(ids)
    assert len(markup.encode()) < MOST_BYTES


@every_record
def test_every_link_and_label_points_at_something_in_the_page(record: AuditRecord) -> None:
    page = page_of(record)
    ids = set(page.ids())
    for _, attributes in page.elements:
        target = attributes.get("href", "")
        assert target.startswith("#") or not target
        for name in (target[1:], *attributes.get("aria-labelledby", "").split()):
            assert not name or name in ids


@every_record
def test_no_report_runs_code_or_fetches_anything(record: AuditRecord) -> None:
    page = page_of(record)
    for tag, attributes in page.elements:
        assert tag not in {"script", "iframe", "object", "embed", "link", "base", "form"}
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_the_content_policy_allows_nothing_but_the_style_and_pictures() -> None:
    page = page_of(FAILING)
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_what_a_record_says_is_text_and_never_markup_nor_a_change_of_direction() -> None:
    page = page_of(records.HOSTILE_RECORD)
    assert escape_invisible(HOSTILE) in page.text()
    assert "\u202e" not in page.markup
    assert "\x07" not in page.markup


@given(st.text())
def test_visible_text_holds_nothing_invisible(text: str) -> None:
    shown = escape_invisible(text)
    assert escape_invisible(shown) == shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


@pytest.mark.parametrize(
    ("record", "headline", "because"),
    [
        (FAILING, "Not approved", "1 of 4 required rules failed. 1 more is undecided."),
        (
            PASSING,
            "Approved by exception: 1 of 4 required rules did not pass and is waived",
            "4 required rules: 2 passed, 1 withstood, 1 waived.",
        ),
        (OPEN, "Undecided: not approved", "1 of 2 required rules is undecided; none failed."),
        (SILENT, "Undecided: not approved", "No required rule applies to this model"),
    ],
    ids=["fail", "pass", "inconclusive", "silent"],
)
def test_the_verdict_comes_first_in_plain_words(
    record: AuditRecord, headline: str, because: str
) -> None:
    lines = page_of(record).lines
    place = next(i for i, line in enumerate(lines) if line.startswith(headline))
    assert place <= 2
    assert lines[place + 2].startswith(because)


HERE = "cpu (EPYC, onnxruntime 1.32.0)"


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            PASSING,
            (
                f"“digits-cnn 1.2.0” is approved by exception on {HERE}. Policy "
                "“baseline 1.0.0”; approval valid until 22 February 2027, 15:58 UTC. Report "
                "signed by key"
            ),
        ),
        (
            FAILING,
            (
                f"“digits-cnn 1.2.0” is not approved for deployment on {HERE}. Policy “baseline "
                "1.0.0”. "
                "Report signed by key"
            ),
        ),
        (
            OPEN,
            (
                f"“digits-cnn 1.2.0” is not yet approved for deployment on {HERE}. "
                "Policy “baseline 1.0.0”. Report signed by key"
            ),
        ),
        (
            records.EVERY_RECORD["two-targets"],
            (
                "“digits-cnn 1.2.0” is not approved for deployment on EPYC, onnxruntime 1.32.0, "
                "which the audit file calls “cpu” and “cpu-4”. Policy “baseline 1.0.0”. Report"
            ),
        ),
    ],
    ids=["pass", "fail", "inconclusive", "two"],
)
def test_the_first_sentences_say_what_where_under_what_until_when_and_who(
    record: AuditRecord, sentence: str
) -> None:
    lines = page_of(record).lines
    assert any(line.startswith(sentence) for line in lines[:5]), lines[:5]


def test_a_policy_without_an_end_says_that_there_is_none() -> None:
    endless = replace(records.POLICY, valid_for_days=None)
    text = Page(render_html(inputs_of(PASSING, policy=endless))).text()
    assert (
        "Policy “baseline 1.0.0”; approval valid without an end date. Report signed by key" in text
    )


def test_what_would_decide_open_rules_stands_in_one_place() -> None:
    lines = page_of(FAILING).lines
    place = lines.index("What would decide what is open")
    assert lines[place + 1] == "2"
    # More rows would only confirm that the rule fails
    assert lines[place + 2] == (
        "1 required rule and 1 advisory rule are open. More rows alone would let none of the "
        "required rules pass."
    )
    kept = tuple(
        replace(it, value=0.05, low=0.0, high=0.14)
        if isinstance(it, Measurement) and it.metric == "selection_rate_gap"
        else it
        for it in FAILING.readings
    )
    assert Page(render_html(inputs_of(replace(FAILING, readings=kept)))).lines[place + 2] == (
        "1 required rule and 1 advisory rule are open. About 4.2 times as many rows would decide "
        "1 of the required rules if the figures stay the same."
    )
    assert "What would decide what is open" not in page_of(PASSING).text()


def test_the_verdict_names_the_model_target_policy_key_and_time() -> None:
    text = page_of(FAILING).text()
    artifact = FAILING.request.artifact
    assert artifact is not None
    for words in (
        "digits-cnn, version 1.2.0",
        artifact.digest[:19],
        "baseline 1.0.0",
        records.SIGNER[:19],
        "24 November 2026, 16:00 UTC",
        "22 February 2027, 15:58 UTC",
    ):
        assert words in text


def test_what_withstood_is_never_called_robust_and_says_what_that_means() -> None:
    text = page_of(PASSING).text()
    assert "Withstood is not proof" in text
    assert "robust against" not in text.lower()
    assert "is robust" not in text.lower()


def test_a_policy_that_only_observes_says_that_its_verdict_stops_nothing() -> None:
    observing = replace(records.POLICY, mode=EnforcementMode.OBSERVE)
    text = Page(render_html(inputs_of(FAILING, policy=observing))).text()
    assert "this verdict blocks no deployment" in text


@every_record
def test_every_finding_has_a_card_and_every_gap_a_cure(record: AuditRecord) -> None:
    text = page_of(record).text()
    for finding in record.findings:
        assert " ".join(escape_invisible(finding.title).split()) in text
        assert " ".join(escape_invisible(finding.message).split()) in text
    for reading in record.readings:
        cure = getattr(reading, "cure", "")
        assert " ".join(escape_invisible(cure).split()) in text


def test_the_worst_finding_comes_first_and_only_those_that_decided_stand_open() -> None:
    page = page_of(FAILING)
    shown = [a for tag, a in page.elements if tag == "details" and "card" in a.get("class", "")]
    outcomes = [a["class"].removeprefix("card o-") for a in shown]
    assert outcomes == ["failed", "unknown", "unknown", *["passed"] * 3, "not_applicable"]
    assert [("open" in a) for a in shown] == [True, *[False] * 6]


@pytest.mark.parametrize(
    ("record", "opened"), [(PASSING, 0), (OPEN, 1), (FAILING, 1)], ids=["pass", "open", "fail"]
)
def test_cards_stand_open_for_the_rules_beside_the_verdict_alone(
    record: AuditRecord, opened: int
) -> None:
    cards = [a for _, a in page_of(record).elements if a.get("class", "").startswith("card o-")]
    assert sum("open" in a for a in cards) == opened


def test_a_bound_is_said_as_a_bound() -> None:
    said = "Robust accuracy (eps = 0.1, L∞) is at most 41 % (36\N{EN DASH}46 %); required:"
    assert said in page_of(FAILING).text()


def test_a_rule_that_does_not_apply_is_told_in_words_and_without_empty_lines() -> None:
    idle = replace(FAILING.findings[0], outcome=Outcome.NOT_APPLICABLE, readings=())
    lines = page_of(replace(FAILING, findings=(idle,))).lines
    assert "The rule does not apply to this model or its data." in lines
    card = lines[lines.index("Required") :]
    names = {"Asked", "Found", "How sure", "Settings", "On record"}
    assert names & set(card[: card.index("Rule")]) == {"On record"}


def test_what_would_decide_an_open_rule_is_said() -> None:
    text = page_of(FAILING).text()
    beyond = (
        "The measured figure does not meet the limit. Improve the model or its data: if the figure "
        "stays the same, about 1,890 rows like the 450 measured here would only confirm that the "
        "rule fails."
    )
    within = (
        "About 720 rows like the 450 measured here would decide whether the limit is kept, if the "
        "figure stays the same; the rule would then pass."
    )
    assert beyond in text
    assert within in text


def test_how_sure_a_finding_is_fits_what_it_rests_on() -> None:
    assert "Passed: the condition holds." in page_of(FAILING).text()
    assert "Failed: the whole confidence interval violates the limit." in page_of(FAILING).text()
    assert "Undecided: there is no figure, and silence proves nothing." in page_of(OPEN).text()


def test_an_audit_that_falls_short_of_the_policy_says_so() -> None:
    terms = replace(
        OPEN.findings[1], rule="policy.least_budget", measure="policy/budget", readings=()
    )
    text = page_of(replace(OPEN, findings=(terms,))).text()
    assert "Undecided: the audit itself falls short of what the policy asks." in text


def test_rows_are_shown_only_with_leave() -> None:
    shown, hidden = page_of(FAILING), page_of(FAILING, show_examples=False)
    assert [tag for tag, _ in shown.elements].count("img") == 12
    assert "Row 17: 3 became 8 by a change of 0.1 of the range" in shown.text()
    assert "img" not in {tag for tag, _ in hidden.elements}
    assert "does not permit it" in hidden.text()


def test_missing_evidence_leaves_the_examples_out() -> None:
    def nothing(digest: str) -> bytes:
        raise KeyError(digest)

    page = Page(render_html(inputs_of(FAILING, blob=nothing)))
    assert "img" not in {tag for tag, _ in page.elements}


def test_every_drawing_has_a_name_a_description_and_its_figures_as_a_table() -> None:
    page = page_of(FAILING)
    drawings = [a for tag, a in page.elements if tag == "svg" and a.get("class") == "plot"]
    assert len(drawings) == 5 + 6 + 1
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in drawings)
    assert page.text().count("The same as a table") == 6


def test_the_same_record_gives_the_same_page() -> None:
    assert render_html(inputs_of(FAILING)) == render_html(inputs_of(FAILING))


@pytest.mark.slow
def test_a_record_with_thousands_of_readings_and_findings_stays_small() -> None:
    many = replace(FAILING, readings=FAILING.readings * 200, findings=FAILING.findings * 60)
    markup = render_html(inputs_of(many))
    assert len(markup.encode()) < MOST_BYTES
    assert "more are in record.json" in Page(markup).text()


def test_no_control_is_called_met() -> None:
    text = page_of(FAILING).text().lower()
    assert "compliant" not in text
    assert "touched in part" in text


@pytest.mark.parametrize("name", ["failing", "passing", "open", "attacked"])
def test_the_text_of_the_report_reads_well(name: str, golden: Golden) -> None:
    record = RECORDS[name]
    text = page_of(record).text().replace(record.digest, "RECORD-DIGEST")
    golden(f"report-{name}.txt", text + "\n")


def test_outcomes_are_told_apart_without_colour() -> None:
    page = page_of(FAILING)
    symbols = {a["id"] for tag, a in page.elements if tag == "symbol"}
    assert symbols == {f"i-{outcome.value}" for outcome in Outcome}


def test_the_table_of_measurements_keeps_intervals_on_their_side_of_limits() -> None:
    index = records.index_of("quality.accuracy", "accuracy")
    limit = next(rule.limits for rule in records.POLICY.rules if rule.id == "accurate")
    assert limit is not None
    assert limit.least is not None
    plain = records.measured("quality.accuracy", "accuracy", 0.93, 0.9, 0.99)
    kept = replace(plain, low=limit.least + 1e-4)
    readings = (*FAILING.readings[:index], kept, *FAILING.readings[index + 1 :])
    row = build_measurement_rows(inputs_of(replace(FAILING, readings=readings)))[index]
    assert row.interval.startswith("90.01\N{EN DASH}")


def test_evidence_that_several_rows_rest_on_is_listed_once_in_a_row() -> None:
    one = records.measured("quality.accuracy", "accuracy", 0.93, 0.9, 0.99, evidence=("sha256:1",))
    other = replace(one, evidence=("sha256:2",))
    bare = replace(one, evidence=())
    record = replace(FAILING, readings=(one, one, other, one, one, one, bare, bare), findings=())
    told = [row.evidence for row in build_measurement_rows(inputs_of(record))]
    first, second = told[0], told[2]
    assert len({first, second, "as above", ""}) == 4
    assert told == [first, "as above", second, first, "as above", "as above", "", ""]


def test_a_row_of_measurements_names_four_pieces_of_evidence_and_counts_the_rest() -> None:
    many = tuple(f"sha256:{number}" for number in range(9))
    one = records.measured("quality.accuracy", "accuracy", 0.93, 0.9, 0.99, evidence=many)
    (row,) = build_measurement_rows(inputs_of(replace(FAILING, readings=(one,), findings=())))
    assert row.evidence.count("sha256:") == 4
    assert row.evidence.endswith(" and 5 more")
