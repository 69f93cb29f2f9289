"""A remote audit: submitted to a service, followed, and fetched as a local run writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from secrets import token_hex
from typing import Any

from rich.console import Console

from auditor._resources import scratch_folder
from auditor.cli.baseline_options import find_remote_baseline
from auditor.cli.client_options import ClientOptions, build_client, is_cleartext
from auditor.cli.console import print_plain
from auditor.cli.decision_options import show_note
from auditor.cli.hashing_progress import show_hashing
from auditor.cli.output_folder import write_record_folder
from auditor.domain.auditfiles import AuditFile
from auditor.domain.json import Json, compute_digest, digest_json
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.targets import TargetSpec
from auditor.errors import (
    CancelledError,
    RecordError,
    ServiceFailedError,
    ServiceUnreachableError,
    SubmissionError,
    TargetError,
)
from auditor.reports.folder import RecordFolder
from auditor.reports.terminal_text import make_printable
from auditor.service.client.api import ServiceClient, ignore_progress
from auditor.service.client.responses import SealedSetSummary
from auditor.service.client.submission import build_order, list_upload_sources
from auditor.service.client.verify import require_ordered_record, verify_fetched_record
from auditor.service.domain.submissions import (
    AuditOrder,
    SubmissionEvent,
    SubmissionEventKind,
    SubmissionState,
)
from auditor.service.jobs.submit import refuse_unsupported_audit
from auditor.targets.target_specs import find_known_target
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.progress import ConsoleProgress
from auditor.workflows.remaining_time import UNKNOWN_SECONDS
from auditor.workflows.verify.verifiers import build_service_verifier
from auditor.workflows.wiring import (
    build_path_resolver,
    build_record_resolvers,
    build_resolvers,
    locate_sources,
    read_audit_bytes,
)


@dataclass(frozen=True, slots=True)
class RemoteAudit:
    """An audit at a service: its id there, and the order, where it was handed in just now.

    ``sealed_sets`` are those of the order, by the paths of the data whose place they take.
    """

    id: str
    order: AuditOrder | None = None
    sealed_sets: Mapping[str, SealedSetSummary] = field(default_factory=dict)


def run_remote_audit(
    console: Console,
    there: ClientOptions,
    audit_file: Path,
    overrides: Mapping[str, Any],
    folder: Path,
) -> tuple[AuditRecord, Policy]:
    """Let a service audit, and write the folder of its record once that verifies.

    Raises ``ServiceUnreachableError`` where nobody answers, ``ServiceRefusedError`` for what the
    service refuses, ``ServiceFailedError`` for an audit that failed there, and ``RecordError`` for
    a record that the service did not sign, or of something else.
    """
    if is_cleartext(there.url):
        show_note(
            console, f"{there.url} uses plain HTTP: others on the network can read the API key"
        )
    with build_client(there.url) as client:
        if there.attach is None:
            order, bound = prepare_remote_order(console, client, there, audit_file, overrides)
            standing = client.submit(order, f"{digest_json(order.to_json())} {token_hex(8)}")
            print_plain(console, f"Submitted as {standing.id}")
            given = RemoteAudit(standing.id, order, bound)
        else:
            given = RemoteAudit(there.attach)
        onwards = (
            f"Follow it with: auditor audit {audit_file} --server {there.url} --attach {given.id}"
        )
        try:
            return _seen(console, client, given, audit_file, folder)
        except KeyboardInterrupt:
            print_plain(console, f"The audit continues at the service. {onwards}")
            raise
        except ServiceUnreachableError as error:
            raise ServiceUnreachableError(
                f"{error.problem.rstrip('.')}; the audit continues when the service runs",
                cure=onwards,
            ) from error


def prepare_remote_order(
    console: Console,
    client: ServiceClient,
    there: ClientOptions,
    audit_file: Path,
    overrides: Mapping[str, Any],
) -> tuple[AuditOrder, Mapping[str, SealedSetSummary]]:
    """Return the order for an audit, once the service has every file that it names.

    With it come its sealed sets, by the paths of the data whose place they take. Raises as
    ``run_remote_audit``.
    """
    offer = client.offer()
    known = {item.name: TargetSpec(item.name) for item in offer.targets}
    parts = replace(
        build_resolvers(audit_file.parent, targets={}),
        resolve_target=partial(find_known_target, known=known),
    )
    locate = build_path_resolver(audit_file)
    asked = read_overridden_audit_file(
        read_audit_bytes(audit_file), audit_file.name, parts, **overrides
    )
    compared = find_remote_baseline(asked, locate)
    refuse_unsupported_audit(asked, allow_recipes=offer.recipes, compared=compared is not None)
    served = offer.targets
    live = {item.name for item in served if item.live}
    absent = [spec.name for spec in asked.targets if spec.name not in live]
    if absent and there.wait is None and there.audits:
        others = f" Targets with a worker: {', '.join(sorted(live))}." if live else ""
        raise TargetError(
            f"no worker for {', '.join(absent)} is online at {there.url}",
            cure="Wait for one with --wait-for-target, or start one there: `auditor worker "
            f"--target {absent[0]}`.{others}",
        )
    bound = _bound(client, asked, there.sets)
    # An audit file without the data that the service's auditor holds
    data = {role: it for role, it in asked.data.items() if it.path not in bound}
    without = replace(asked, data=data)
    with prepare_audit(without, locate, parts) as given:
        prepared = replace(given, places=locate_sources(audit_file, asked))
        named = f"{asked.model.name} {asked.model.version}"
        print_plain(
            console, f"{'Auditing' if there.audits else 'Scheduling'} {named} at {client.url}"
        )
        lacking = client.lacking(list_upload_sources(prepared, locate))
        total = sum(item.size for item in lacking)
        with show_hashing(console, lambda: total, "uploading") as told:
            client.upload(lacking, told or ignore_progress)
        names = tuple(item.name for item in bound.values())
        order = build_order(
            prepared, there.wait, sealed=there.sealed, sealed_sets=names, baseline=compared
        )
        return order, bound


def _bound(
    client: ServiceClient, asked: AuditFile, names: tuple[str, ...]
) -> dict[str, SealedSetSummary]:
    """Return sealed sets by the paths at which an audit file names data of their roles.

    Raises ``SubmissionError`` for a set that there is not, or that the audit file has no place for.
    """
    known = {item.name: item for item in client.held_sets()} if names else {}
    paths = {role.value: section.path for role, section in asked.data.items()}
    for name in names:
        if name not in known:
            others = ", ".join(known) or "none"
            raise SubmissionError(
                f"unknown sealed set {name} at {client.url}", cure=f"Available sets: {others}."
            )
        if known[name].role not in paths:
            raise SubmissionError(
                f"sealed set {name} is {known[name].role} data, but {asked.source} has none",
                cure="Add this role with any path of the same file type; the file is not read.",
            )
    return {paths[known[name].role]: known[name] for name in dict.fromkeys(names)}


def _seen(
    console: Console, client: ServiceClient, given: RemoteAudit, audit_file: Path, folder: Path
) -> tuple[AuditRecord, Policy]:
    with ConsoleProgress(console) as watch:
        for event in client.events(given.id):
            _tell(console, watch, event)
    standing = client.standing(given.id)
    if standing.state is SubmissionState.CANCELLED:
        raise CancelledError(
            f"{standing.id} was cancelled at {client.url}", cure="Submit it again."
        )
    if standing.state is SubmissionState.FAILED:
        raise ServiceFailedError(
            f"{standing.id} failed to run: {standing.problem}", cure=standing.cure or "Try again."
        )
    with scratch_folder() as root:
        print_plain(console, "Downloading and verifying the record")
        fetched = RecordFolder(root)
        client.download(given.id, fetched.path)
        record = verify_fetched_record(
            fetched, build_service_verifier(client.report_key()), standing
        )
        if given.order is not None:
            require_ordered_record(record, given.order, given.sealed_sets)
        elif record.request.audit_file != compute_digest(read_audit_bytes(audit_file)):
            raise RecordError(
                f"{given.id} has another audit file than {audit_file}",
                cure="Name the audit file that was submitted.",
            )
        policy = build_record_resolvers(record, fetched).load_policy(record.request.policy.name)
        write_record_folder(console, folder, fetched.files())
    return record, policy


def _tell(console: Console, watch: ConsoleProgress, event: SubmissionEvent) -> None:
    """Show what an event says, as the local run would."""
    said = event.detail
    target, check = _text(said, "target"), _text(said, "check")
    match event.kind:
        case SubmissionState.WAITING:
            names = ", ".join(_texts(said, "targets"))
            print_plain(console, f"Waiting for a worker for {names} until {_text(said, 'until')}")
        case SubmissionState.RUNNING:
            places = product(_texts(said, "targets"), _texts(said, "checks"))
            watch.expects(dict.fromkeys(places, UNKNOWN_SECONDS))
        case SubmissionEventKind.NOTE:
            show_note(console, _text(said, "text"))
        case SubmissionEventKind.CHECK_STARTED:
            watch.begun(target, check)
        case SubmissionEventKind.PROGRESS:
            watch.advanced(_count(said, "done"), _count(said, "total"), _text(said, "note"))
        case SubmissionEventKind.CHECK_ENDED:
            watch.told(target, check, _text(said, "reason"), seen=said.get("seen") is True)


def _text(said: Mapping[str, Json], name: str) -> str:
    return make_printable(str(said.get(name) or ""))


def _texts(said: Mapping[str, Json], name: str) -> list[str]:
    found = said.get(name)
    return [make_printable(str(item)) for item in found] if isinstance(found, list) else []


def _count(said: Mapping[str, Json], name: str) -> int:
    found = said.get(name)
    return found if isinstance(found, int) else 0
