"""Objects under a prefix of a bucket that is watched: each a file that came whole."""

from pathlib import Path

import obstore
import pytest
from obstore.store import from_url

from auditor.errors import StoreError, UploadError
from auditor.service.schedules.watched_places import WatchedBucket, parse_watch_roots

pytestmark = pytest.mark.slow
MIB = 2**20


@pytest.fixture
def place(bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> WatchedBucket:
    for name, text in bucket.items():
        monkeypatch.setenv(name, text)
    found = parse_watch_roots(("s3://audits/in",), _home()).place(
        "default", "s3://audits/in/credit"
    )
    assert isinstance(found, WatchedBucket)
    return found


def _home() -> Path:
    return Path("/home/of/auditor")


def _put(key: str, raw: bytes) -> None:
    obstore.put(from_url("s3://audits"), key, raw)


def test_what_lies_directly_under_a_prefix_is_listed_and_read_whole(
    place: WatchedBucket,
) -> None:
    raw = bytes(range(256)) * (36 * MIB // 1024)
    _put("in/credit/july.csv", raw)
    _put("in/credit/older/june.csv", b"not here")
    _put("in/credit/.hidden", b"not this")
    _put("in/other.csv", b"of others")
    (file,) = place.files()
    assert (file.name, file.size, file.whole) == ("july.csv", len(raw), True)
    with place.reading(file) as parts:
        assert b"".join(parts) == raw


def test_an_object_that_was_put_anew_is_another_and_is_not_mixed_with_what_it_was(
    place: WatchedBucket,
) -> None:
    _put("in/credit/july.csv", b"one")
    (before,) = place.files()
    _put("in/credit/july.csv", b"two")
    (after,) = place.files()
    assert after.mark != before.mark
    with place.reading(before) as parts, pytest.raises(UploadError, match="changed while"):
        list(parts)


def test_a_bucket_that_is_not_there_is_named(place: WatchedBucket) -> None:
    with pytest.raises(StoreError, match="s3://nowhere/in"):
        WatchedBucket("s3://nowhere/in").files()
    assert place.files() == []
