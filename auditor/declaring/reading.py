"""Read a document that lies beside a model, whatever kind it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.declaring.believing import NOBODY, UNSIGNED, Believed, Signed
from auditor.declaring.cards import front_matter, read_card
from auditor.declaring.croissant import is_croissant, read_croissant
from auditor.declaring.cyclonedx import read_bom
from auditor.declaring.declarations import Declaration, Fault, Kind, MalformedError, Remark, clean
from auditor.declaring.envelopes import open_document
from auditor.declaring.statements import read_statement
from auditor.signatures.objections import Grade, Refused
from auditor.signatures.strict import read_object

MOST_BYTES = 16 * 2**20
"""The most bytes of a document that is read; a bill of materials of a large system has a few."""
MOST_LINES = 1000
LINES, CARDS = ".jsonl", (".md", ".markdown")


@dataclass(frozen=True, slots=True)
class Told:
    """One declaration of a document, and the signature under which it stands."""

    name: str
    declaration: Declaration
    signed: Signed = UNSIGNED

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """All that is wrong with the document or with its signature."""
        return (*self.declaration.remarks, *self.signed.remarks)

    @property
    def malformed(self) -> bool:
        """Whether the document could not be read as a whole."""
        return any(item.grade is Grade.ERROR for item in self.remarks)


def read_told(name: str, raw: bytes | None, believed: Believed = NOBODY) -> tuple[Told, ...]:
    """Read a document; ``raw`` is ``None`` for one that is too large. ``believed`` says whose
    signature counts.

    A file of JSON lines, as attestations are bundled, gives one declaration a line. Nothing is
    raised: what cannot be read is a declaration of nothing, with a remark of the grade error.
    """
    if raw is None or len(raw) > MOST_BYTES:
        text = f"it has more than {MOST_BYTES} bytes"
        return (_broken(name, Remark(Fault.TOO_LARGE, text)),)
    if not name.lower().endswith(LINES):
        return (_read(name, raw, believed),)
    lines = [line for line in raw.split(b"\n") if line.strip()]
    if len(lines) > MOST_LINES:
        return (_broken(name, Remark(Fault.TOO_MANY, f"it has more than {MOST_LINES} lines")),)
    if not lines:
        return (_broken(name, Remark(Fault.FORMAT, "it is empty")),)
    return tuple(_read(f"{name}:{number}", line, believed) for number, line in enumerate(lines, 1))


def is_strange(name: str, raw: bytes | None) -> bool:
    """Whether a file is of no kind that is read, such as settings or secrets of whoever audits.

    A text is a card by its ending alone: much else begins with ``---``. ``raw`` is ``None`` for one
    that is too large, which no evidence keeps.
    """
    if raw is None:
        return False
    if not _is_json(raw):
        return not name.lower().endswith(CARDS)
    remarks = (remark for item in read_told(name, raw) for remark in item.remarks)
    return any(remark.code == Fault.UNKNOWN_KIND for remark in remarks)


def _is_json(raw: bytes) -> bool:
    return raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def _read(name: str, raw: bytes, believed: Believed) -> Told:
    try:
        if not _is_json(raw):
            return Told(name, _read_text(name, raw))
        opened = open_document(read_object(raw, "the document"), believed)
        return Told(name, _read_json(opened.statement), opened.signed)
    except MalformedError as error:
        return _broken(name, error.remark)
    except Refused as refused:
        return _broken(name, Remark(refused.code.value, clean(refused.problem)))


def _read_json(found: Mapping[str, object]) -> Declaration:
    if "_type" in found:
        return read_statement(found)
    if found.get("bomFormat") == "CycloneDX":
        return read_bom(found)
    if is_croissant(found):
        return read_croissant(found)
    text = "it is no in-toto statement, no CycloneDX bill of materials and no Croissant description"
    raise MalformedError(Fault.UNKNOWN_KIND, text)


def _read_text(name: str, raw: bytes) -> Declaration:
    front = front_matter(raw)
    if front is not None:
        return read_card(front)
    if name.lower().endswith(CARDS):
        text = "a text without front matter, which declares nothing"
        remark = Remark(Fault.NOTHING_DECLARED, text, Grade.WARNING)
        return Declaration(Kind.MODEL_CARD, remarks=(remark,))
    raise MalformedError(Fault.UNKNOWN_KIND, "it is neither JSON nor a card with front matter")


def _broken(name: str, remark: Remark) -> Told:
    return Told(name, Declaration(Kind.UNKNOWN, remarks=(remark,)))
