import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from pages import Page
from rendering_records import FAILING, inputs_of
from target_records import (
    CHECKS,
    CHIPS,
    CPU_EP,
    EVERYWHERE,
    NODES,
    SAFE,
    flips,
    inputs_of_chips,
    measured,
    placed,
    timed,
)

from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Measurement, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.targets import CascadeSpec, EvidenceLevel, TargetSpec
from auditor.reports.formats.html import render_html
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.findings import build_cards
from auditor.reports.html.run_details import (
    describe_targets,
    find_target_evidence,
    list_provider_lines,
    name_evidence_level,
)
from auditor.reports.html.target_readings import (
    find_robust_accuracy,
    find_worst_gap,
    list_target_comparisons,
)
from auditor.reports.html.targets import build_matrix, weigh_targets
from auditor.reports.html.verdict import explain_findings
from auditor.reports.plots.intervals import TargetDot, TargetLane, draw_target_plot

RECORDS = {"chips": CHIPS, "safe": SAFE, "everywhere": EVERYWHERE}
OVERFLOW = ("box of 16 bits", "saturates", "reduce_range", "x64quantprecision")
Golden = Callable[[str, str], None]


def test_a_target_that_rests_on_waivers_is_approved_by_exception() -> None:
    waived = tuple(
        replace(it, outcome=Outcome.WAIVED, message="Waived, though it failed.")
        if it.target == "server" and it.effect is RuleEffect.DENY
        else it
        for it in SAFE.findings
    )
    record = replace(SAFE, findings=waived)
    inputs = inputs_of_chips(record)
    matrix = build_matrix(inputs, build_cards(inputs))
    assert matrix is not None
    (server,) = (column for column in matrix.columns if column.name == "server")
    words = "approved by exception (2 rules waived)"
    assert (server.word, server.outcome) == (words, Outcome.UNKNOWN)
    assert weigh_targets(inputs, "k").sentence.endswith(f" server is {words}.")
    assert f"server: {words}" in render_markdown(inputs)
    assert "server: approved (" not in render_markdown(inputs)
    (headline,) = (it for it in render_markdown(inputs).splitlines() if it.startswith("# "))
    assert headline.endswith("2 of 2 required rules failed and are waived on server")


def test_rules_are_counted_once_with_the_targets_on_which_they_failed() -> None:
    def told(*targets: str) -> str:
        return explain_findings(
            [
                replace(it, outcome=Outcome.FAILED if it.target in targets else Outcome.PASSED)
                for it in SAFE.findings
            ]
        )

    assert told("server", "small") == "2 of 2 required rules failed on both targets."
    assert told("small") == "2 of 2 required rules failed on small."
    assert told() == "All 2 required rules passed on both targets."


def page_of(record: AuditRecord) -> Page:
    return Page(render_html(inputs_of_chips(record)))


def with_readings(record: AuditRecord, *more: Measurement) -> AuditRecord:
    """The record in which these readings stand instead of those of the same figure."""
    keys = {(m.target, m.check, m.metric): m for m in more}
    return replace(
        record,
        readings=tuple(
            keys.get((r.target, r.check, getattr(r, "metric", "")), r) for r in record.readings
        ),
    )


def test_one_target_is_not_compared_with_itself() -> None:
    page = Page(render_html(inputs_of(FAILING)))
    assert "targets" not in page.ids()
    assert "## Targets" not in render_markdown(inputs_of(FAILING))


def test_the_matrix_has_the_worst_rule_on_top_and_the_worst_target_on_the_left() -> None:
    inputs = inputs_of_chips(CHIPS)
    found = build_matrix(inputs, build_cards(inputs))
    assert found is not None
    assert [(item.name, item.word) for item in found.columns] == [
        ("haswell", "not approved"),
        ("server", "approved"),
        ("small", "approved"),
    ]
    assert found.lines[0].title == "Every target gives the reference's answers"
    worst = found.lines[0].cells[0]
    assert worst is not None
    assert (worst.finding.outcome, worst.value) == (Outcome.FAILED, "12 %")


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_finding_stands_in_the_matrix_with_word_and_icon(record: AuditRecord) -> None:
    inputs = inputs_of_chips(record)
    found = build_matrix(inputs, build_cards(inputs))
    assert found is not None
    shown = [card for line in found.lines for card in line.cells if card is not None]
    assert {card.anchor for card in shown} == {card.anchor for card in build_cards(inputs)}
    page = page_of(record)
    assert {f"#{card.anchor}" for card in shown} <= {a.get("href") for _, a in page.elements}


