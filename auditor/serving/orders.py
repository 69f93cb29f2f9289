"""What the process that does a service's work is told of where and on what it works."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.canonical import Json
from auditor.domain.json_parts import Part
from auditor.domain.target_json import read_target
from auditor.domain.targets import TargetSpec
from auditor.refusals import EngineError
from auditor.serving.choosing import Choices
from auditor.settings import Settings
from auditor.shipped import code_digest
from auditor.workplaces import Workplace


@dataclass(frozen=True, slots=True)
class Orders:
    """By which ``code`` a service runs, where it keeps what it keeps, its targets, whether recipes'
    code may run, how many models may stay open, and the public keys of its reports and of its
    ledger, if that is signed.
    """

    code: str
    settings: Settings
    targets: Mapping[str, TargetSpec]
    recipes: bool
    at_once: int
    report: str
    ledger: str | None

    @classmethod
    def of(cls, place: Workplace, choices: Choices, at_once: int) -> "Orders":
        """Return the orders for the work of a service at a workplace."""
        signer = place.store.signer
        return cls(
            code_digest(),
            place.settings,
            choices.targets,
            choices.recipes,
            at_once,
            place.signer.public_pem().decode(),
            None if signer is None else str(signer.key),
        )

    def to_json(self) -> dict[str, Json]:
        """Return the form that goes from one process to the other: no private key is in it."""
        settings = self.settings
        return {
            "code": self.code,
            "home": str(settings.home),
            "database": settings.database,
            "blobs_url": settings.blobs_url,
            "blobs_cache": settings.blobs_cache,
            "targets": {name: spec.to_json() for name, spec in self.targets.items()},
            "recipes": self.recipes,
            "at_once": self.at_once,
            "report": self.report,
            "ledger": self.ledger,
        }


def read_orders(part: Part) -> Orders:
    """Read orders back. Raises ``RecordError`` for what are none.

    Raises ``EngineError`` where other code than that of whoever reads them gave them: it may mean
    other things by them, and need other tables.
    """
    code = part.get("code", str)
    if code != code_digest():
        raise EngineError(
            "auditor was changed on disk since the service started", cure="Restart the service."
        )
    targets = part.part("targets")
    settings = Settings(
        Path(part.get("home", str)),
        part.get("database", str),
        blobs_url=part.maybe("blobs_url", str),
        blobs_cache=part.get("blobs_cache", int),
    )
    return Orders(
        code,
        settings,
        {name: read_target(targets.part(name)) for name in targets.value},
        part.get("recipes", bool),
        part.get("at_once", int),
        part.get("report", str),
        part.maybe("ledger", str),
    )
