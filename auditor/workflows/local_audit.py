"""An audit on this machine from its audit file to signed files: prepared, run, signed, and kept."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

from auditor.domain.auditfiles import AuditFile
from auditor.domain.checks import Check
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.errors import AuditFileError
from auditor.inputs.resolve import Locate, locate_setting
from auditor.reports.folder import BUNDLE
from auditor.reports.formats.html import render_html
from auditor.reports.publish import (
    RecordFiles,
    build_opening_files,
    build_rendering_inputs,
    build_report_files,
)
from auditor.targets.config import load_operator_targets
from auditor.trust.disclosure import KEY, CommittedBlob, DisclosureKey
from auditor.workflows.audit import run_audit
from auditor.workflows.baseline import load_audit_baseline
from auditor.workflows.earlier_times import CheckTimer, find_all_times, keep_times
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.ledger import append_record_with_proof
from auditor.workflows.prepare import (
    PreparedAudit,
    Resolvers,
    conceal_rows,
    prepare_audit,
    read_overridden_audit_file,
)
from auditor.workflows.progress import AuditProgress
from auditor.workflows.remaining_time import compute_time_limit, estimate_check_seconds
from auditor.workflows.wiring import (
    OPENERS,
    PLAN_OPENERS,
    build_path_resolver,
    build_resolvers,
    locate_sources,
    read_audit_bytes,
)
from auditor.workflows.workspace import Workspace

PrintPage = Callable[[str], bytes | None]
"""Turns the page of a report into a PDF; ``None`` where that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAudit:
    """An audit as it is asked for on this machine: its audit file, and how names of that become
    things.

    ``path`` is where the audit file lies, if it lies anywhere.
    """

    file: AuditFile
    locate: Locate
    resolvers: Resolvers
    openers: TargetFactory = OPENERS
    plan_openers: TargetFactory = PLAN_OPENERS
    path: Path | None = None

    @contextmanager
    def prepare(self) -> Iterator[PreparedAudit]:
        """Read and digest all that the audit names, for as long as the block lasts."""
        with prepare_audit(self.file, self.locate, self.resolvers) as given:
            placed = None if self.path is None else locate_sources(self.path, self.file)
            yield replace(given, places=placed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedAudit:
    """A signed record, what was prepared for it, and the files of its folder, not yet written.

    The staged files of ``prepared`` are gone.
    """

    prepared: PreparedAudit
    record: AuditRecord
    checks: Mapping[str, type[Check]]
    files: RecordFiles


def open_audit_file(
    path: Path,
    *,
    allow_target_code: bool = False,
    **overrides: Any,  # noqa: ANN401 -- those of ``read_overridden_audit_file``
) -> LocalAudit:
    """Return the audit that the file at ``path`` asks for, but for what its caller asks otherwise.

    Raises ``AuditFileError`` and ``TargetError``.
    """
    operator = load_operator_targets(path, allow_code=allow_target_code)
    found = build_resolvers(path.parent, operator)
    return LocalAudit(
        file=read_overridden_audit_file(read_audit_bytes(path), path.name, found, **overrides),
        locate=build_path_resolver(path),
        resolvers=found,
        path=path,
    )


def run_local_audit(
    audit: LocalAudit,
    place: Workspace,
    progress: AuditProgress,
    begin: Callable[[PreparedAudit, str], None] = lambda _prepared, _odd: None,
    print_page: PrintPage | None = None,
) -> FinishedAudit:
    """Run an audit here, sign its record with the workspace's key, and keep it.

    ``begin`` is told before the first check what was prepared, and what is odd about its policy.
    The record is in the store and the ledger before this returns: nothing is published that they
    could forget. Raises as ``run_audit``, ``prepare_audit`` and ``load_audit_baseline`` do.
    """
    asked, began = audit.file, time.monotonic()
    # Refuse a recipe that may leave the sandbox by the word of the audit file alone
    if asked.recipe is not None and asked.recipe.unsandboxed and not asked.allow_unsandboxed:
        raise AuditFileError(
            f"{locate_setting(asked, 'recipe', 'allow')} lets code run outside of bubblewrap, and "
            "an audit file cannot give that leave alone",
            cure="Read the code and add --allow-unsandboxed, or write `allow: true`.",
        )
    own, kept_at = place.signer.public_pem(), place.challenged_at
    compared = load_audit_baseline(asked, audit.locate, own, place.store, kept_at, progress.say)
    with audit.prepare() as given:
        prepared = place.informed(given).against(compared)
        place.keep_inputs(prepared, audit.locate)
        if prepared.file.disclosure is None:
            ready, secret = prepared, None
        else:
            ready, secret = conceal_rows(prepared, token_bytes(KEY))
        begin(prepared, place.note(prepared.policy, prepared.waivers))
        times = place.settings.times
        expected = estimate_check_seconds(prepared) | find_all_times(times, prepared)
        progress.expects(expected, compute_time_limit(prepared))
        with place.unfinished(prepared.request) as memory:
            resumed, timer = memory.begun, CheckTimer(progress)
            noted: list[CommittedBlob] = []
            around = replace(place.surroundings(note=noted.append), openers=audit.openers)
            with progress:
                record = run_audit(ready, around, timer, memory)
            if secret is not None:
                # Kept before anything else can go wrong: it alone knows what is to be erased.
                named_blobs = {item.commitment.digest: item.plain for item in noted}
                secret = replace(secret, blobs=named_blobs)
                place.settings.secrets.put(record.digest, secret)
            files = _publish(place, record, prepared.policy, audit, secret, print_page)
        if not resumed:  # what was seen before took no time now
            keep_times(times, prepared, record, timer.seconds, time.monotonic() - began)
    return FinishedAudit(
        prepared=prepared, record=record, checks=audit.resolvers.checks, files=files
    )


def _publish(  # noqa: PLR0913, PLR0917 -- what is shown, by what, and what opens it
    place: Workspace,
    record: AuditRecord,
    policy: Policy,
    audit: LocalAudit,
    secret: DisclosureKey | None,
    print_page: PrintPage | None,
) -> RecordFiles:
    """Render and sign a record, and enter it in the store; return the files of its folder."""
    blob, checks = place.store.blobs.get, audit.resolvers.checks
    paper = None
    if print_page is not None:
        shown = build_rendering_inputs(record, policy, checks, blob)
        paper = print_page(render_html(shown, on_paper=True))
    files = build_report_files(record, policy, checks, blob, place.signer, paper)
    if secret is not None:
        files |= build_opening_files(secret, blob)
    if place.ephemeral:
        return files
    return files | append_record_with_proof(place.store, record, files[BUNDLE])