def test_the_cheapest_target_that_passes_is_named_by_price() -> None:
    found = weigh_targets(inputs_of_chips(CHIPS), "key")
    assert found.sentence.startswith("The cheapest target that passes is small: price per million")


def test_a_cheaper_target_that_fails_is_never_the_cheapest() -> None:
    small = [
        replace(item, outcome=Outcome.FAILED)
        if (item.target, item.measure) == ("small", "quality.accuracy/accuracy")
        else item
        for item in CHIPS.findings
    ]
    found = weigh_targets(inputs_of_chips(replace(CHIPS, findings=tuple(small))), "key")
    assert found.sentence.startswith("server is the only target that passes")


def test_costs_whose_intervals_overlap_are_not_ranked() -> None:
    near = timed("small", 0.0009, 0.085)[-1]
    assert isinstance(near, Measurement)
    found = weigh_targets(inputs_of_chips(with_readings(CHIPS, near)), "key")
    assert "are small and server: their costs cannot be told apart" in found.sentence


def test_doubted_times_name_no_cheapest_target_and_make_no_front() -> None:
    doubted = [
        replace(item, doubted=True)
        if isinstance(item, Measurement) and item.check in {"hardware.cost", "hardware.latency"}
        else item
        for item in CHIPS.readings
    ]
    found = weigh_targets(inputs_of_chips(replace(CHIPS, readings=tuple(doubted))), "key")
    assert found.sentence.startswith("No target can be named as the cheapest that passes")
    assert "doubted" in found.sentence
    assert found.panel is None
    assert {row[2] for row in found.rows} == {"cannot be compared"}


def test_a_lane_from_zero_has_its_zero_and_more_than_one_number_on_its_axis() -> None:
    dots = (TargetDot("cpu", 0.0, 0.0, 0.02), TargetDot("haswell", words="too slow"))
    lane = TargetLane("Decisions that differ", "", Unit.SHARE, "less is better", dots)
    drawn = str(draw_target_plot("k", "t", [lane]).svg())
    ticks = re.findall(r">(\d[\d.]* %)<", drawn)
    assert ticks[0] == "0 %"
    assert len(ticks) > 2
    assert "too slow" in drawn


def test_that_a_processor_is_emulated_is_said_once() -> None:
    assert "(Haswell, emulated: numbers only, never timed)" in describe_targets(
        inputs_of_chips(CHIPS)
    )


def test_an_emulated_target_that_passes_has_no_cost_to_compare() -> None:
    passing = [
        replace(item, outcome=Outcome.PASSED) if item.target == "haswell" else item
        for item in CHIPS.findings
    ]
    found = weigh_targets(inputs_of_chips(replace(CHIPS, findings=tuple(passing))), "key")
    assert "haswell passes too, but haswell is emulated" in found.sentence
    assert found.rows[-1][3:5] == ("never timed (emulated)",) * 2


def test_the_time_of_a_cascades_edge_is_not_the_cost_of_the_whole() -> None:
    server, small = (TargetSpec(name) for name in ("server", "small"))
    cascade = replace(small, runtime="cascade", cascade=CascadeSpec(edge=small, cloud=server))
    record = replace(CHIPS, request=replace(CHIPS.request, targets=(server, cascade)))
    found = weigh_targets(inputs_of_chips(record), "key")
    assert found.sentence.startswith("The cheapest target that passes is server")
    assert "nothing tells what small costs" in found.sentence
    assert "no figure: only the edge of a cascade is timed" in found.rows[1]


def test_where_no_target_passes_none_is_named() -> None:
    found = weigh_targets(inputs_of_chips(EVERYWHERE), "key")
    assert found.sentence == (
        "No target can be named as the cheapest that passes: none passes every required rule of "
        "the policy."
    )


