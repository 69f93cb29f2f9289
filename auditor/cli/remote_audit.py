"""An audit at a service: handed in, watched, and fetched as the local run writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex

from rich.console import Console

from auditor.cli.bars import hashing
from auditor.cli.comparing import named_there
from auditor.cli.replaced import write_record
from auditor.cli.showing import say
from auditor.cli.texts import printable
from auditor.cli.there import There, client_of, in_the_clear
from auditor.cli.waiving import show_note
from auditor.cli.watching import ConsoleWatch
from auditor.client.believing import believed, refuse_other
from auditor.client.orders import Order, files_of, order_of
from auditor.client.service import ServiceClient, nobody
from auditor.client.values import HeldSet, ServedTarget, Standing
from auditor.domain.auditfiles import AuditFile
from auditor.domain.canonical import Json, digest
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.submissions import Event, Said, State
from auditor.domain.targets import TargetSpec
from auditor.errors import CancelledError, RecordError, TargetError
from auditor.folders import RecordFolder
from auditor.preparing import Overrides, prepare, read_asked
from auditor.refusals import ServiceFailedError, SubmissionError, UnreachableError
from auditor.scratch import scratch_folder
from auditor.targets.resolving import known_target
from auditor.unserved import refuse_unserved
from auditor.verifiers import served_verifier
from auditor.wiring import beside, read_audit_bytes, readers, readers_of, written_at


@dataclass(frozen=True, slots=True)
class Commission:
    """An audit at a service: its id there, and the order, where it was handed in just now."""

    id: str
    order: Order | None = None


def audit_there(
    console: Console, there: There, audit_file: Path, overrides: Overrides, folder: Path
) -> tuple[AuditRecord, Policy]:
    """Let a service audit, and write the folder of its record once that verifies.

    Raises ``UnreachableError`` where nobody answers, ``RefusedError`` for what the service
    refuses, ``ServiceFailedError`` for an audit that failed there, and ``RecordError`` for a
    record that the service did not sign, or of something else.
    """
    if in_the_clear(there.url):
        show_note(console, f"{there.url} is plain HTTP: others on the way can read the key")
    with client_of(there.url) as client:
        if there.attach is None:
            given = _hand_in(console, client, there, audit_file, overrides)
        else:
            given = Commission(there.attach)
        onwards = f"Follow it: auditor audit {audit_file} --server {there.url} --attach {given.id}"
        try:
            return _seen(console, client, given, audit_file, folder)
        except KeyboardInterrupt:
            say(console, f"The audit goes on at the service. {onwards}")
            raise
        except UnreachableError as error:
            raise UnreachableError(
                f"{error.problem.rstrip('.')}; the audit goes on once it runs", cure=onwards
            ) from error


def _hand_in(
    console: Console, client: ServiceClient, there: There, audit_file: Path, overrides: Overrides
) -> Commission:
    order = ordered(console, client, there, audit_file, overrides)
    standing = client.submit(order)
    say(console, f"Handed in as {standing.id}")
    return Commission(standing.id, order)


def ordered(
    console: Console, client: ServiceClient, there: There, audit_file: Path, overrides: Overrides
) -> Order:
    """Return the order for an audit, once the service has every file that it names.

    Raises as ``audit_there``.
    """
    offer = client.offer()
    known = {item.name: TargetSpec(item.name) for item in offer.targets}
    parts = replace(
        readers(audit_file.parent, targets={}), resolve_target=partial(known_target, known=known)
    )
    locate = beside(audit_file)
    asked = read_asked(read_audit_bytes(audit_file), audit_file.name, overrides, parts)
    compared = named_there(asked, locate, overrides.baseline)
    refuse_unserved(asked, allow_recipes=offer.recipes, compared=compared is not None)
    _refuse_idle(offer.targets, asked, there)
    bound = _bound(client, asked, there.sets)
    with prepare(_without(asked, bound), locate, overrides, parts) as given:
        prepared = replace(given, places=written_at(audit_file, asked))
        named = f"{asked.model.name} {asked.model.version}"
        say(console, f"{'Auditing' if there.audits else 'Scheduling'} {named} at {client.url}")
        lacking = client.lacking(files_of(prepared, locate))
        total = sum(item.size for item in lacking)
        with hashing(console, lambda: total, "uploading") as told:
            client.upload(lacking, told or nobody)
        return order_of(
            prepared, there.wait, token_hex(8), sealed=there.sealed, bound=bound, baseline=compared
        )


def _bound(client: ServiceClient, asked: AuditFile, names: tuple[str, ...]) -> dict[str, HeldSet]:
    """Return sealed sets by the paths at which an audit file names data of their roles.

    Raises ``SubmissionError`` for a set that there is not, or that the audit file has no place for.
    """
    known = {item.name: item for item in client.held_sets()} if names else {}
    paths = {role.value: section.path for role, section in asked.data.items()}
    for name in names:
        if name not in known:
            others = ", ".join(known) or "none"
            raise SubmissionError(
                f"{client.url} has no sealed set {name}", cure=f"It has {others}."
            )
        if known[name].role not in paths:
            raise SubmissionError(
                f"{asked.source} has no {known[name].role} data, which {name} is",
                cure="Write any path of the same ending there: nothing of it is read here.",
            )
    return {paths[known[name].role]: known[name] for name in dict.fromkeys(names)}


def _without(asked: AuditFile, bound: Mapping[str, HeldSet]) -> AuditFile:
    """Return an audit file without the data that the service's auditor holds."""
    data = {role: it for role, it in asked.data.items() if it.path not in bound}
    return replace(asked, data=data)


