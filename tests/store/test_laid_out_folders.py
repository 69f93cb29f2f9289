"""The files of a record are laid out as a folder, and nothing of them outside of it."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auditor.domain.json import encode_canonical
from auditor.errors import RecordError, StoreError
from auditor.reports.manifest import materialize_folder, open_stored_folder
from auditor.store.blobs import FolderBlobStore


def test_each_file_lies_by_its_name(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path / "blobs")
    names = {"record.json": blobs.put(b"{}"), "evidence/ab": blobs.put(b"seen")}
    with materialize_folder(blobs, blobs.put(encode_canonical(names))) as folder:
        assert folder.read("record.json") == b"{}"
        assert folder.read("evidence/ab") == b"seen"
        place = folder.path
    assert not place.exists()


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "..", "", "."])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    blobs = FolderBlobStore(tmp_path / "blobs")
    files = blobs.put(encode_canonical({name: blobs.put(b"bad")}))
    with pytest.raises(RecordError, match="the manifest names"), materialize_folder(blobs, files):
        raise AssertionError("nothing is laid out")
    assert not (tmp_path / "blobs" / "out").exists()


@dataclass(frozen=True)
class CountingBlobs(FolderBlobStore):
    """A place that says which blobs it was asked for, each of which a bucket would send."""

    asked: list[str] = field(default_factory=list)

    def path(self, digest: str) -> Path:
        self.asked.append(digest)
        return super().path(digest)


def test_of_a_record_where_it_is_kept_only_what_is_read_is_fetched(tmp_path: Path) -> None:
    blobs = CountingBlobs(tmp_path / "blobs")
    record, seen = blobs.put(b"{}"), blobs.put(b"seen")
    names = {
        "record.json": record,
        f"evidence/{seen[7:]}": seen,
        "evidence/gone": f"sha256:{'0' * 64}",
    }
    files = blobs.put(encode_canonical(names))
    folder = open_stored_folder(blobs, files)
    assert folder.has("record.json")
    assert not folder.has("signer.pub")
    assert folder.evidence_names() == (*sorted([seen[7:], "gone"]),)
    assert set(blobs.asked) == {files}
    blobs.asked.clear()
    assert folder.read("record.json") == b"{}"
    assert blobs.asked == [record]
    assert folder.evidence(seen) == b"seen"
    assert blobs.asked == [record, seen]
    with pytest.raises(StoreError):
        folder.read("evidence/gone")
    with pytest.raises(RecordError):
        folder.read("signer.pub")