def test_a_target_is_off_the_front_only_if_another_is_as_good_in_all_and_better_in_one() -> None:
    def front(record: AuditRecord) -> dict[str, str]:
        return {row[0]: row[2] for row in weigh_targets(inputs_of_chips(record), "key").rows}

    assert front(CHIPS) == {
        "server": "yes", "small": "yes", "haswell": "cannot be compared",
    }  # fmt: skip
    slow = [m for m in timed("small", 0.0009, 0.5) if isinstance(m, Measurement)]
    assert front(with_readings(CHIPS, *slow))["small"] == "no: another is better"


def test_robustness_is_compared_at_one_attack_and_one_budget() -> None:
    found = find_robust_accuracy(inputs_of_chips(CHIPS))
    assert found is not None
    assert set(found.found) == {"server", "small", "haswell"}
    assert {tuple(sorted(m.params.items())) for m in found.found.values()} == {
        (("eps", 0.05), ("norm", "linf"))
    }


def test_the_gap_between_groups_is_the_widest_on_any_target_and_the_same_on_each() -> None:
    found = find_worst_gap(inputs_of_chips(CHIPS))
    assert found is not None
    assert {m.metric for m in found.found.values()} == {"tpr_gap"}


def test_a_figure_that_a_target_lacks_is_said_to_be_missing() -> None:
    shown = {item.title: item for item in list_target_comparisons(inputs_of_chips(EVERYWHERE))}
    assert shown["Accuracy"].missing == {"lost": "not measured here"}
    assert "no figure: not measured here" in page_of(EVERYWHERE).markup


def test_the_card_of_an_overflow_tells_what_happens_where_to_whom_and_what_to_do() -> None:
    text = page_of(CHIPS).text()
    for words in (
        "56 of 450 decisions differ from the reference run",
        "Class 5 is hit hardest (41 %), class 2 least (0 %).",
        "8-bit sums overflow on haswell: of 450 decisions, 12 % change",
        "box of 16 bits",
        "add up to 252. Times an input of 255 that is 64,260; the box keeps 32,767.",
        "3 of 3 weights hold pairs that can overflow",
        "quantize_static(…, reduce_range=True)",
        'session: {session.x64quantprecision: "1"}',
        "name the processors that it is for",
    ):
        assert words in text
    assert "213\n5\n8\n5.73" in text


def test_each_topic_is_told_once_and_later_cards_point_at_it() -> None:
    text = page_of(CHIPS).text()
    assert text.count("box of 16 bits") == 1
    assert text.count("How 8-bit sums overflow: told above.") >= 1
    assert text.count("session.x64quantprecision") == 1
    assert "What to do: told above." in text


def test_a_safe_model_is_not_told_that_it_overflows() -> None:
    text = page_of(SAFE).text()
    for words in OVERFLOW:
        assert words not in text
    assert "the products of each fit into 16 bits" in text
    assert "Each of 450 decisions on server is the one of the reference run." in text


def test_a_file_at_risk_is_not_said_to_overflow_where_it_does_not() -> None:
    text = page_of(CHIPS).text()
    assert "Overflow changes nothing on server" in text
    assert "8-bit sums overflow on server" not in text


def test_flips_that_exact_sums_do_not_change_are_not_blamed_on_overflow() -> None:
    innocent = measured("haswell", "hardware.saturation/saturated_flip_rate", 0.0, 0.0, 0.008)
    text = page_of(with_readings(CHIPS, innocent)).text()
    assert "Overflow of 8-bit sums is not the reason: with exact sums, no decision changes" in text
    assert "8-bit sums overflow on haswell" not in text


def test_an_endpoint_is_not_told_to_set_an_option_of_our_runtime() -> None:
    specs = [
        replace(spec, runtime="openvino") if spec.name == "haswell" else spec
        for spec in CHIPS.request.targets
    ]
    elsewhere = replace(CHIPS, request=replace(CHIPS.request, targets=tuple(specs)))
    text = page_of(elsewhere).text()
    assert "reduce_range" in text
    assert "x64quantprecision" not in text


