"""Command-line options for the baseline record that limits are taken from, and its verification."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from auditor.cli.input_paths import KEY_FILE, RecordName
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import LAST, list_rules_kept_by_baseline
from auditor.domain.digests import is_digest
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.inputs.resolve import Locate
from auditor.reports.folder import RECORD, RecordFolder
from auditor.workflows.baseline import (
    choose_baseline,
)

F = TypeVar("F", bound=Callable[..., object])
HELP = (
    "Record folder to compare against. Limits such as `baseline - 0.01` and the "
    "report's section Changes use it."
)
NEWEST = (
    " `last` means the newest record of this model and target in AUDITOR_HOME. With "
    "--server, it can be the digest of a record of the service."
)


named_baseline_option = click.option(
    "--baseline",
    type=RecordName(),
    metavar="DIR|DIGEST",
    help="Record that limits such as `baseline - 0.01` may use: its folder or its "
    "digest. A change to the repository cannot change a digest.",
)


def explain_unrequested_baseline(record: AuditRecord, *, asked: bool) -> str:
    """Say why a baseline that a verdict rests on does not count in CI; nothing where it does.

    ``asked`` says whether the command line named it (``is_baseline_requested``).
    """
    rules = () if asked else list_rules_kept_by_baseline(record.findings)
    return (
        f"The verdict depends ({', '.join(rules)}) on a baseline that only the audit file allows, "
        "and any change to the file could replace it. In CI, name it with --baseline if your own "
        "key signed it, or name its key with --baseline-key."
        if rules
        else ""
    )


def is_baseline_requested(file: AuditFile, locate: Locate, own: bytes, *, named: bool) -> bool:
    """Whether the command line names a baseline by its key, or by its folder under one's ``own``.

    Whoever changes the audit file may name any record there, and any key.
    """
    compared = choose_baseline(file.baseline, file.baseline_key, locate, own)
    keyed = isinstance(file.baseline_key, Path)
    return compared is not None and (keyed or (named and compared.key == own))


def baseline_options(*, newest: bool) -> Callable[[F], F]:
    """Let a command take the record that limits are taken from, and the public key of it.

    ``newest`` says whether it may be the last one of the store.
    """

    def decorate(command: F) -> F:
        said = HELP + NEWEST if newest else HELP
        folder = click.option(
            "--baseline", type=RecordName(), metavar="DIR|last" if newest else "DIR", help=said
        )
        key = click.option(
            "--baseline-key",
            type=KEY_FILE,
            help="Public key of the signer of the baseline; default: your own.",
        )
        return folder(key(command))

    return decorate


def find_remote_baseline(file: AuditFile, locate: Locate) -> str | None:
    """Return the digest of the record that an audit at a service is held against, if one is named.

    It is written as that, or as the folder of a record that the service has. Raises ``UsageError``
    where the newest one is asked for, ``RecordError`` for a folder of no record.
    """
    asked = file.baseline
    if asked is None:
        return None
    if is_digest(str(asked)):
        return str(asked)
    if asked == LAST:
        raise UsageError(
            f"--baseline {LAST} does not work with a service: it reads AUDITOR_HOME",
            cure="Name a record of the service by its digest or its folder: --baseline sha256:…",
        )
    folder = locate(asked) if isinstance(asked, str) else asked
    return compute_digest(RecordFolder(folder).read(RECORD))
