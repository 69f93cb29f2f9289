"""The work of an engine for audits that others submit, out of what runs on this machine share."""

from collections.abc import Mapping
from dataclasses import replace

from auditor.commissioned import Commission, Commissioned
from auditor.domain.policies import Assurance
from auditor.domain.targets import TargetSpec
from auditor.store.service.store import ServiceStore
from auditor.store.unfinished import Unfinished
from auditor.wiring import served_readers
from auditor.workplaces import Workplace


def build_executor(
    place: Workplace,
    targets: Mapping[str, TargetSpec],
    *,
    allow_recipes: bool = False,
    open_at_most: int = 1,
) -> Commissioned:
    """Return the work of an engine for audits that others submit, on the service's targets.

    ``open_at_most`` models stay open between two checks: as many as the engine sees at once.
    """
    return Commissioned(
        Commission(
            service=ServiceStore(place.store),
            around=replace(place.surroundings(), assurance=Assurance.A1),
            signer=place.signer,
            readers=served_readers(targets),
            unfinished=lambda name: Unfinished(place.settings.unfinished / name),
            allow_recipes=allow_recipes,
            open_at_most=open_at_most,
        )
    )
