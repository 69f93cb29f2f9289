"""What a reader is told of the artifact's files and of the documents that came with it."""

from dataclasses import replace

from rendering_records import FAILING, inputs_of

from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json
from auditor.domain.readings import Measurement, Unit
from auditor.domain.record_json import read_record
from auditor.reports.formats.html import render_html
from auditor.reports.formats.markdown import render_markdown

INPUT: dict[str, Json] = {
    "document": "bom.json",
    "signature": "unsigned",
    "where": "components[0].hashes",
    "name": "train.csv",
    "part": None,
    "sha256": "0" * 64,
    "given_as": [],
    "why": "training train.csv was given with the SHA-256 12",
}
PAPER: dict[str, Json] = {
    "name": "slsa.json",
    "kind": "slsa-provenance-v1",
    "signature": "refused",
    "identity": None,
    "about": {},
    "remarks": [{"code": "SIGNATURE", "grade": "warning", "text": "it does not hold"}],
}


def reading(measure: str, value: int, **details: Json) -> Measurement:
    check, metric = measure.split("/")
    return Measurement(
        metric=metric, value=value, method="sha256-match", n=4, unit=Unit.COUNT, target="cpu",
        check=check, version=1, details=details,
    )  # fmt: skip


def pages(first: Measurement, *others: Measurement) -> tuple[str, str]:
    """Return the report and the summary of a record with one finding on the first reading."""
    place = len(FAILING.readings)
    finding: Finding = replace(
        FAILING.findings[0],
        rule="told",
        target="cpu",
        measure=f"{first.check}/{first.metric}",
        outcome=Outcome.FAILED,
        readings=(place,),
    )
    readings = (*FAILING.readings, first, *others)
    record = replace(FAILING, readings=readings, findings=(finding,))
    inputs = inputs_of(read_record(record.canonical()))
    return render_html(inputs), render_markdown(inputs)


def test_a_contradicted_input_is_told_with_its_document_and_its_standing() -> None:
    unsigned = reading("provenance.lineage/unsigned", 3)
    found = reading("provenance.lineage/contradicted", 1, inputs=[INPUT], in_all=1)
    for page in pages(found, unsigned):
        assert "declares train.csv at" in page
        assert "training train.csv was given with" in page
        assert "declared by nobody in particular" in page
        assert "Of 4 documents, 3" in page


def test_where_nothing_is_vouched_for_the_unsigned_documents_are_why() -> None:
    unsigned = reading("provenance.lineage/unsigned", 4)
    page, _ = pages(
        reading("provenance.lineage/confirmed_signed", 0, inputs=[], in_all=0), unsigned
    )
    assert "Of 4 documents, 4 stand under no signature" in page


def test_where_every_document_is_signed_nothing_is_said_of_nobody() -> None:
    unsigned = reading("provenance.lineage/unsigned", 0)
    verified = INPUT | {"signature": "verified", "part": "base_model"}
    found = reading("provenance.lineage/confirmed", 1, inputs=[verified], in_all=1)
    page, _ = pages(found, unsigned)
    assert "under a valid signature" in page
    assert "as base model" in page
    assert "nobody in particular" not in page


def test_a_document_is_told_with_what_is_wrong_with_it() -> None:
    page, _ = pages(reading("provenance.lineage/unsigned", 1, documents=[PAPER], in_all=1))
    assert "is not valid for any trusted signer; SIGNATURE: it does not hold." in page


def test_what_no_document_declares_is_told_by_its_part() -> None:
    entry = {"part": "code", "name": "train.py", "sha256": "0" * 64}
    page, _ = pages(reading("provenance.lineage/undeclared", 1, inputs=[entry], in_all=1))
    assert "code: train.py." in page


def test_what_was_found_in_the_artifact_is_told_with_its_code_and_place() -> None:
    entry = {"code": "PICKLE_GLOBAL", "where": "w.bin", "what": "imports 'os.system'"}
    found = [entry] * 12
    page, _ = pages(reading("provenance.artifact/unsafe_constructs", 12, found=found))
    assert "PICKLE_GLOBAL: w.bin: imports" in page
    assert "And 2 more, which the record lists." in page


def test_what_stands_against_a_signature_is_told_with_the_policy_that_judged_it() -> None:
    trust: Json = {"name": "acme", "version": 7, "standing": "accepted", "rule": "rules[0] (line)"}
    finding: Json = {"code": "VERSION_FLOOR", "grade": "error", "text": "1.0 is below 3.2"}
    judged = reading("provenance.signature/verified", 0, trust=trust, findings=[finding])
    page, summary = pages(judged)
    assert "Judged by the trust policy acme 7 (accepted here): rules[0] (line)." in page
    for told in (page, summary):
        assert "1.0 is below 3.2." in told


def test_a_signature_against_which_nothing_stands_is_not_told_of() -> None:
    for page in pages(reading("provenance.signature/verified", 1, findings=[])):
        assert "Details of the signature" not in page
