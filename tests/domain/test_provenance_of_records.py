"""A record's whole lineage follows from its bytes: what it names, and what that is made of."""

from dataclasses import replace

import pytest

from auditor.domain.artifacts import Artifact, FileDigest, digest_files
from auditor.domain.budgets import Budget
from auditor.domain.json import compute_digest
from auditor.domain.lineage import LineageEdge, LineageEntity, build_entity_id, digest_edges
from auditor.domain.policies import AssuranceLevel
from auditor.domain.provenance import build_provenance, find_entity_kind
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, DatasetRef, InputFile, PolicyRef
from auditor.domain.targets import TargetSpec

MODEL = (FileDigest("model.onnx", 5, "a1" * 32), FileDigest("weights.bin", 9, "a2" * 32))
ROWS = (FileDigest("rows/0.png", 3, "b1" * 32), FileDigest("rows/1.png", 3, "b2" * 32))
CODE = FileDigest("recipe.py", 7, "c1" * 32)
KEY = FileDigest("model.pub", 2, "d1" * 32)
SIGNER = "key:sha256:" + "e1" * 32


def named(kind: str, text: bytes) -> str:
    return build_entity_id(kind, compute_digest(text))


@pytest.fixture
def record() -> AuditRecord:
    artifact, data = Artifact("net", "1", MODEL), digest_files(ROWS)
    inputs = [*(("model.onnx", item) for item in MODEL), *(("rows", item) for item in ROWS)]
    request = AuditRequest(
        name="net", version="1", artifact=artifact, targets=(TargetSpec("cpu"),),
        datasets=(DatasetRef("evaluation", data, 2),),
        policy=PolicyRef("baseline", "2", compute_digest(b"policy")),
        audit_file=compute_digest(b"audit"), seed=1, budget=Budget.CI,
        inputs=tuple(InputFile(*item) for item in (*inputs, ("recipe.py", CODE), ("m.pub", KEY))),
    )  # fmt: skip
    used = {"artifact": artifact.digest, "evaluation": data, "policy": compute_digest(b"policy")}
    edges = [LineageEdge("aud-1", "used", item, role) for role, item in used.items()]
    return AuditRecord(
        id="aud-1", derived_from=None, assurance=AssuranceLevel.A0, request=request,
        confidence=0.95, fingerprints={}, observations=(), readings=(), findings=(),
        lineage=(
            *edges,
            LineageEdge("aud-1", "used", f"sha256:{CODE.sha256}", "recipe"),
            LineageEdge("aud-1", "used", compute_digest(b"lock"), "environment"),
            LineageEdge("aud-1", "wasAttributedTo", SIGNER, "signer"),
            LineageEdge(
                "aud-1", "wasDerivedFrom", compute_digest(b"seen"), "evidence:quality.accuracy"
            ),
            LineageEdge(digest_files(ROWS), "wasDerivedFrom", compute_digest(b"raw"), "training"),
        ),
        tool={"environment": compute_digest(b"lock"), "python": "3.11", "packages": {"numpy": "2"}},
        registered="2026-01-01T00:00:00Z", finished="2026-01-01T00:01:00Z",
    )  # fmt: skip


def ends(record: AuditRecord, source: str, relation: str) -> set[str]:
    found = build_provenance(record).edges
    return {
        item.destination for item in found if (item.source, item.relation) == (source, relation)
    }


def test_the_run_used_what_was_given_and_the_record_came_from_what_was_seen(
    record: AuditRecord,
) -> None:
    assert record.request.artifact is not None
    itself = build_entity_id("record", record.digest)
    assert ends(record, itself, "wasGeneratedBy") == {"audit:aud-1"}
    assert ends(record, itself, "wasDerivedFrom") == {named("evidence", b"seen")}
    assert ends(record, "audit:aud-1", "used") == {
        build_entity_id("artifact", record.request.artifact.digest),
        build_entity_id("dataset", digest_files(ROWS)),
        named("policy", b"policy"),
        named("environment", b"lock"),
        f"recipe:{CODE.sha256}",
        f"file:{KEY.sha256}",
    }


def test_every_file_hangs_below_what_it_is_a_part_of(record: AuditRecord) -> None:
    assert record.request.artifact is not None
    for kind, files in (("artifact", MODEL), ("dataset", ROWS)):
        whole = build_entity_id(kind, digest_files(files))
        assert ends(record, whole, "hadMember") == {f"file:{item.sha256}" for item in files}


def test_an_edge_between_two_other_things_keeps_their_kinds(record: AuditRecord) -> None:
    source = build_entity_id("dataset", digest_files(ROWS))
    assert ends(record, source, "wasDerivedFrom") == {named("dataset", b"raw")}


def test_the_signature_stands_between_the_record_and_the_key(record: AuditRecord) -> None:
    told = build_provenance(record, compute_digest(b"bundle"))
    own, key = named("signature", b"bundle"), "key:" + "e1" * 32
    record_id = build_entity_id("record", record.digest)
    assert LineageEdge(record_id, "wasInfluencedBy", own, "signature") in told.edges
    assert LineageEdge(own, "wasAttributedTo", key, "signer") in told.edges
    assert LineageEntity("key", "sha256:" + "e1" * 32) in told.entities


def test_what_is_known_of_things_is_told(record: AuditRecord) -> None:
    about = {item.id: item for item in build_provenance(record).entities}
    assert about[named("environment", b"lock")].attrs == {
        "python": "3.11", "packages": {"numpy": "2"},
    }  # fmt: skip
    assert about[build_entity_id("dataset", digest_files(ROWS))].attrs == {"rows": 2}
    assert about[f"file:{ROWS[0].sha256}"].uri == "rows"
    assert about[build_entity_id("record", record.digest)].attrs["verdict"] == "inconclusive"


def test_a_judgement_has_no_start_that_nobody_wrote_down(record: AuditRecord) -> None:
    (audit,) = build_provenance(record).activities
    (again,) = build_provenance(replace(record, derived_from=compute_digest(b"first"))).activities
    assert (audit.kind, audit.started) == ("audit", record.registered)
    assert (again.kind, again.started) == ("judging", record.finished)


def test_a_set_of_edges_has_one_digest_however_it_is_told(record: AuditRecord) -> None:
    edges = build_provenance(record).edges
    assert digest_edges(reversed((*edges, *edges))) == digest_edges(edges)
    assert digest_edges(edges[1:]) != digest_edges(edges)


def test_a_role_that_nobody_knows_yet_names_its_own_kind() -> None:
    assert find_entity_kind("trust_policy") == "trust-policy"
    assert find_entity_kind("shadow") == find_entity_kind("artifact") == "artifact"
    assert find_entity_kind("target:cpu") == "target"
