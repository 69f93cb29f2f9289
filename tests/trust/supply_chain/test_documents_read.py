"""What each kind of document declares, and under whose signature."""

import json
from typing import Any

import pytest
from supply_papers import (
    CARD,
    OTHER,
    SIGNER,
    bom,
    bundled,
    by_certificate,
    croissant,
    dumped,
    enveloped,
    hexed,
    slsa_v0_2,
    slsa_v1,
)

from auditor.domain.artifacts import FileDigest
from auditor.domain.supply_chain import DATASETS, SupplyPart
from auditor.trust.signatures.model_signing import sign_files
from auditor.trust.supply_chain.document_parsers import SHA256, DocumentKind
from auditor.trust.supply_chain.verify import (
    DocumentSignatureStatus,
    KeyDocumentVerifier,
    SignedDeclaration,
    read_supply_document,
)

KEY = SIGNER.public_pem()


def read(raw: bytes, name: str = "paper.json", key: bytes | None = None) -> SignedDeclaration:
    (found,) = read_supply_document(name, raw, KeyDocumentVerifier(key))
    return found


def declared(told: SignedDeclaration) -> list[tuple[SupplyPart | None, str, str | None]]:
    return [(item.part, item.name, item.digests.get(SHA256)) for item in told.declaration.declared]


def codes(told: SignedDeclaration) -> list[str]:
    return [item.code for item in told.remarks]


def test_slsa_v1_declares_its_subjects_its_dependencies_and_its_builder() -> None:
    told = read(dumped(slsa_v1()))
    assert told.declaration.kind is DocumentKind.SLSA_V1
    assert declared(told) == [
        (SupplyPart.MODEL, "model.onnx", hexed("model")),
        (None, "train.csv", hexed("train")),
        (None, "git+https://acme.example/c@v1", None),
    ]
    assert told.declaration.declared[2].digests == {"gitCommit": "a" * 40}
    assert told.declaration.about["builder"] == "https://acme.example/builder"
    assert told.declaration.about["build_type"] == "https://acme.example/train/v1"
    assert not told.malformed


def test_slsa_v0_2_declares_its_materials() -> None:
    told = read(dumped(slsa_v0_2()))
    assert told.declaration.kind is DocumentKind.SLSA_V0_2
    assert declared(told)[1] == (None, "file:///in/train.py", hexed("code"))
    assert told.declaration.about["config_source"] == "git+https://acme.example/c"


def test_another_predicate_declares_its_subjects_alone() -> None:
    statement = slsa_v1() | {"predicateType": "https://in-toto.io/attestation/test-result/v0.1"}
    told = read(dumped(statement))
    assert told.declaration.kind is DocumentKind.IN_TOTO
    assert declared(told) == [(SupplyPart.MODEL, "model.onnx", hexed("model"))]


def test_a_model_signature_declares_its_files_and_not_their_root() -> None:
    files = (FileDigest("model.onnx", 5, hexed("model")),)
    told = read(sign_files(files, SIGNER, name="model.onnx"), key=KEY)
    assert declared(told) == [(SupplyPart.MODEL, "model.onnx", hexed("model"))]
    assert told.signed.standing is DocumentSignatureStatus.VERIFIED


@pytest.mark.parametrize("version", ["1.5", "1.6", "1.7"])
def test_a_bill_of_materials_declares_model_ancestor_and_data(version: str) -> None:
    told = read(dumped(bom(version)))
    assert told.declaration.kind is DocumentKind.CYCLONEDX
    assert declared(told) == [
        (SupplyPart.MODEL, "credit", hexed("model")),
        (SupplyPart.BASE_MODEL, "base", hexed("base")),
        (None, "acme-credit", None),
        (None, "train.csv", hexed("train")),
    ]
    assert told.declaration.declared[3].parts == DATASETS
    assert told.declaration.about["license"] == ["Apache-2.0"]
    assert told.declaration.about["other_components"] == 1


def test_a_bill_of_materials_can_be_signed_as_the_predicate_of_a_statement() -> None:
    statement = slsa_v1() | {"predicateType": "https://cyclonedx.org/bom", "predicate": bom()}
    told = read(bundled(statement), key=KEY)
    assert told.declaration.kind is DocumentKind.CYCLONEDX
    assert told.signed.standing is DocumentSignatureStatus.VERIFIED
    assert declared(told) == [
        (SupplyPart.MODEL, "model.onnx", hexed("model")),
        *declared(read(dumped(bom()))),
    ]
    broken = statement | {"predicate": bom("1.4")}
    assert codes(read(bundled(broken), key=KEY)) == ["VERSION"]


