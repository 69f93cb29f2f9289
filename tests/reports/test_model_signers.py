"""The report says who besides the audit file vouches for the key that signed the model."""

import io
from dataclasses import replace

import pytest
from pages import Page
from rendering_records import PASSING, POLICY, inputs_of

from auditor.cli.record_output import show_record
from auditor.domain.json import Json
from auditor.domain.readings import Measurement
from auditor.reports.formats.html import render_html
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.findings import build_cards
from auditor.reports.html.first_screen import describe_declared
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.terminal import create_console

KEY = f"key:sha256:d1fea0{'1' * 58}"
SELF = "Model file signed by key d1fea0111111…, which only the audit file names as trusted."
TRUST: dict[str, Json] = {"name": "acme", "version": 3, "digest": "sha256:0", "rule": "all"}


def signed_by(require: str = "reading.value", **details: Json) -> ReportInputs:
    readings = tuple(
        replace(item, details={"identity": KEY, **details})
        if isinstance(item, Measurement) and item.check == "provenance.signature"
        else item
        for item in PASSING.readings
    )
    rules = tuple(
        replace(rule, require=require) if rule.check == "provenance.signature" else rule
        for rule in POLICY.rules
    )
    policy = replace(POLICY, rules=rules, params={"signers": [KEY]})
    return inputs_of(replace(PASSING, readings=readings), policy=policy)


def finding(inputs: ReportInputs) -> str:
    return next(it.headline for it in build_cards(inputs) if it.finding.rule == "signed")


def test_a_key_that_only_the_audit_file_names_is_declared_and_not_checked() -> None:
    inputs = signed_by()
    assert finding(inputs).endswith(SELF)
    lines = Page(render_html(inputs)).lines
    box = lines[lines.index("Declared, not checked") : lines.index("Limits of this verdict")]
    assert any(line.startswith(SELF) for line in box)
    assert "| yes (by a key that only the audit file names) |" in render_markdown(inputs)
    assert "The artifact is signed" in box
    assert SELF in render_markdown(inputs).split("## Findings")[0]
    out = io.StringIO()
    show_record(create_console(file=out), inputs)
    assert f"declared, not checked {SELF} 1 rule rests on it:" in out.getvalue()


@pytest.mark.parametrize(
    ("inputs", "words", "declared"),
    [
        (
            signed_by("reading.details.identity in params.signers"),
            f"which the policy {POLICY.name} {POLICY.version} names.",
            False,
        ),
        (
            signed_by(trust={**TRUST, "standing": "accepted"}),
            "as the trust policy acme 3 allows, which was accepted where the audit ran.",
            False,
        ),
        (
            signed_by(trust={**TRUST, "standing": "unknown"}),
            "the audit file names that policy, and it was not accepted where the audit ran.",
            True,
        ),
    ],
    ids=["policy", "accepted", "unknown"],
)
def test_who_else_vouches_for_the_key_is_named(
    inputs: ReportInputs, words: str, *, declared: bool
) -> None:
    assert finding(inputs).endswith(words)
    said = [item.lead for item in describe_declared(inputs)]
    assert any(words.rstrip(".") in text for text in said) == declared


@pytest.mark.parametrize(
    "condition",
    [
        "!(reading.details.identity in params.signers)",
        "reading.details.identity in params.signers_of_others",
        "reading.details.identity != params.signers[0]",
    ],
)
def test_a_rule_that_does_not_ask_for_the_signer_vouches_for_nobody(condition: str) -> None:
    assert finding(signed_by(condition)).endswith(SELF)
