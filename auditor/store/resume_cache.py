"""Resume cache: checkpoints of unfinished audits, in a folder of their own until they end."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.errors import StoreError
from auditor.store.blobs import FolderBlobStore, write_whole


@dataclass(frozen=True, slots=True)
class ResumeCache:
    """A memory in ``folder``: an index file a name; the items themselves are blobs beside it.

    A part whose index or blob is damaged counts as not seen. Whoever may write there may also sign:
    the folder lies beside the key, and neither proves anything to a third party.
    """

    folder: Path

    @property
    def begun(self) -> bool:
        """Whether anything was remembered yet."""
        return self.folder.exists()

    @property
    def blobs(self) -> FolderBlobStore:
        """What was seen, by digest. A power cut may take some: it is then looked at once more."""
        return FolderBlobStore(self.folder / "blobs", lasting=False)

    def recall(self, name: str) -> Evidence | None:
        """Return what was remembered under ``name``, or ``None``."""
        try:
            index = json.loads(self._place(name).read_bytes())
            return {item: decode_evidence(self.blobs.get(digest)) for item, digest in index.items()}
        except (OSError, ValueError, AttributeError, TypeError, EOFError, StoreError):
            return None

    def remember(self, name: str, evidence: Evidence) -> None:
        """Keep ``evidence`` under ``name``. Raises ``StoreError`` where it cannot be written."""
        index = {
            item: self.blobs.put(encode_evidence(value).raw) for item, value in evidence.items()
        }
        place = self._place(name)
        try:
            write_whole(place, encode_canonical(dict(index)))
        except OSError as error:
            raise StoreError(
                f"{place.parent} cannot be written: {error.strerror}",
                cure="Free some space, or see that you may write there.",
            ) from error

    def _place(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


@contextmanager
def open_resume_cache(root: Path, work: str) -> Iterator[ResumeCache]:
    """Open the memory of one piece of work; it is forgotten when the block ends well.

    ``work`` names all that the work depends on, the code included.
    """
    folder = root / hashlib.sha256(work.encode()).hexdigest()
    yield ResumeCache(folder)
    rmtree(folder, ignore_errors=True)