@pytest.mark.parametrize(
    ("name", "level", "because"),
    [
        ("service", EvidenceLevel.MEASURED, "a served model does not say"),
        (
            "mixed",
            EvidenceLevel.MEASURED,
            "13 of 55 operators run elsewhere (13 on CPUExecutionProvider)",
        ),
        (
            "edge-cloud",
            EvidenceLevel.VERIFIED,
            "cloud: the runtime says that all 57 operators run on",
        ),
        ("lost", EvidenceLevel.UNOPENED, "nothing was measured"),
    ],
)
def test_only_a_target_whose_operators_all_run_there_is_verified(
    name: str, level: EvidenceLevel, because: str
) -> None:
    inputs = inputs_of_chips(EVERYWHERE)
    spec = next(item for item in EVERYWHERE.request.targets if item.name == name)
    found = find_target_evidence(inputs, spec)
    assert found.level is level
    assert because in found.because


@pytest.mark.parametrize(
    ("nodes", "spec", "level"),
    [
        ({CPU_EP: NODES}, TargetSpec("server"), EvidenceLevel.VERIFIED),
        (
            {CPU_EP: NODES},
            TargetSpec("server", provider="CUDAExecutionProvider"),
            EvidenceLevel.MEASURED,
        ),
        (None, TargetSpec("server"), EvidenceLevel.MEASURED),
        ({}, TargetSpec("server"), EvidenceLevel.MEASURED),
        ({"CPU": NODES}, TargetSpec("server", runtime="openvino"), EvidenceLevel.VERIFIED),
        (
            {"CPU": NODES, "GPU": NODES},
            TargetSpec("server", runtime="openvino"),
            EvidenceLevel.MEASURED,
        ),
        ({CPU_EP: NODES}, TargetSpec("server", emulated="Haswell"), EvidenceLevel.EMULATED),
    ],
)
def test_the_placement_decides_what_a_target_may_be_called(
    nodes: dict[str, dict[str, int]] | None, spec: TargetSpec, level: EvidenceLevel
) -> None:
    record = replace(CHIPS, fingerprints={"server": placed(nodes)})
    assert find_target_evidence(inputs_of_chips(record), spec).level is level


def test_a_vendors_simulation_on_a_processor_is_not_its_chip() -> None:
    device: Json = {
        "device_id": 0, "hardware_vendor": "AMD", "kind": "CPU", "provider": "auditor-plugin",
        "vendor": "Qualcomm", "vendor_id": 4130, "version": "0.1.0",
    }  # fmt: skip
    found = placed({"auditor-plugin": NODES})
    facts = {**found.identity_facts, "devices": [device], "library": "onnxruntime_qnn"}
    record = replace(CHIPS, fingerprints={"npu": replace(found, identity_facts=facts)})
    spec = TargetSpec("npu", provider="QNNExecutionProvider", library="onnxruntime_qnn")
    assert (
        name_evidence_level(inputs_of_chips(record), spec) == "simulated: numbers only, never timed"
    )


def test_operators_that_nobody_accounts_for_leave_a_target_unverified() -> None:
    lost = measured("server", "hardware.placement/unaccounted_nodes", 3, n=57)
    record = replace(CHIPS, readings=(*CHIPS.readings, lost))
    found = find_target_evidence(inputs_of_chips(record), TargetSpec("server"))
    assert (found.level, found.because) == (
        EvidenceLevel.MEASURED, "nobody says where 3 more operators run",
    )  # fmt: skip


def test_a_placement_is_one_line_a_provider_the_most_frequent_operator_first() -> None:
    assert list(list_provider_lines({CPU_EP: NODES})) == [
        (CPU_EP, "57 operators: 32 DequantizeLinear, 18 QuantizeLinear, 6 Conv, 1 Gemm")
    ]
    assert "placement, CPUExecutionProvider\n57 operators: 32 Deq" in page_of(CHIPS).text()


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_report_of_several_targets_nests_and_names_each_place_once(
    record: AuditRecord,
) -> None:
    page = page_of(record)
    ids = page.ids()
    assert len(set(ids)) == len(ids)
    regions = [a["aria-label"] for _, a in page.elements if a.get("role") == "region"]
    assert len(set(regions)) == len(regions)


