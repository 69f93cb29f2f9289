"""The files of a record are laid out as a folder, and nothing of them outside of it."""

from pathlib import Path

import pytest

from auditor.domain.canonical import canonical
from auditor.errors import RecordError
from auditor.manifests import laid_out
from auditor.store.blobs import BlobStore


def test_each_file_lies_by_its_name(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    names = {"record.json": blobs.put(b"{}"), "evidence/ab": blobs.put(b"seen")}
    with laid_out(blobs, blobs.put(canonical(names))) as folder:
        assert folder.read("record.json") == b"{}"
        assert folder.read("evidence/ab") == b"seen"
        place = folder.path
    assert not place.exists()


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "..", "", "."])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    files = blobs.put(canonical({name: blobs.put(b"bad")}))
    with pytest.raises(RecordError, match="the manifest names"), laid_out(blobs, files):
        raise AssertionError("nothing is laid out")
    assert not (tmp_path / "blobs" / "out").exists()
