"""Documents that come with a model are inputs like any other: named or found, digested, kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from supply_papers import CARD, bom, dumped, slsa_v1

from auditor.domain.json import read_json
from auditor.domain.requests import AuditRequest
from auditor.domain.supply_chain import SupplyPart
from auditor.errors import AuditFileError, RecordError
from auditor.inputs.materialize import index_files_by_digest, materialize_inputs
from auditor.workflows.audit import AuditEnvironment, AuditResults, RecordOrigin, conclude_audit
from auditor.workflows.prepare import PreparedAudit, prepare_audit, read_overridden_audit_file
from auditor.workflows.wiring import build_path_resolver, build_resolvers

UNUSED: Any = None
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {{name: m, artifact: net/model.onnx{more}}}
task: {{classes: ["no", "yes"]}}
data:
  evaluation: {{path: test.npz, labels: y}}
recipe: {{path: train.py}}
"""


def lay(folder: Path) -> None:
    """Write a model, data and code."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "g", [value], [out])
    (folder / "net").mkdir()
    onnx.save(helper.make_model(graph), folder / "net" / "model.onnx")
    np.savez(folder / "test.npz", X=np.zeros((4, 2), np.float32), y=np.array(["no", "yes"] * 2))
    (folder / "train.py").write_text("def train(X, y, seed): ...\n", encoding="utf-8")


@contextmanager
def prepared(folder: Path, more: str = "") -> Iterator[PreparedAudit]:
    parts = build_resolvers(folder)
    raw, only = AUDIT.format(more=more).encode(), ("provenance.lineage",)
    file = read_overridden_audit_file(raw, "audit.yaml", parts, only=only)
    with prepare_audit(file, build_path_resolver(folder / "audit.yaml"), parts) as found:
        yield found


def found_names(folder: Path, more: str = "") -> list[str]:
    with prepared(folder, more) as found:
        return [item.name for item in found.request.documents]


def test_documents_of_well_known_names_are_found_beside_the_artifact(tmp_path: Path) -> None:
    lay(tmp_path)
    for name in ("bom.json", "m.cdx.json", "m.intoto.jsonl", "provenance.json", "notes.json"):
        (tmp_path / "net" / name).write_bytes(dumped(bom()))
    (tmp_path / "net" / "README.md").write_bytes(CARD)
    (tmp_path / "bom.json").write_bytes(dumped(bom()))  # not beside the artifact
    (tmp_path / "net" / "croissant.json").symlink_to(tmp_path / "bom.json")
    os.mkfifo(tmp_path / "net" / "x.cdx.json")
    known = ["README.md", "bom.json", "m.cdx.json", "m.intoto.jsonl", "provenance.json"]
    assert found_names(tmp_path) == known
    assert found_names(tmp_path, ", documents: []") == []
    assert found_names(tmp_path, ", documents: [bom.json]") == ["bom.json"]


def test_a_readme_without_front_matter_is_no_document(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "net" / "README.md").write_bytes(b"# A model\n")
    assert found_names(tmp_path) == []


def test_a_document_is_an_input_of_the_request_and_of_the_lineage(tmp_path: Path) -> None:
    lay(tmp_path)
    raw = dumped(slsa_v1())
    (tmp_path / "slsa.json").write_bytes(raw)
    with prepared(tmp_path, ", documents: [slsa.json]") as found:
        request, supply, policy = found.request, found.materials.supply, found.policy
    digest = sha256(raw).hexdigest()
    assert ("slsa.json", digest) in [(item.path, item.file.sha256) for item in request.inputs]
    assert [item.raw for item in supply.documents] == [raw]
    assert read_json(AuditRequest, request.to_json(), "request").documents == request.documents
    cited = {"owasp-ml": "sha256:" + "ca" * 32}
    around = AuditEnvironment(
        openers=UNUSED, unit_of_work=UNUSED, keep=UNUSED, clock=lambda: "2026-05-10T09:00:00Z",
        tool={"code": "c", "environment": "e"}, signer="s",
    )  # fmt: skip
    judged, origin = replace(policy, catalogues=cited), RecordOrigin("2026-05-10T09:00:00Z")
    edges = conclude_audit(request, judged, AuditResults((), {}), around, origin).lineage
    assert ("catalogue:owasp-ml", cited["owasp-ml"]) in {
        (edge.role, edge.destination) for edge in edges
    }
    assert f"sha256:{digest}" in {edge.destination for edge in edges if edge.role == "document"}


def test_all_that_was_given_stands_ready_to_be_compared(tmp_path: Path) -> None:
    lay(tmp_path)
    with prepared(tmp_path) as found:
        given = found.materials.supply.given
    named = {item.part: item for item in given if item.name}
    assert set(named) == {SupplyPart.MODEL, SupplyPart.EVALUATION, SupplyPart.CODE}
    code = (tmp_path / "train.py").read_bytes()
    assert named[SupplyPart.CODE].sha256 == sha256(code).hexdigest()


def test_a_request_without_documents_is_what_it_was(tmp_path: Path) -> None:
    lay(tmp_path)
    with prepared(tmp_path) as found:
        assert "documents" not in found.request.to_json()


@pytest.mark.parametrize("more", ["", ", documents: [net/bom.json]"])
def test_the_same_documents_are_found_again_where_the_inputs_are_laid_out(
    tmp_path: Path, more: str
) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    lay(home)
    (home / "net" / "bom.json").write_bytes(dumped(bom()))
    with prepared(home, more) as found:
        first, file = found.request, found.file
    index = index_files_by_digest(home)
    laid = materialize_inputs(first.inputs, lambda digest: index[digest].read_bytes(), away)
    with prepare_audit(file, laid.locate, build_resolvers(home)) as again:
        assert again.request.digest == first.digest
        assert again.request.documents == first.documents


def test_a_record_cannot_be_reproduced_without_its_documents(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    lay(home)
    (home / "net" / "bom.json").write_bytes(dumped(bom()))
    with prepared(home) as found:
        request = found.request
    (home / "net" / "bom.json").unlink()
    index = index_files_by_digest(home)

    def fetch(digest: str) -> bytes:
        if digest not in index:
            raise RecordError(f"nobody has {digest}", cure="Give it.")
        return index[digest].read_bytes()

    with pytest.raises(RecordError, match="nobody has"):
        materialize_inputs(request.inputs, fetch, away)


def test_a_document_that_is_not_there_is_named_by_the_setting(tmp_path: Path) -> None:
    lay(tmp_path)
    with pytest.raises(AuditFileError, match=r"model\.documents: gone\.json"):
        found_names(tmp_path, ", documents: [gone.json]")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b'{"auths": {"registry": {"auth": "kept-to-ourselves"}}}'),
        ("credentials", b"[default]\nsecret = kept-to-ourselves\n"),
        ("secret.yaml", b"---\nkey: kept-to-ourselves\n---\n"),
        ("open.yaml", b"---\nkey: kept-to-ourselves\n"),
        ("lines.jsonl", b'{"key": "kept-to-ourselves"}\n'),
    ],
)
def test_what_is_no_document_is_not_published_as_one(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Records keep documents whole, and an audit file may come with a pull request."""
    lay(tmp_path)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "card.md").symlink_to(tmp_path / name)
    for named in (name, "card.md"):
        with pytest.raises(AuditFileError, match="records publish documents whole") as refused:
            found_names(tmp_path, f", documents: [{named}]")
        assert "kept-to-ourselves" not in str(refused.value)


def test_more_documents_than_anybody_has_are_refused(tmp_path: Path) -> None:
    lay(tmp_path)
    for index in range(101):
        (tmp_path / "net" / f"{index}.cdx.json").write_bytes(b"{}")
    with pytest.raises(AuditFileError, match="more than 100"):
        found_names(tmp_path)