def test_the_only_model_among_the_components_is_the_model() -> None:
    document = bom()
    model = document["metadata"]["component"]
    document["metadata"]["component"] = {"type": "application", "name": "shop"}
    document["components"].append(model)
    assert declared(read(dumped(document)))[0] == (SupplyPart.MODEL, "credit", hexed("model"))
    second = {"type": "machine-learning-model", "name": "another"}
    document["components"].append(second)
    assert (None, "credit", hexed("model")) in declared(read(dumped(document)))


def test_the_files_of_a_model_and_where_it_is_distributed_are_the_model() -> None:
    document = bom()
    model = document["metadata"]["component"]
    hashes = model.pop("hashes")
    model["externalReferences"] = [{"type": "distribution", "url": "x", "hashes": hashes}]
    model["components"] = [{"type": "file", "name": "weights.bin", "hashes": hashes}]
    assert declared(read(dumped(document)))[:2] == [
        (SupplyPart.MODEL, "credit", hexed("model")),
        (SupplyPart.MODEL, "weights.bin", hexed("model")),
    ]


def test_croissant_declares_its_files() -> None:
    told = read(dumped(croissant()))
    assert told.declaration.kind is DocumentKind.CROISSANT
    assert declared(told) == [(None, "test.csv", hexed("test"))]
    assert told.declaration.about["responsible_ai"] == ["rai:dataCollection"]


def test_a_card_names_data_and_base_and_digests_nothing() -> None:
    told = read(CARD, "README.md")
    assert told.declaration.kind is DocumentKind.MODEL_CARD
    assert declared(told) == [
        (SupplyPart.TRAINING, "acme/credit", None),
        (SupplyPart.BASE_MODEL, "acme/base", None),
        (SupplyPart.EVALUATION, "acme/credit-test", None),
    ]
    assert told.declaration.about["license"] == "mit"
    assert told.declaration.about["metrics"] == ["accuracy", "auc"]


def test_a_plain_readme_declares_nothing_and_is_not_malformed() -> None:
    told = read(b"# Credit\n", "README.md")
    assert codes(told) == ["NOTHING_DECLARED"]
    assert not told.malformed


@pytest.mark.parametrize(
    ("raw", "key", "standing", "code"),
    [
        (dumped(slsa_v1()), KEY, DocumentSignatureStatus.UNSIGNED, []),
        (enveloped(slsa_v1()), None, DocumentSignatureStatus.NOT_VERIFIED, ["NO_KEY"]),
        (enveloped(slsa_v1()), KEY, DocumentSignatureStatus.VERIFIED, []),
        (enveloped(slsa_v1(), OTHER), KEY, DocumentSignatureStatus.REFUSED, ["SIGNATURE"]),
        (enveloped(slsa_v1()), b"no key", DocumentSignatureStatus.NOT_VERIFIED, ["KEY"]),
        (bundled(slsa_v1()), KEY, DocumentSignatureStatus.VERIFIED, []),
        (bundled(slsa_v1(), OTHER), KEY, DocumentSignatureStatus.REFUSED, ["SIGNATURE"]),
        (by_certificate(slsa_v1()), KEY, DocumentSignatureStatus.NOT_VERIFIED, ["UNSUPPORTED"]),
    ],
)
def test_whether_a_signature_holds_is_told_and_the_statement_read_all_the_same(
    raw: bytes, key: bytes | None, standing: DocumentSignatureStatus, code: list[str]
) -> None:
    told = read(raw, key=key)
    assert told.signed.standing is standing
    assert codes(told) == code
    assert told.signed.identity == (
        SIGNER.identity if standing is DocumentSignatureStatus.VERIFIED else None
    )
    assert declared(told)[0] == (SupplyPart.MODEL, "model.onnx", hexed("model"))
    assert not told.malformed


def test_every_line_of_a_file_of_attestations_is_a_document() -> None:
    raw = enveloped(slsa_v1()) + b"\n" + enveloped(slsa_v0_2(), OTHER) + b"\n"
    first, second = read_supply_document("all.intoto.jsonl", raw, KeyDocumentVerifier(KEY))
    assert (first.name, first.signed.standing) == (
        "all.intoto.jsonl:1",
        DocumentSignatureStatus.VERIFIED,
    )
    assert (second.name, second.signed.standing) == (
        "all.intoto.jsonl:2",
        DocumentSignatureStatus.REFUSED,
    )


def changed(document: dict[str, Any], path: str, value: object) -> bytes:
    """The document with one member replaced, as in ``a.0.b``."""
    copied = json.loads(dumped(document))
    *above, last = path.split(".")
    holder = copied
    for part in above:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    holder[last] = value
    return dumped(copied)