@pytest.mark.parametrize("name", ["chips", "safe", "everywhere"])
def test_the_text_of_a_report_of_several_targets_reads_well(name: str, golden: Golden) -> None:
    record = RECORDS[name]
    text = page_of(record).text().replace(record.digest, "RECORD-DIGEST")
    golden(f"report-{name}.txt", text + "\n")


def test_the_summary_of_several_targets_reads_well(golden: Golden) -> None:
    text = render_markdown(inputs_of_chips(CHIPS)).replace(CHIPS.digest, "RECORD-DIGEST")
    golden("summary-chips.md", text)


def test_every_check_of_hardware_says_what_it_looks_at_or_explains_its_findings() -> None:
    hardware = [check for check in CHECKS.values() if check.id.startswith("hardware.")]
    told = [check for check in hardware if check.about or "explain" in vars(check)]
    assert [check.id for check in hardware if check not in told] == []
    assert all(bool(check.about) == bool(check.cures) for check in CHECKS.values())


def test_what_helps_is_said_only_where_something_is_bad() -> None:
    words = CHECKS["hardware.latency"]
    slow = [
        replace(item, outcome=Outcome.FAILED) if item.measure == "hardware.latency/p99" else item
        for item in SAFE.findings
    ]
    bad = page_of(replace(SAFE, findings=tuple(slow))).text()
    assert words.about in page_of(SAFE).text()
    assert words.cures[0] not in page_of(SAFE).text()
    assert words.cures[0] in bad


def test_what_was_not_looked_at_is_not_described() -> None:
    only = [item for item in CHIPS.findings if item.target == "haswell"]
    text = page_of(replace(CHIPS, findings=tuple(only))).text()
    assert CHECKS["hardware.latency"].about not in text


def test_a_variant_is_told_beside_its_parent() -> None:
    readings = [
        *flips("server", "hardware.variant", 9, {"5": 0.1, "2": 0.0}),
        measured("server", "hardware.variant/nll_change", 0.02, 0.01, 0.03),
        *(
            measured("server", "hardware.variant/robust_accuracy", value, value - 0.1, value + 0.1,
                     100, params={"eps": 0.05, "norm": "linf", "of": of})
            for of, value in (("variant", 0.5), ("parent", 0.6))
        ),
        measured("server", "hardware.variant/trigger_gap", 0.4, 0.2, 0.6, params={"class": "3"}),
    ]  # fmt: skip
    asked = replace(
        CHIPS.findings[1], measure="hardware.variant/flip_rate", outcome=Outcome.FAILED,
        readings=(len(CHIPS.readings),),
    )  # fmt: skip
    record = replace(CHIPS, readings=(*CHIPS.readings, *readings), findings=(asked,))
    text = page_of(record).text()
    for words in (
        "9 of 450 decisions differ from its parent",
        "By log loss it got worse",
        "the variant is right in at most 50 % of rows, the parent in at most 60 %",
        "turns rows into class 3 more often on the variant than on the parent",
        "Do not deploy this file before you know its origin",
        "weights quantised per channel",
    ):
        assert words in text


def test_names_from_a_record_are_text_in_every_part_of_the_comparison() -> None:
    hostile = '<img src=x onerror="alert(1)">\u202e|`*'
    renamed = [
        replace(item, target=hostile) if item.target == "haswell" else item
        for item in CHIPS.readings
    ]
    specs = [
        replace(spec, name=hostile) if spec.name == "haswell" else spec
        for spec in CHIPS.request.targets
    ]
    prints = {**CHIPS.fingerprints, hostile: CHIPS.fingerprints["haswell"]}
    record = replace(
        CHIPS,
        request=replace(CHIPS.request, targets=tuple(specs)),
        readings=tuple(renamed),
        fingerprints=prints,
        findings=tuple(
            replace(item, target=hostile) if item.target == "haswell" else item
            for item in CHIPS.findings
        ),
    )
    page = page_of(record)
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert "\u202e" not in page.markup
    assert "\u202e" not in render_markdown(inputs_of_chips(record))
