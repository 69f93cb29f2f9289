"""What a reader is told behind a verdict on privacy or poison."""

from dataclasses import replace

from rendering_records import FAILING, inputs_of

from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json
from auditor.domain.readings import BoundKind, Measurement, Unit
from auditor.reports.formats.html import render_html


def told(check: str, metric: str = "verdict", **details: Json) -> str:
    """Return the page of a record with one finding on one reading of a check."""
    reading = Measurement(
        metric=metric, value="no evidence at this power", bound=BoundKind.AT_LEAST, method="paper",
        n=300, unit=Unit.NONE, target="cpu", check=check, version=1, details=details,
    )  # fmt: skip
    (first, *_) = FAILING.findings
    place = len(FAILING.readings)
    finding: Finding = replace(
        first,
        rule="told",
        target="cpu",
        measure=f"{check}/{metric}",
        outcome=Outcome.WITHSTOOD,
        readings=(place,),
    )
    record = replace(FAILING, readings=(*FAILING.readings, reading), findings=(finding,))
    return render_html(inputs_of(record)).replace("\N{NO-BREAK SPACE}", " ")


def test_silence_says_how_small_a_leak_would_have_been_seen() -> None:
    page = told("privacy.membership", power={"smallest_auc": 0.5823, "chance": 0.95})
    assert "an attack that tells members from others with an area of 58.2 %" in page
    assert "How far this audit sees: chance 0.95." in page


def test_a_verdict_without_details_tells_nothing_more() -> None:
    assert "Basis" not in told("privacy.membership")


def test_a_backdoor_says_its_class_and_who_named_it() -> None:
    page = told("poisoning.backdoor", target_class="7", named={"patch_scan": "7", "mm_bd": "7"})
    assert "Rows with the trigger are decided as class 7." in page
    assert "Classes that detectors name: " in page
    assert "patch scan: 7" in page
    assert "mm bd: 7" in page


def test_reasons_are_told_as_sentences() -> None:
    page = told("privacy.inversion", reason="rows lie near to one another", power=0.67)
    assert "Rows lie near to one another." in page
    assert "The smallest effect that would have been seen is 0.67." in page
    assert "Too much was claimed." in told("privacy.dp_claim", reasons=["too much was claimed"])


def test_attacks_stand_with_their_areas() -> None:
    attacks: Json = [{"attack": "rmia", "shadows": "network", "auc": 0.54, "said": "shown"}]
    assert "rmia (network stand-ins) 54 %" in told("privacy.membership", attacks=attacks)


def test_faults_of_a_claim_stand_with_their_codes() -> None:
    faults: Json = [{"code": "GDP", "text": "the accountant is a limit and no bound"}]
    page = told("privacy.dp_claim", "structural_findings", findings=faults)
    assert "GDP: the accountant is a limit and no bound." in page


def test_other_families_are_told_as_before() -> None:
    assert "Basis" not in told("fairness.groups", power="none")
