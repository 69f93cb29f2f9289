"""Sealed sets: rows that the auditor holds, and that an order names in place of rows of its own."""

from dataclasses import dataclass

from auditor.domain.artifacts import FileDigest
from auditor.domain.datasets import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSet:
    """A file of rows for one role, under a name that a project gives once.

    ``file`` has the name by which its form is told (``rows.csv``); ``note`` says what audit files
    have to know of it, such as its columns; ``by`` is the id of the key that kept it.
    """

    project: str
    name: str
    role: Role
    file: FileDigest
    note: str
    by: str
    at: str

    @property
    def digest(self) -> str:
        """The digest under which the file lies among the blobs."""
        return f"sha256:{self.file.sha256}"
