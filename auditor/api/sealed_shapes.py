"""The JSON of sealed sets, with an example of each."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.api.shapes import AT, DIGEST, SetName, Sum, like
from auditor.domain.datasets import Role

FILE = r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,199}$"
ASKED: dict[str, Any] = {
    "name": "loans-2026", "role": "evaluation", "digest": DIGEST, "file": "loans.csv",
    "note": "columns id, income, debt; labels in `default`",
}  # fmt: skip
EXAMPLE: dict[str, Any] = {**ASKED, "size": 4096, "by": "0123456789abcdef", "at": AT}


class SealedSetAsked(BaseModel):
    """A file that the project uploaded, to be held from now on; ``file`` tells its form."""

    model_config = like(**ASKED)
    name: SetName
    role: Role
    digest: Sum
    file: Annotated[str, Field(pattern=FILE)]
    note: Annotated[str, Field(max_length=2000)] = ""


class SealedSetShown(BaseModel):
    """Data that the auditor holds: what they are for, and what is said of them; never the rows."""

    model_config = like(**EXAMPLE)
    name: str
    role: Role
    digest: str
    file: str
    note: str
    size: int
    by: str
    at: str


class SealedSetPage(BaseModel):
    """Sealed sets by their names; ``next`` is the cursor of what follows, empty at the end."""

    model_config = like(sealed_sets=[EXAMPLE], next="")
    sealed_sets: list[SealedSetShown]
    next: str
