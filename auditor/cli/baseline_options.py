"""The record that limits are taken from, on the command line: its options, and whether it holds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console

from auditor.cli.console import print_plain
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import list_regressed_rules, list_rules_kept_by_baseline
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.errors import RecordError, UsageError
from auditor.inputs.resolve import Locate
from auditor.reports.folder import DIGEST, RECORD, RecordFolder
from auditor.store.blob_urls import StoreLocation
from auditor.workflows.baseline import (
    LAST,
    choose_baseline,
    list_stored_records,
    load_baseline_record,
)
from auditor.workflows.challenge_status import (
    list_challenges,
    list_stored_challenges,
    refuse_challenged_record,
)
from auditor.workflows.ledger import open_existing_store
from auditor.workflows.prepare import AuditOverrides
from auditor.workflows.workspace import Workspace

F = TypeVar("F", bound=Callable[..., object])
HELP = (
    "The folder of the record that limits written as `baseline - 0.01` are taken from, and that "
    "the report says what moved since."
)
NEWEST = (
    "; `last`: the newest of the same model on one of these targets in AUDITOR_HOME. With --server "
    "also the digest of a record there."
)


named_baseline_option = click.option(
    "--baseline",
    metavar="DIR|DIGEST",
    help="The record that limits written as `baseline - 0.01` may be taken from: its folder, or "
    "its digest, which nothing in a checkout changes.",
)


def read_baseline_digest(named: str | None) -> str | None:
    """Return the digest of the record that a gate names. Raises ``RecordError`` for no record."""
    if named is None or DIGEST.fullmatch(named):
        return named
    return compute_digest(RecordFolder(Path(named)).read(RECORD))


def explain_unrequested_baseline(record: AuditRecord, *, asked: bool) -> str:
    """Say why a baseline that a verdict rests on does not count in CI; nothing where it does.

    ``asked`` says whether the command line named it (``is_baseline_requested``).
    """
    rules = () if asked else list_rules_kept_by_baseline(record.findings)
    return (
        f"The verdict rests ({', '.join(rules)}) on a baseline that the audit file alone lets "
        "count, which any change of it could; in CI it counts where --baseline names it, signed "
        "with your own key, or --baseline-key names the key."
        if rules
        else ""
    )


def is_baseline_requested(
    file: AuditFile, locate: Locate, overrides: AuditOverrides, own: bytes
) -> bool:
    """Whether the command line names a baseline by its key, or by its folder under one's ``own``.

    Whoever changes the audit file may name any record there, and any key.
    """
    key, named = overrides.baseline_key, overrides.baseline
    compared = choose_baseline(file, locate, named, key, own)
    return compared is not None and (key is not None or (named is not None and compared.key == own))


def baseline_options(*, newest: bool) -> Callable[[F], F]:
    """Let a command take the record that limits are taken from, and the public key of it.

    ``newest`` says whether it may be the last one of the store.
    """

    def decorate(command: F) -> F:
        said = HELP.removesuffix(".") + NEWEST if newest else HELP
        folder = click.option("--baseline", metavar="DIR|last" if newest else "DIR", help=said)
        key = click.option(
            "--baseline-key",
            type=click.Path(path_type=Path),
            help="The public key that the baseline must be signed with; default: your own.",
        )
        return folder(key(command))

    return decorate


def load_baseline(place: Workspace, named: str | None, key: Path | None) -> AuditRecord | None:
    """Return the record that limits are taken from, if options name one.

    Raises ``RecordError`` for one whose signature does not hold, or that a challenge refuted.
    """
    compared = choose_baseline(None, Path, named, key, place.signer.public_pem())
    if compared is None:
        return None
    if compared.folder is None:
        raise UsageError(
            f"--baseline {LAST} is for audits: the newest record may be the one to judge again",
            cure=f"Name the folder of a record; ./{LAST} is a folder of that name.",
        )
    return _in_folder(place, compared.folder, compared.key)


def load_audit_baseline(
    console: Console, place: Workspace, file: AuditFile, locate: Locate, overrides: AuditOverrides
) -> AuditRecord | None:
    """Return the record that an audit is held against, if options or the audit file name one.

    Raises ``RecordError`` like ``load_baseline``; where the newest in the store is asked for and
    there is none that holds, that is said, and the audit goes on without.
    """
    own = place.signer.public_pem()
    compared = choose_baseline(file, locate, overrides.baseline, overrides.baseline_key, own)
    if compared is None:
        return None
    if compared.folder is None:
        return _newest(console, place, file, compared.key)
    return _in_folder(place, compared.folder, compared.key)


def find_remote_baseline(file: AuditFile, locate: Locate, named: str | None) -> str | None:
    """Return the digest of the record that an audit at a service is held against, if one is named.

    It is written as that, or as the folder of a record that the service has. Raises ``UsageError``
    where the newest one is asked for, ``RecordError`` for a folder of no record.
    """
    asked = file.baseline if named is None else named
    if asked is None or DIGEST.fullmatch(asked):
        return asked
    if asked == LAST:
        raise UsageError(
            f"the baseline {LAST} is the newest record in AUDITOR_HOME, which no service knows",
            cure="Name a record of the service, by its digest or its folder: --baseline sha256:…",
        )
    return compute_digest(
        RecordFolder(locate(asked) if named is None else Path(named)).read(RECORD)
    )


def is_baseline_stored(file: AuditFile, place: StoreLocation) -> bool:
    """Whether a store keeps a record that an audit against the newest one may find."""
    targets = [spec.name for spec in file.targets]
    with open_existing_store(place) as store:
        if store is None:
            return False
        with store.unit_of_work() as work:
            return bool(work.digests_of(file.model.name, targets))


def _in_folder(place: Workspace, folder: Path, key: bytes) -> AuditRecord:
    held = RecordFolder(folder)
    record = load_baseline_record(held, key)
    found = list_challenges(record, held, place.settings.place)
    refuse_challenged_record(record, found)
    return record


def _newest(console: Console, place: Workspace, file: AuditFile, key: bytes) -> AuditRecord | None:
    targets = [spec.name for spec in file.targets]
    with place.store.unit_of_work() as work:
        for found in list_stored_records(work, file.model.name, targets, key):
            if isinstance(found, RecordError):
                print_plain(console, f"Passed over: {found.problem}")
            elif list_stored_challenges(found, work):
                print_plain(console, f"Passed over: record {found.digest} was challenged")
            elif behind := list_regressed_rules(found):
                print_plain(console, f"Passed over: {_behind(found, behind)}")
            else:
                print_plain(console, _told(found))
                return found
    print_plain(
        console,
        f"No baseline: no record of {file.model.name} on {', '.join(targets)} that holds is kept "
        "here, so this audit is held against none",
    )
    return None


def _behind(record: AuditRecord, rules: Sequence[str]) -> str:
    return (
        f"record {record.digest} did not keep {', '.join(rules)} against its own baseline. To "
        "begin anew from what is, audit once without a baseline"
    )


def _told(record: AuditRecord) -> str:
    request = record.request
    return (
        f"Baseline: {request.name} {request.version}, decided {record.finished}, "
        f"verdict {record.verdict.value}, record {record.digest}"
    )
