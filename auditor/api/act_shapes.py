"""The JSON of acts, with an example of each."""

from typing import Any

from pydantic import BaseModel

from auditor.api.shapes import AT, like
from auditor.domain.acts import ActKind

ACT = "act-" + "0a" * 12


class ActShown(BaseModel):
    """An act: who did what to what, and when; ``id`` is that of its leaf in the ledger."""

    model_config = like(id=ACT, project="default", caller="0123456789abcdef", subject=None,
                        kind="key_made", about="fedcba9876543210", at=AT,
                        detail={"role": "submitter"}, digest="sha256:" + "ab" * 32)  # fmt: skip
    id: str
    project: str
    caller: str
    subject: str | None
    kind: ActKind
    about: str
    at: str
    detail: dict[str, Any]
    digest: str


class ActPage(BaseModel):
    """Some acts of a project, the newest first; ``next`` is the cursor of those before them."""

    model_config = like(acts=[], next="")
    acts: list[ActShown]
    next: str
