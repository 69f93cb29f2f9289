"""What the keys of a service sign for the process that does its work."""

from base64 import b64decode, b64encode

from auditor.errors import LedgerError
from auditor.ledgers.checkpoints import Checkpoint
from auditor.refusals import EngineError
from auditor.signatures.dsse import IN_TOTO, pae
from auditor.workplaces import Workplace


def signed(place: Workplace, role: str, text: str) -> str:
    """Sign, with the key of a role, what that role signs; both go as base64.

    That is an in-toto statement for ``report``, and a checkpoint of this very log for ``ledger``.
    Raises ``EngineError`` for anything else.
    """
    raw, ledger = b64decode(text, validate=True), place.store.signer
    if role == "report" and _is_statement(raw):
        return b64encode(place.signer.sign(raw)).decode()
    if role == "ledger" and ledger is not None and _is_checkpoint(raw, ledger.key.name):
        return b64encode(ledger.sign(raw)).decode()
    raise EngineError(f"there is no {role[:40]} key that signs this", cure="Report this line.")


def _is_statement(raw: bytes) -> bool:
    _, _, rest = raw.partition(f" {IN_TOTO} ".encode())
    return raw == pae(IN_TOTO, rest.partition(b" ")[2])


def _is_checkpoint(raw: bytes, origin: str) -> bool:
    try:
        found = Checkpoint.parse(raw.decode())
    except (LedgerError, UnicodeDecodeError):
        return False
    return found.origin == origin and found.text().encode() == raw
