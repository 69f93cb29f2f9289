"""The record that limits are taken from, on the command line: its options, and whether it holds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console

from auditor.baselines import LAST, baseline_record, compared_with, kept_records
from auditor.cli.showing import say
from auditor.contested import challenges_against, kept_against, refuse_contested
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import fell_behind, resting
from auditor.domain.canonical import digest
from auditor.domain.records import AuditRecord
from auditor.errors import RecordError, UsageError
from auditor.folders import DIGEST, RECORD, RecordFolder
from auditor.keeping import store_if_kept
from auditor.pointing import Locate
from auditor.preparing import Overrides
from auditor.store.places import Place
from auditor.workplaces import Workplace

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


def baseline_named(named: str | None) -> str | None:
    """Return the digest of the record that a gate names. Raises ``RecordError`` for no record."""
    if named is None or DIGEST.fullmatch(named):
        return named
    return digest(RecordFolder(Path(named)).read(RECORD))


def rests_unasked(record: AuditRecord, *, asked: bool) -> str:
    """Say why a baseline that a verdict rests on does not count in CI; nothing where it does.

    ``asked`` says whether the command line named it (``is_asked``).
    """
    rules = () if asked else resting(record.findings)
    return (
        f"The verdict rests ({', '.join(rules)}) on a baseline that the audit file alone lets "
        "count, which any change of it could; in CI it counts where --baseline names it, signed "
        "with your own key, or --baseline-key names the key."
        if rules
        else ""
    )


def is_asked(file: AuditFile, locate: Locate, overrides: Overrides, own: bytes) -> bool:
    """Whether the command line names a baseline by its key, or by its folder under one's ``own``.

    Whoever changes the audit file may name any record there, and any key.
    """
    key, named = overrides.baseline_key, overrides.baseline
    compared = compared_with(file, locate, named, key, own)
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


def taken(place: Workplace, named: str | None, key: Path | None) -> AuditRecord | None:
    """Return the record that limits are taken from, if options name one.

    Raises ``RecordError`` for one whose signature does not hold, or that a challenge refuted.
    """
    compared = compared_with(None, Path, named, key, place.signer.public_pem())
    if compared is None:
        return None
    if compared.folder is None:
        raise UsageError(
            f"--baseline {LAST} is for audits: the newest record may be the one to judge again",
            cure=f"Name the folder of a record; ./{LAST} is a folder of that name.",
        )
    return _in_folder(place, compared.folder, compared.key)


def taken_for(
    console: Console, place: Workplace, file: AuditFile, locate: Locate, overrides: Overrides
) -> AuditRecord | None:
    """Return the record that an audit is held against, if options or the audit file name one.

    Raises ``RecordError`` like ``taken``; where the newest in the store is asked for and there is
    none that holds, that is said, and the audit goes on without.
    """
    own = place.signer.public_pem()
    compared = compared_with(file, locate, overrides.baseline, overrides.baseline_key, own)
    if compared is None:
        return None
    if compared.folder is None:
        return _newest(console, place, file, compared.key)
    return _in_folder(place, compared.folder, compared.key)


def named_there(file: AuditFile, locate: Locate, named: str | None) -> str | None:
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
    return digest(RecordFolder(locate(asked) if named is None else Path(named)).read(RECORD))


def is_kept(file: AuditFile, place: Place) -> bool:
    """Whether a store keeps a record that an audit against the newest one may find."""
    targets = [spec.name for spec in file.targets]
    with store_if_kept(place) as store:
        if store is None:
            return False
        with store.unit_of_work() as work:
            return bool(work.digests_of(file.model.name, targets))


def _in_folder(place: Workplace, folder: Path, key: bytes) -> AuditRecord:
    held = RecordFolder(folder)
    record = baseline_record(held, key)
    found = challenges_against(record, held, place.settings.place)
    refuse_contested(record, found)
    return record


def _newest(console: Console, place: Workplace, file: AuditFile, key: bytes) -> AuditRecord | None:
    targets = [spec.name for spec in file.targets]
    with place.store.unit_of_work() as work:
        for found in kept_records(work, file.model.name, targets, key):
            if isinstance(found, RecordError):
                say(console, f"Passed over: {found.problem}")
            elif kept_against(found, work):
                say(console, f"Passed over: record {found.digest} was challenged")
            elif behind := fell_behind(found):
                say(console, f"Passed over: {_behind(found, behind)}")
            else:
                say(console, _told(found))
                return found
    say(
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
