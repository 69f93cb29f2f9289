"""Which files are the artifact, and that what is digested is what is copied."""

import hashlib
import os
from pathlib import Path

import onnx
import pytest
from external_models import external_model
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from auditor.errors import ArtifactError
from auditor.trust.artifacts.files import digest_artifact, stage_artifact


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the artifact lies, with a file outside that it must not reach."""
    (tmp_path / "secret").write_bytes(b"secret!!")
    (tmp_path / "model" / "parts").mkdir(parents=True)
    (tmp_path / "model" / "w.bin").write_bytes(b"01234567")
    (tmp_path / "model" / "parts" / "v.bin").write_bytes(b"76543210")
    return tmp_path / "model"


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    made = tmp_path / "staged"
    made.mkdir()
    return made


def save(place: Path, *locations: str) -> Path:
    path = place / "m.onnx"
    path.write_bytes(external_model(*locations))
    return path


def copied(staging: Path) -> dict[str, str]:
    return {
        path.relative_to(staging).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in staging.rglob("*")
        if path.is_file()
    }


def test_an_onnx_file_brings_its_external_data_and_nothing_else(place: Path) -> None:
    files = digest_artifact(save(place, "parts/v.bin", "./w.bin", "w.bin"))
    assert [file.name for file in files] == ["m.onnx", "parts/v.bin", "w.bin"]
    assert files[2].sha256 == hashlib.sha256(b"01234567").hexdigest()
    assert files[2].size == 8


def test_staging_copies_exactly_what_it_digests(place: Path, staging: Path) -> None:
    path = save(place, "parts/v.bin", "w.bin")
    files = stage_artifact(path, staging)
    assert copied(staging) == {file.name: file.sha256 for file in files}
    assert files == digest_artifact(path)


def test_external_data_in_subgraphs_functions_and_attributes_is_found(place: Path) -> None:
    inner = onnx.load_model_from_string(external_model("w.bin")).graph
    held = onnx.load_model_from_string(external_model("parts/v.bin")).graph.initializer[0]
    model = onnx.load_model_from_string(external_model())
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner))
    function = model.functions.add(name="f", domain="own")
    function.node.append(helper.make_node("Constant", [], ["c"], value=held))
    (place / "m.onnx").write_bytes(model.SerializeToString())
    names = [file.name for file in digest_artifact(place / "m.onnx")]
    assert names == ["m.onnx", "parts/v.bin", "w.bin"]


def test_a_tensor_split_over_two_messages_does_not_hide_its_path(place: Path) -> None:
    # Protobuf merges two occurrences of one field: here a graph with half a tensor in each.
    first = onnx.GraphProto()
    first.node.add(op_type="Constant").attribute.add(name="value").t.external_data.add(
        key="location", value="w.bin"
    )
    second = onnx.ModelProto()
    second.graph.CopyFrom(first)
    raw = external_model() + second.SerializeToString()
    (place / "m.onnx").write_bytes(raw)
    assert [file.name for file in digest_artifact(place / "m.onnx")] == ["m.onnx", "w.bin"]


OUTSIDE = ["../secret", "parts/../../secret", "/etc/passwd", "..\\secret", "C:/secret", "a\0b"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_a_path_that_leaves_the_folder_is_not_followed(
    place: Path, staging: Path, location: str
) -> None:
    path = save(place, location, "w.bin")
    assert [file.name for file in stage_artifact(path, staging)] == ["m.onnx", "w.bin"]
    with pytest.raises(ArtifactError, match="outside its own folder"):
        digest_artifact(path)


def make_links(place: Path) -> None:
    (place / "link.bin").symlink_to(place.parent / "secret")
    (place / "inner.bin").symlink_to("w.bin")
    (place / "linked").symlink_to(place / "parts")
    os.mkfifo(place / "pipe.bin")
    (place / "folder.bin").mkdir()


@pytest.mark.parametrize(
    "location",
    ["link.bin", "inner.bin", "linked/v.bin", "pipe.bin", "folder.bin", "missing.bin", "w.bin/x"],
)
def test_what_is_no_plain_file_below_the_folder_is_not_staged_and_not_signed(
    place: Path, staging: Path, location: str
) -> None:
    make_links(place)
    path = save(place, location)
    assert [file.name for file in stage_artifact(path, staging)] == ["m.onnx"]
    assert list(copied(staging)) == ["m.onnx"]
    with pytest.raises(ArtifactError, match="cannot be read"):
        digest_artifact(path)


def test_a_model_that_the_user_names_by_a_link_is_read(place: Path, staging: Path) -> None:
    save(place, "w.bin")
    (place / "latest.onnx").symlink_to("m.onnx")
    files = stage_artifact(place / "latest.onnx", staging)
    assert [file.name for file in files] == ["latest.onnx", "w.bin"]


def test_a_folder_is_all_its_files_but_its_own_signature(place: Path) -> None:
    (place / ".hidden").touch()
    (place / "model.sig").touch()
    files = digest_artifact(place, leave_out=(place / "parts" / ".." / "model.sig",))
    assert [file.name for file in files] == [".hidden", "parts/v.bin", "w.bin"]


def test_a_folder_with_a_link_or_a_pipe_is_refused(place: Path) -> None:
    (place / "parts" / "link").symlink_to(place)
    with pytest.raises(ArtifactError, match="link is a symbolic link"):
        digest_artifact(place)
    (place / "parts" / "link").unlink()
    os.mkfifo(place / "pipe")
    with pytest.raises(ArtifactError, match="pipe is a special file"):
        digest_artifact(place)


def test_an_empty_folder_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="holds no file"):
        digest_artifact(tmp_path / "empty")


def test_a_name_that_is_not_utf_8_is_refused(place: Path) -> None:
    with Path(os.fsdecode(os.fsencode(place) + b"/\xff")).open("wb"):
        pass
    with pytest.raises(ArtifactError, match="UTF-8"):
        digest_artifact(place)


MALFORMED = {
    "empty": b"",
    "no ONNX graph": b"\x08\x08",
    "well-formed": b"hello, this is no model",
    "cut off": external_model("w.bin")[:-3],
    "wire type": b"\x3b",
    "field number 0": b"\x02\x00",
    "ten bytes": b"\x08" + b"\xff" * 11,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_onnx_file_is_refused_with_name_and_cure(
    tmp_path: Path, staging: Path, what: str
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(MALFORMED[what])
    for look in (digest_artifact, lambda found: stage_artifact(found, staging)):
        with pytest.raises(ArtifactError, match=r"bad\.onnx") as raised:
            look(path)
        assert raised.value.cure


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    raw = b""
    for _ in range(200):
        attribute = b"\x32" + varint(len(raw)) + raw  # AttributeProto.g
        node = b"\x2a" + varint(len(attribute)) + attribute  # NodeProto.attribute
        raw = b"\x0a" + varint(len(node)) + node  # GraphProto.node
    (tmp_path / "deep.onnx").write_bytes(b"\x3a" + varint(len(raw)) + raw)
    with pytest.raises(ArtifactError, match="deeper"):
        digest_artifact(tmp_path / "deep.onnx")


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


@pytest.mark.parametrize("missing", ["nothing.onnx", "no/folder.onnx"])
def test_a_missing_artifact_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ArtifactError, match="No such file"):
        digest_artifact(tmp_path / missing)


MODEL = external_model("w.bin", "parts/v.bin")


@given(place_of=st.integers(0, len(MODEL) - 1), by=st.integers(1, 255), cut=st.booleans())
def test_changed_bytes_are_read_or_refused_and_never_crash(
    tmp_path_factory: pytest.TempPathFactory, place_of: int, by: int, *, cut: bool
) -> None:
    tail = b"" if cut else MODEL[place_of + 1 :]
    folder = tmp_path_factory.mktemp("mutant")
    path = folder / "m.onnx"
    path.write_bytes(MODEL[:place_of] + bytes([MODEL[place_of] ^ by]) + tail)
    (folder / "staged").mkdir()
    try:
        files = stage_artifact(path, folder / "staged")
    except ArtifactError:
        return
    assert files[0].name == "m.onnx"
