"""The event that a key came into use."""

import hashlib

from auditor.domain.canonical import canonical, digest
from auditor.ledgers.events import Event, EventType


def key_in_use(role: str, public: str, at: str) -> tuple[Event, bytes]:
    """Return the event that a public key came into use in a role, and the document it names."""
    document = canonical({"event": "in-use", "key": public, "role": role})
    event = Event(EventType.KEY_EVENT, digest(document), at, {}, key_event_id(role, public))
    return event, document


def key_event_id(role: str, public: str) -> str:
    """Return the id under which the ledger holds that a key came into use."""
    return f"key-{role}-{hashlib.sha256(public.encode()).hexdigest()[:32]}"
