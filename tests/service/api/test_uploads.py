"""Files come in parts, and are kept under the digest that they have or not at all."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from served_toys import sha
from served_worlds import World, problem

from auditor.errors import RequestTooLargeError, UploadConflictError
from auditor.service.domain.submissions import UploadKind
from auditor.service.uploads import STALE, UploadSpec

RAW = bytes(range(256)) * 40


def parcel(raw: bytes, offset: int = 0) -> UploadSpec:
    return UploadSpec(
        project="default",
        kind=UploadKind.ARTIFACT,
        digest=sha(raw),
        name="m.onnx",
        length=len(raw),
        offset=offset,
    )


def part_of(world: World, raw: bytes, kind: UploadKind = UploadKind.DATASET) -> Path:
    """Where the bytes lie that are not kept yet."""
    return world.service.intake.folder / replace(parcel(raw), kind=kind).place


def test_a_whole_file_is_kept_under_its_digest_and_listed_by_its_name(world: World) -> None:
    raw = RAW + b"whole"
    path, headers = f"/v1/artifacts/{sha(raw)}", {"Upload-Name": "m%C3%B6del.onnx"}
    assert world.call("HEAD", path).status_code == 404
    sent = world.call("PUT", path, content=raw, headers=headers)
    assert (sent.status_code, sent.json()["complete"]) == (201, True)
    assert world.service.store.blobs.get(sha(raw)) == raw
    again = world.call("HEAD", path, "viewer")
    assert again.status_code == 200
    assert again.headers["upload-offset"] == again.headers["upload-length"] == str(len(raw))
    listed = world.call("GET", "/v1/artifacts?limit=200").json()["uploads"]
    assert {"digest": sha(raw), "name": "mödel.onnx"}.items() <= next(
        item for item in listed if item["digest"] == sha(raw)
    ).items()
    assert world.call("PUT", path, content=raw).status_code == 200


def test_a_file_goes_on_where_it_broke_off(world: World) -> None:
    raw = RAW + b"broken off"
    path, length = f"/v1/datasets/{sha(raw)}", {"Upload-Length": str(len(raw))}
    first = world.call("PUT", path, content=raw[:1000], headers=length)
    assert first.status_code == 202
    assert first.headers["upload-offset"] == "1000"
    asked = world.call("HEAD", path)
    assert (asked.status_code, asked.headers["upload-complete"]) == (204, "?0")
    at = {**length, "Upload-Offset": asked.headers["upload-offset"]}
    assert world.call("PUT", path, content=raw[1000:], headers=at).status_code == 201
    assert world.service.store.blobs.get(sha(raw)) == raw
    assert not part_of(world, raw).exists()


def test_a_part_from_another_place_is_refused_and_nothing_is_lost(world: World) -> None:
    raw = RAW + b"elsewhere"
    path, length = f"/v1/datasets/{sha(raw)}", {"Upload-Length": str(len(raw))}
    world.call("PUT", path, content=raw[:500], headers=length)
    for offset in ("0", "499", "501"):
        headers = {**length, "Upload-Offset": offset}
        answer = world.call("PUT", path, content=raw[int(offset) :], headers=headers)
        assert answer.status_code == 409
        assert problem(answer)["type"].endswith("/upload_conflict")
    at = {**length, "Upload-Offset": "500"}
    assert world.call("PUT", path, content=raw[500:], headers=at).status_code == 201


def test_bytes_of_another_digest_are_thrown_away(world: World) -> None:
    path = f"/v1/artifacts/{sha(RAW + b'good')}"
    answer = world.call("PUT", path, content=RAW + b"evil")
    assert answer.status_code == 422
    assert problem(answer)["type"].endswith("/upload_invalid")
    assert not part_of(world, RAW + b"good", UploadKind.ARTIFACT).exists()
    assert not world.service.store.blobs.has(sha(RAW + b"good"))
    assert not world.service.store.blobs.has(sha(RAW + b"evil"))
    assert world.call("HEAD", path).status_code == 404


def test_more_bytes_than_announced_are_refused(world: World) -> None:
    raw = RAW + b"more"
    path, short = f"/v1/artifacts/{sha(raw)}", {"Upload-Length": str(len(raw) - 1)}
    assert world.call("PUT", path, content=raw, headers=short).status_code == 422
    assert not world.service.store.blobs.has(sha(raw))


def test_what_another_project_uploaded_has_to_be_sent_all_the_same(world: World) -> None:
    raw = RAW + b"theirs"
    path = f"/v1/datasets/{sha(raw)}"
    world.upload(raw, key="stranger")
    assert world.call("HEAD", path).status_code == 404
    refused = world.call("PUT", path, content=b"guessed", headers={"Upload-Length": "7"})
    assert refused.status_code == 422
    assert world.call("PUT", path, content=raw).status_code == 201


@pytest.mark.parametrize(
    "name",
    ["../m.onnx", "a/b", "a%2Fb", "..%5Cm", ".hidden", "", "a%00b", "a%0Ab", "%ff", "x" * 256],
)
def test_a_name_that_is_a_path_or_no_line_is_refused(world: World, name: str) -> None:
    raw = RAW + name.encode()
    path = f"/v1/artifacts/{sha(raw)}"
    answer = world.call("PUT", path, content=raw, headers={"Upload-Name": name})
    assert answer.status_code == 422
    assert not world.service.store.blobs.has(sha(raw))


@pytest.mark.parametrize(
    "digest", ["sha256:" + "AB" * 32, "..%2f..%2fetc", "md5:1", "sha256:" + "a" * 63]
)
def test_what_is_no_digest_is_refused(world: World, digest: str) -> None:
    assert world.call("PUT", f"/v1/artifacts/{digest}", content=b"x").status_code in {404, 422}


@pytest.mark.parametrize("header", ["Upload-Offset", "Upload-Length"])
@pytest.mark.parametrize("said", ["-1", "1.5", "9" * 20, "x"])
def test_a_header_that_is_no_whole_number_is_refused(world: World, header: str, said: str) -> None:
    path = f"/v1/artifacts/{sha(b'n')}"
    assert world.call("PUT", path, content=b"n", headers={header: said}).status_code == 422


def test_a_body_of_unknown_length_wants_one_to_be_announced(world: World) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"some"
        yield b"thing"

    path = f"/v1/datasets/{sha(b'something')}"
    assert world.call("PUT", path, content=chunks()).status_code == 422
    headers = {"Upload-Length": "9"}
    assert world.call("PUT", path, content=chunks(), headers=headers).status_code == 201


def test_a_file_over_the_limit_is_refused_before_a_byte_of_it_is_written(world: World) -> None:
    raw = RAW + b"too large"
    small = replace(world.service.intake, most=len(raw) - 1)
    with pytest.raises(RequestTooLargeError), small.receiving(parcel(raw)):
        pytest.fail("it was let in")
    assert not part_of(world, raw, UploadKind.ARTIFACT).exists()


def test_two_cannot_send_one_file_at_once(world: World) -> None:
    raw, intake = RAW + b"twice", world.service.intake
    with intake.receiving(parcel(raw)) as first:
        first.take(raw[:10])
        with pytest.raises(UploadConflictError), intake.receiving(parcel(raw)):
            pytest.fail("a second one was let in")
        first.take(raw[10:])
    assert world.service.store.blobs.get(sha(raw)) == raw


def test_what_arrived_before_a_line_broke_is_there(world: World) -> None:
    raw, intake = RAW + b"line", world.service.intake
    with suppress(ConnectionError), intake.receiving(parcel(raw)) as arriving:
        arriving.take(raw[:700])
        raise ConnectionError
    held = intake.held("default", UploadKind.ARTIFACT, sha(raw))
    assert held is not None
    assert (held.offset, held.length, held.complete) == (700, len(raw), False)
    with intake.receiving(parcel(raw, 700)) as arriving:
        arriving.take(raw[700:])
    assert world.service.store.blobs.get(sha(raw)) == raw


def test_a_part_that_nobody_went_on_with_is_forgotten_after_a_week(world: World) -> None:
    raw = RAW + b"forgotten"
    length = {"Upload-Length": str(len(raw))}
    world.call("PUT", f"/v1/datasets/{sha(raw)}", content=raw[:9], headers=length)
    part = part_of(world, raw)
    began = part.stat().st_mtime
    world.service.intake.forget(began + STALE - 1)
    assert part.exists()
    world.service.intake.forget(began + STALE + 1)
    assert not part.exists()
