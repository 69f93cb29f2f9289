"""A request names its data so that nobody can try out what they are, and its key says what."""

from dataclasses import replace

import pytest

from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.requests import AuditRequest, DatasetRef, InputFile, PolicyRef
from auditor.errors import RecordError
from auditor.trust.disclosure import DisclosureKey, conceal_inputs, reveal_inputs

KEY = bytes(32)
PICTURES = tuple(
    InputFile("faces", FileDigest(f"faces/{label}/{number}.png", 100 + number, sha))
    for number, (label, sha) in enumerate([("cat", "a" * 64), ("dog", "a" * 64), ("cat", "b" * 64)])
)
MODEL = InputFile("model.onnx", FileDigest("model.onnx", 5, "c" * 64))
REQUEST = AuditRequest(
    name="faces",
    version="1",
    artifact=None,
    targets=(),
    datasets=(DatasetRef("evaluation", "sha256:" + "d" * 64, 3),),
    policy=PolicyRef("tiny", "1", "sha256:" + "e" * 64),
    audit_file="sha256:" + "f" * 64,
    seed=7,
    budget=Budget.SMOKE,
    inputs=(MODEL, *PICTURES),
)


def test_neither_names_nor_sizes_nor_digests_of_data_are_told() -> None:
    request, _ = conceal_inputs(REQUEST, {"faces"}, KEY)
    said = str(request.to_json())
    for told in ("cat", "dog", "100", "a" * 64, "b" * 64, "d" * 64):
        assert told not in said
    assert request.inputs[0] == MODEL
    assert request.disclosure is DisclosureMode.ROWS


def test_equal_files_look_different_and_all_come_back() -> None:
    request, secret = conceal_inputs(REQUEST, {"faces"}, KEY)
    assert len({item.file.sha256 for item in request.inputs}) == 4
    assert reveal_inputs(request, secret).inputs == REQUEST.inputs
    assert reveal_inputs(request, DisclosureKey.parse(secret.emit())).inputs == REQUEST.inputs


def test_the_same_key_gives_the_same_request_and_another_key_another() -> None:
    again, other = (
        conceal_inputs(REQUEST, {"faces"}, KEY)[0],
        conceal_inputs(REQUEST, {"faces"}, b"k" * 32)[0],
    )
    assert conceal_inputs(REQUEST, {"faces"}, KEY)[0].digest == again.digest
    assert other.digest != again.digest
    assert not {item.digest for item in other.datasets} & {item.digest for item in again.datasets}


@pytest.mark.parametrize("changed", ["name", "size", "sha256"])
def test_a_key_that_says_something_else_of_a_file_is_refused(changed: str) -> None:
    request, secret = conceal_inputs(REQUEST, {"faces"}, KEY)
    name, own = next(iter(secret.inputs.items()))
    value = own.size + 1 if changed == "size" else "0" * 64
    lied = replace(secret, inputs={**secret.inputs, name: replace(own, **{changed: value})})
    with pytest.raises(RecordError, match="does not stand for"):
        reveal_inputs(request, lied)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        DisclosureKey(KEY, {"x": "y"}).emit().replace(b'"y"', b'"\\ud800"'),
        b"[" * 10_000,
        DisclosureKey(KEY).emit() + b" ",
        DisclosureKey(KEY).emit()[:-1],
    ],
    ids=["nothing", "empty", "list", "half", "deep", "space", "cut"],
)
def test_what_is_no_key_is_refused(raw: bytes) -> None:
    with pytest.raises(RecordError, match="not of its form"):
        DisclosureKey.parse(raw)