TWICE = dumped(slsa_v1()).replace(b'"_type"', b'"_type": "x", "_type"')
DEPENDENCIES = "predicate.buildDefinition.resolvedDependencies"


@pytest.mark.parametrize(
    ("raw", "name", "code"),
    [
        (b"", "a.json", "UNKNOWN_KIND"),
        (b"\xff\xfe", "a.json", "UNKNOWN_KIND"),
        (b"{", "a.json", "FORMAT"),
        (b"{}", "a.json", "UNKNOWN_KIND"),
        (b'{"a":' * 100_000, "a.json", "FORMAT"),
        (b'{"_type": NaN}', "a.json", "FORMAT"),
        (TWICE, "a.json", "DUPLICATE_KEY"),
        (b"<bom/>", "bom.xml", "UNKNOWN_KIND"),
        (b"\n", "a.jsonl", "FORMAT"),
        (changed(slsa_v1(), "_type", "https://in-toto.io/Statement/v2"), "a.json", "VERSION"),
        (changed(slsa_v1(), "_type", 7), "a.json", "VERSION"),
        (changed(slsa_v1(), "subject", []), "a.json", "FORMAT"),
        (changed(slsa_v1(), "subject", "model.onnx"), "a.json", "FORMAT"),
        (changed(slsa_v1(), "predicateType", None), "a.json", "FORMAT"),
        (changed(slsa_v1(), "predicate", [1]), "a.json", "FORMAT"),
        (changed(slsa_v1(), "predicate.runDetails", {}), "a.json", "FORMAT"),
        (changed(slsa_v1(), DEPENDENCIES, {"a": 1}), "a.json", "FORMAT"),
        (changed(slsa_v1(), DEPENDENCIES, [{}] * 10_001), "a.json", "TOO_MANY"),
        (changed(slsa_v1(), "subject.0.digest.sha256", "A" * 64), "a.json", "DIGEST_FORMAT"),
        (changed(slsa_v1(), "subject.0.digest.sha256", 7), "a.json", "DIGEST_FORMAT"),
        (changed(slsa_v0_2(), "predicate.builder", "me"), "a.json", "FORMAT"),
        (dumped(bom("1.4")), "a.json", "VERSION"),
        (dumped(bom(components={})), "a.json", "FORMAT"),
        (changed(bom(), "components.0.hashes.0.content", "00"), "a.json", "DIGEST_FORMAT"),
        (dumped(croissant(conformsTo="http://mlcommons.org/croissant/9")), "a.json", "VERSION"),
        (changed(croissant(), "distribution.0.sha256", "no"), "a.json", "DIGEST_FORMAT"),
        (b"---\nlicense: mit\n", "README.md", "FORMAT"),
        (b"---\n- a\n---\n", "README.md", "FORMAT"),
        (b"---\na: 1\na: 2\n---\n", "README.md", "DUPLICATE_KEY"),
        (b"---\na: &x [1]\nb: *x\n---\n", "README.md", "FORMAT"),
        (b"---\na: !!python/object/apply:os.system [ls]\n---\n", "README.md", "FORMAT"),
        (b"---\na: !evil x\n---\n", "README.md", "FORMAT"),
        (b"---\na: [\n---\n", "README.md", "FORMAT"),
        (b"---\na: \xff\n---\n", "README.md", "FORMAT"),
        (b"---\ndatasets: [{a: 1}]\n---\n", "README.md", "FORMAT"),
        (b"---\na: " + b"[" * 5000 + b"\n---\n", "README.md", "FORMAT"),
    ],
)
def test_a_malformed_document_declares_nothing_and_says_why(
    raw: bytes, name: str, code: str
) -> None:
    told = read(raw, name)
    assert told.malformed
    assert codes(told) == [code]
    assert told.declaration.declared == ()


def test_an_envelope_of_several_signatures_is_refused_by_its_own_code() -> None:
    envelope = json.loads(enveloped(slsa_v1()))
    envelope["signatures"] *= 2
    assert codes(read(dumped(envelope), key=KEY)) == ["SIGNATURE_COUNT"]


def test_a_document_that_is_too_large_is_not_read() -> None:
    assert codes(read_supply_document("bom.json", None)[0]) == ["TOO_LARGE"]
    assert codes(read(b" " * (16 * 2**20 + 1))) == ["TOO_LARGE"]


def test_hostile_names_come_out_short_and_printable() -> None:
    evil = "\ud800\x1b[31m\u202e" + "a" * 5000
    told = read(changed(slsa_v1(), "subject.0.name", evil))
    name = told.declaration.declared[0].name
    assert name.isprintable()
    assert len(name) < 300
