"""The check of what came with a model, from evidence alone."""

import json
from hashlib import sha256
from typing import cast

from supply_papers import (
    CARD,
    EVALUATION,
    GIVEN,
    MODEL,
    OTHER,
    SIGNER,
    bom,
    bundled,
    croissant,
    dumped,
    resource,
    slsa_v1,
)
from unopened_subjects import unopened

from auditor.checks.provenance.lineage import CHECK
from auditor.checks.requirements import find_unmet_need
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import parse_json
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.supply_chain import ModelSupply, SupplyDocument, SupplyItem

KEY = SIGNER.public_pem()
PAPERS = {
    "slsa.intoto.json": bundled(slsa_v1()),
    "bom.json": dumped(bom()),
    "croissant.json": dumped(croissant()),
    "README.md": CARD,
}


def subject_of(
    papers: dict[str, bytes | None], key: bytes | None, given: tuple[SupplyItem, ...] = GIVEN
) -> Subject:
    """A subject that came with documents."""
    documents = tuple(
        SupplyDocument(FileDigest(name, len(raw or b""), sha256(raw or b"").hexdigest()), raw)
        for name, raw in papers.items()
    )
    return unopened(
        FileDigest("model.onnx", 5, MODEL.sha256),
        signature=SignatureMaterial(None, key),
        supply=ModelSupply(documents, given),
    )


def observed(
    papers: dict[str, bytes | None], key: bytes | None = KEY, given: tuple[SupplyItem, ...] = GIVEN
) -> Evidence:
    """What the check saw, as a record's folder keeps it."""
    evidence = CHECK().observe(subject_of(papers, key, given), CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def figures(evidence: Evidence) -> dict[str, Measurement]:
    found = CHECK().figures(evidence, 0.95)
    return {item.metric: item for item in found if isinstance(item, Measurement)}


def counts(evidence: Evidence) -> dict[str, object]:
    return {name: item.value for name, item in figures(evidence).items()}


def test_a_clean_supply_is_confirmed_and_nothing_is_contradicted() -> None:
    assert counts(observed(dict(PAPERS))) == {
        "confirmed": 6,  # model and data by SLSA; model, base and data by the bill; test data
        "confirmed_signed": 2,
        "contradicted": 0,
        "claimed": 5,  # the commit, the data set of the model card, three names of the README
        "undeclared": 1,  # the code
        "documents": 4,
        "unsigned": 3,
        "malformed": 0,
    }


def test_a_planted_model_is_contradicted_by_every_document_that_declares_it() -> None:
    planted = SupplyItem(MODEL.part, MODEL.name, "0" * 64)
    found = figures(observed(dict(PAPERS), given=(planted, *GIVEN[1:])))
    assert found["contradicted"].value == 2
    listed = cast("list[dict[str, str]]", found["contradicted"].details["inputs"])
    assert [item["document"] for item in listed] == ["slsa.intoto.json", "bom.json"]
    assert found["undeclared"].value == 2


def test_what_a_document_says_counts_for_nobody_without_a_signature_that_holds() -> None:
    paper: dict[str, bytes | None] = {"a.json": bundled(slsa_v1(), OTHER)}
    found = figures(observed(paper))
    assert (found["confirmed"].value, found["confirmed_signed"].value) == (2, 0)
    (unsigned,) = cast("list[dict[str, object]]", found["unsigned"].details["documents"])
    assert unsigned["signature"] == "refused"
    assert unsigned["identity"] is None
    assert counts(observed(paper, key=None))["confirmed_signed"] == 0
    assert counts(observed(paper, key=OTHER.public_pem()))["confirmed_signed"] == 2


def test_a_malformed_document_casts_doubt_on_the_counts() -> None:
    found = figures(observed({"bom.json": dumped(bom()), "slsa.json": b"{"}))
    assert found["malformed"].value == 1
    assert found["contradicted"].value == 0
    assert found["contradicted"].doubted
    assert found["confirmed"].doubted
    assert not found["documents"].doubted


def test_a_document_too_large_to_be_kept_is_malformed() -> None:
    assert counts(observed({"bom.json": None}))["malformed"] == 1


def test_where_nothing_could_be_compared_nothing_was_contradicted_nor_cleared() -> None:
    readings = CHECK().figures(observed({"README.md": CARD}), 0.95)
    (gap,) = [item for item in readings if isinstance(item, Gap)]
    assert (gap.metric, gap.reason) == ("contradicted", GapReason.NOT_DEFINED)
    assert counts(observed({"README.md": CARD}))["claimed"] == 3


def test_data_declared_as_something_else_is_told() -> None:
    subject = [resource("test.csv", "test")]
    found = figures(observed({"slsa.json": dumped(slsa_v1(subject))}, given=(EVALUATION,)))
    (entry,) = cast("list[dict[str, object]]", found["confirmed"].details["inputs"])
    assert entry["why"] == "it is declared as model, and was given as evaluation"
    assert entry["given_as"] == ["evaluation"]


def test_without_documents_the_check_is_a_gap_that_says_what_to_name() -> None:
    gap = find_unmet_need(CHECK, subject_of({}, None))
    assert gap is not None
    assert gap.reason is GapReason.NEEDS_DOCUMENTS
    assert "model.documents" in gap.cure


def test_evidence_that_was_changed_gives_other_figures() -> None:
    raw = encode_evidence(observed(dict(PAPERS))["lineage"]).raw
    assert "bomFormat" in json.loads(raw)["documents"][1]["content"]["text"]
    changed = raw.replace(MODEL.sha256.encode(), b"0" * 64)
    assert counts({"lineage": parse_json(changed)}) != counts(observed(dict(PAPERS)))


def test_a_document_that_is_no_text_is_kept_as_it_is() -> None:
    assert counts(observed({"bom.json": b"\xff\x00"}))["malformed"] == 1


def test_endless_lists_are_cut_off_and_counted() -> None:
    many = [resource(f"part-{index}", f"content {index}") for index in range(500)]
    found = figures(observed({"a.json": dumped(slsa_v1(materials=many))}))["claimed"]
    assert len(cast("list[object]", found.details["inputs"])) == 100
    assert found.details["in_all"] == 500
