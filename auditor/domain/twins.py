"""Where a twin comes from: the artifact itself, its adjoint graph, or a file of the owner's."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from auditor.domain.canonical import Json

PROGRAM = ".pt2"
"""The suffix of what ``torch.export.save`` writes."""


class TwinKind(StrEnum):
    """How gradients are found.

    ``auto``: the artifact's operators in torch, or ``adjoint`` where torch is not installed;
    ``adjoint``: an ONNX graph of the artifact's derivatives, run by ONNX Runtime; ``exported``: a
    torch program that the owner gives beside the artifact; ``none``: no twin is wanted.
    """

    AUTO = "auto"
    ADJOINT = "adjoint"
    EXPORTED = "exported"
    NONE = "none"

    @classmethod
    def named(cls, written: str) -> "TwinKind":
        """Return what the ``model.twin`` of an audit file asks for: a path is ``exported``."""
        words = {kind.value: kind for kind in cls if kind is not cls.EXPORTED}
        return words.get(written, cls.EXPORTED)


@dataclass(frozen=True, slots=True)
class TwinSource:
    """What a twin is built from; ``path`` and ``digest`` (``sha256:…``) are those of a file."""

    kind: TwinKind = TwinKind.AUTO
    path: Path | None = None
    digest: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form: where the file lay is nobody's business."""
        return {"kind": self.kind.value, "digest": self.digest or None}