def _refuse_idle(served: tuple[ServedTarget, ...], asked: AuditFile, there: There) -> None:
    live = {item.name for item in served if item.live}
    absent = [spec.name for spec in asked.targets if spec.name not in live]
    if absent and there.wait is None and there.audits:
        others = f" Or name one of {', '.join(sorted(live))}." if live else ""
        raise TargetError(
            f"nobody works for {', '.join(absent)} at {there.url} now",
            cure="Wait for it with --wait-for-target, or let somebody start `auditor worker "
            f"--target {absent[0]}` there.{others}",
        )


def _seen(
    console: Console, client: ServiceClient, given: Commission, audit_file: Path, folder: Path
) -> tuple[AuditRecord, Policy]:
    with ConsoleWatch(console, 0) as watch:
        for event in client.events(given.id):
            _tell(console, watch, event)
    standing = client.standing(given.id)
    _refuse_ended(client, standing)
    with scratch_folder() as root:
        say(console, "Fetching its folder, and verifying it")
        fetched = RecordFolder(root)
        client.download(given.id, fetched.path)
        record = believed(fetched, served_verifier(client.report_key()), standing)
        if given.order is not None:
            refuse_other(record, given.order)
        elif record.request.audit_file != digest(read_audit_bytes(audit_file)):
            raise RecordError(
                f"{given.id} is of another audit file than {audit_file}",
                cure="Name the one that was handed in.",
            )
        policy = readers_of(record, fetched).load_policy(record.request.policy.name)
        write_record(console, folder, fetched.files())
    return record, policy


def _refuse_ended(client: ServiceClient, standing: Standing) -> None:
    if standing.state is State.CANCELLED:
        raise CancelledError(
            f"{standing.id} was cancelled at {client.url}", cure="Hand it in again."
        )
    if standing.state is State.FAILED:
        raise ServiceFailedError(
            f"{standing.id} gave no record: {standing.problem}", cure=standing.cure or "Try again."
        )


def _tell(console: Console, watch: ConsoleWatch, event: Event) -> None:
    """Show what an event says, as the local run would."""
    said = event.detail
    target, check = _text(said, "target"), _text(said, "check")
    match event.kind:
        case State.WAITING:
            names = ", ".join(_texts(said, "targets"))
            say(console, f"Waiting for a worker for {names} until {_text(said, 'until')}")
        case State.RUNNING:
            watch.expects(len(_texts(said, "targets")) * len(_texts(said, "checks")))
        case Said.NOTE:
            show_note(console, _text(said, "text"))
        case Said.CHECK_STARTED:
            watch.begun(target, check)
        case Said.PROGRESS:
            watch.advanced(_count(said, "done"), _count(said, "total"), _text(said, "note"))
        case Said.CHECK_ENDED:
            watch.told(target, check, _text(said, "reason"), seen=said.get("seen") is True)


def _text(said: Mapping[str, Json], name: str) -> str:
    return printable(str(said.get(name) or ""))


def _texts(said: Mapping[str, Json], name: str) -> list[str]:
    found = said.get(name)
    return [printable(str(item)) for item in found] if isinstance(found, list) else []


def _count(said: Mapping[str, Json], name: str) -> int:
    found = said.get(name)
    return found if isinstance(found, int) else 0
