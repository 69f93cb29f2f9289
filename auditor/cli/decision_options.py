"""What a gate is told of people's decisions: whose waivers and approvals count, and how many."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from auditor.approving import Deciders, Wanted, approvals_known, approved, in_force
from auditor.cli.believing import deciders
from auditor.cli.waiving import waiver_key_option
from auditor.clock import now
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step
from auditor.errors import UsageError
from auditor.folders import RecordFolder
from auditor.settings import Settings
from auditor.trusting.policies import TrustPolicy

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """The options as they were given."""

    waiver_keys: tuple[Path, ...]
    approval_keys: tuple[Path, ...]
    require_approval: bool


@dataclass(frozen=True, slots=True)
class MayDecide:
    """Who may waive, who may approve, how many approvals are asked for, and on how many labels."""

    waiving: Deciders
    approving: Deciders
    least: int
    labelled: int = 0

    def steps(self, record: AuditRecord, folder: RecordFolder) -> tuple[Step, ...]:
        """Ask whether the record's waivers still count, and whether people approve it."""
        at = now()
        known = approvals_known(record, folder, Settings.from_environment().place)
        wanted = Wanted(self.least, self.approving, at, self.labelled)
        return in_force(record, folder, self.waiving, at), approved(record, folder, known, wanted)


def decision_options(command: F) -> F:
    """Let a command be told whose decisions count."""
    asked = click.option(
        "--require-approval", is_flag=True, help="Ask for a signed yes to this very record."
    )
    approvals = click.option(
        "--approvals-key",
        "approval_keys",
        type=click.Path(path_type=Path),
        multiple=True,
        help="The public key of who may approve; repeats.",
    )
    return waiver_key_option(asked(approvals(command)))


def deciding(given: DecisionOptions, trust: TrustPolicy | None, policy: Policy) -> MayDecide:
    """Return who may decide, where nobody named is nobody who may."""
    asked = given.require_approval or bool(given.approval_keys)
    least = max(policy.approvals, int(asked))
    approving = deciders(given.approval_keys, trust)
    waiving = deciders(given.waiver_keys, trust)
    return MayDecide(waiving, approving, least, policy.blind_labels)


def may_decide(given: DecisionOptions, trust: TrustPolicy | None, policy: Policy) -> MayDecide:
    """Return who may decide. Raises ``UsageError`` where approvals are asked for, and of nobody."""
    found = deciding(given, trust, policy)
    if found.least and not found.approving.named:
        raise UsageError(
            "approvals are asked for, and nobody says whose count",
            cure="Give --approvals-key, or --trust with auditors of the role approval.",
        )
    return found
