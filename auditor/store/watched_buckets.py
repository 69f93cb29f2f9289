"""Objects under a prefix of a bucket, as files that came there: each whole or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from auditor.domain.arrivals import MOST_FILES, Arrived, is_announced
from auditor.refusals import ScheduleError, UploadError
from auditor.store.object_blobs import PART, bucket_at, explained

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

MICRO = 10**6


@dataclass(frozen=True, slots=True)
class WatchedBucket:
    """What lies directly under ``s3://BUCKET/PREFIX``."""

    url: str

    def files(self) -> Sequence[Arrived]:
        """Return the objects there. Raises ``StoreError``, and ``ScheduleError`` for too many."""
        import obstore  # noqa: PLC0415 -- optional

        bucket = bucket_at(self.url)
        with explained(self.url):
            listed = obstore.list_with_delimiter(bucket)["objects"]
        found = [_arrived(it) for it in listed if is_announced(it["path"])]
        if len(found) > MOST_FILES:
            raise ScheduleError(
                f"{self.url} holds more than {MOST_FILES} objects",
                cure="Move away what was brought in.",
            )
        return found

    @contextmanager
    def reading(self, file: Arrived) -> Iterator[Iterator[bytes]]:
        """Fetch an object, part by part. Raises ``UploadError`` for another than was listed."""
        bucket = bucket_at(self.url)
        with explained(self.url):
            yield _parts(bucket, file)


def _parts(bucket: "ObjectStore", file: Arrived) -> Iterator[bytes]:
    import obstore  # noqa: PLC0415 -- optional

    for start in range(0, file.size, PART):
        if _mark(obstore.head(bucket, file.name)) != file.mark:
            raise UploadError(f"{file.name} changed while it was read", cure="It is taken again.")
        length = min(PART, file.size - start)
        yield bytes(obstore.get_range(bucket, file.name, start=start, length=length))


def _arrived(about: "ObjectMeta") -> Arrived:
    came = about["last_modified"].astimezone(UTC)
    return Arrived(
        name=about["path"],
        size=about["size"],
        mark=_mark(about),
        came=int(came.timestamp() * MICRO),
        whole=True,
        problem="" if about["path"].isprintable() else "its name is not one line of printable text",
    )


def _mark(about: "ObjectMeta") -> str:
    return f"{about['size']} {about['e_tag'] or about['last_modified'].isoformat()}"
