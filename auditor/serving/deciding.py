"""Put together what a service needs so that people of its projects can decide."""

from collections.abc import Callable
from functools import lru_cache

from auditor.checks.discovery import discover
from auditor.clock import now
from auditor.domain.policies import Policy
from auditor.people.panels import Panel
from auditor.store.service.store import ServiceStore
from auditor.verifiers import served_verifier
from auditor.workplaces import Workplace

POLICIES = 64
"""Policies that stay read; each is what its bytes say for good."""


def panel_of(place: Workplace, kept: ServiceStore, policy: Callable[[bytes, str], Policy]) -> Panel:
    """Return the panel of a workplace; ``policy`` reads one from its resolved document."""
    return Panel(
        kept=kept,
        around=place.surroundings(),
        signer=place.signer,
        checks=discover(),
        verifier=served_verifier,
        policy=lru_cache(maxsize=POLICIES)(policy),
        clock=now,
    )
