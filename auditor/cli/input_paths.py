"""Paths and names of inputs that a command needs; a missing one is refused before all else.

Each is the type of a parameter, so that declarations know it too (``declarations.py``), and nothing
that a command works with is loaded to find that a file is not there.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from auditor._resources import find_shipped_folder, find_user_home, list_entry_points
from auditor.checks.names import GROUP, list_shipped_check_ids
from auditor.cli.ci_system import CiSystem, detect_ci
from auditor.domain.digests import ENTITY_PREFIX, is_digest
from auditor.domain.name_suggestions import describe_unknown_name, suggest_near_names
from auditor.errors import (
    AuditFileError,
    DatasetError,
    InvalidInputError,
    KeyFileError,
    RecordError,
    TargetError,
    TimestampError,
    TrustPolicyError,
    UsageError,
    WaiverError,
)
from auditor.policy.find import find_policy_file
from auditor.targets.target_specs import NAMED

DATA_ENDINGS = frozenset({".csv", ".npy", ".npz", ".parquet"})


class RequiredInput(ABC):
    """The type of a parameter that names an input which must exist when all options are read."""

    @abstractmethod
    def require(self, given: Any, options: dict[str, Any]) -> None:  # noqa: ANN401 -- the type's own
        """Raise the error of this kind of input where there is none."""


class InputPath(click.Path, RequiredInput):
    """A path that must exist; ``file`` is looked for in it.

    With the option ``service``, a digest names a record there.
    """

    def __init__(
        self, error: type[InvalidInputError], cure: str, file: str = "", service: str = ""
    ) -> None:
        super().__init__(path_type=Path)
        self._error, self._cure, self._file, self._service = error, cure, file, service

    def require(self, given: Path, options: dict[str, Any]) -> None:
        """Raise the error of this kind of input where there is none."""
        if options.get(self._service) and is_digest(str(given)):
            return
        place = given / self._file
        try:
            place.stat()
        except OSError as error:
            problem = f"{place} cannot be read: {error.strerror}"
            raise self._error(problem, cure=self._cure) from None


class ModelPath(InputPath):
    """The path of a model that may be left out where the data hold its predictions."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Raise ``UsageError`` for a file of data in the place of the model."""
        if Path(value).suffix.lower() in DATA_ENDINGS:
            raise UsageError(
                f"{value} holds data, and stands in the place of the model",
                cure=f"For predictions without a model: auditor init --data {value}",
            )
        return super().convert(value, param, ctx)


class KeyName(click.types.StringParamType, RequiredInput):
    """A key: a file, which must exist, a URI (``pkcs11:…``), or an identity (``key:…``)."""

    def require(self, given: str, options: dict[str, Any]) -> None:
        """Raise ``KeyFileError`` for a file that does not exist."""
        if re.match(r"[a-z][a-z0-9+.-]+:.", given) is None:
            KEY_FILE.require(Path(given), options)


class RecordName(click.types.StringParamType, RequiredInput):
    """A record: its folder, its digest, or the ``last`` one of the store."""

    def require(self, given: str, options: dict[str, Any]) -> None:
        """Raise ``RecordError`` for what is neither a folder nor has the form of a name."""
        if given != "last" and not is_digest(given):
            RECORD_FOLDER.require(Path(given), options)


class StoredRecordName(click.types.StringParamType, RequiredInput):
    """A record: its folder, or its id (``aud-…``) in the store."""

    def require(self, given: str, options: dict[str, Any]) -> None:  # noqa: ARG002 -- of every input
        """Raise ``UsageError`` for what is no folder and has not the form of an id."""
        if not (given.startswith("aud-") or Path(given).is_dir()):
            raise UsageError(
                f"{given[:80]!r} is neither a folder nor the ID of a record in the store",
                cure="List the IDs of records with `auditor ledger show`.",
            )


class LineageName(click.types.StringParamType, RequiredInput):
    """A node of lineage: a file or folder, the id of a record, or the first digits of a digest."""

    def require(self, given: str, options: dict[str, Any]) -> None:  # noqa: ARG002 -- of every input
        """Raise ``UsageError`` for what is none of them."""
        named = given.startswith("aud-") or ENTITY_PREFIX.fullmatch(given.lower()) is not None
        if not (named or Path(given).exists()):
            raise UsageError(
                f"{given[:80]!r} is neither a file nor the name of a record or a digest",
                cure="Name a record's folder or ID, a file, or the first digits of a digest.",
            )


class PolicyName(click.types.StringParamType, RequiredInput):
    """A policy: the name of a pack, or a file, which may lie beside the audit file."""

    def require(self, given: str, options: dict[str, Any]) -> None:
        """Raise ``PolicyMissingError`` where there is neither."""
        beside = options.get("audit_file")
        if not (isinstance(beside, Path) and (beside.parent / given).is_file()):
            find_policy_file(given, Path.cwd(), find_shipped_folder("policies"))


class CheckName(click.types.StringParamType, RequiredInput):
    """The id of a check. Those of other packages are known to the command alone."""

    def require(self, given: str, options: dict[str, Any]) -> None:  # noqa: ARG002 -- of every input
        """Raise ``UsageError`` for an unknown id."""
        known = list_shipped_check_ids()
        if given not in known and not list_entry_points(GROUP):
            raise UsageError(
                describe_unknown_name("check", [given], known),
                cure="`auditor checks list` names all.",
            )


class TargetName(click.types.StringParamType, RequiredInput):
    """The name of a target. The command alone knows those that a ``targets.yaml`` declares."""

    def require(self, given: str, options: dict[str, Any]) -> None:
        """Raise ``TargetError`` for an unknown name where no file declares targets."""
        files = (place / "targets.yaml" for place in (Path.cwd(), find_user_home()))
        declared = options.get("targets") is not None or any(file.is_file() for file in files)
        if given not in NAMED and not declared:
            raise TargetError(
                f"there is no target {given!r}{suggest_near_names(given, NAMED)}",
                cure=f"Name one of {', '.join(NAMED)}, or add it to a targets.yaml.",
            )


AUDIT_FILE = InputPath(
    AuditFileError, "Name an audit file; `auditor init MODEL --data FILE` writes one."
)
RECORD_CURE = "Name the folder that `auditor audit --out` wrote, with all its files."
RECORD_FOLDER = InputPath(RecordError, RECORD_CURE, "record.json")
DECIDED_FOLDER = InputPath(
    UsageError, "Name the folder of a record. For a digest, add its service with --server.",
    service="server",
)  # fmt: skip
VERIFIED = InputPath(
    UsageError,
    "Name the output folder of `auditor audit`, its bundle.zip, or the model file of --signature.",
)
MODEL_FILES = InputPath(UsageError, "Name the model's file or folder.")
DRAFTED_MODEL = ModelPath(UsageError, "Name the model's file or folder.")
DATA_FILE = InputPath(DatasetError, "Name a file with labelled rows.")
KEY_FILE = InputPath(
    KeyFileError, "Make a pair of keys with `auditor keys new`, or name another file."
)
LOG_KEY = InputPath(
    KeyFileError,
    "Name the log's public key or a witness's. A first audit makes ledger.pub under AUDITOR_HOME.",
)
CERTIFICATES = InputPath(KeyFileError, "Name a file with certificates (PEM).")
TRUST_POLICY = InputPath(TrustPolicyError, "Name a trust policy, such as trust.yaml.")
SIGNATURE_FILE = InputPath(UsageError, "Name a signature file; `auditor sign` writes one.")
TRUSTED_ROOT = InputPath(KeyFileError, "Name a trusted_root.json.")
STATEMENT = InputPath(UsageError, "Name a file with a signed statement.")
WAIVER = InputPath(WaiverError, "Name a waiver file; `auditor waive` signs one.")
TIMESTAMPED = InputPath(
    TimestampError, "Name a record's folder, a signature file, or a checkpoint."
)
TIMESTAMPS = InputPath(TimestampError, "Name a file of the time-stamping authority.")
CHECKPOINT = InputPath(
    UsageError, "Name a checkpoint that `auditor ledger checkpoint` wrote, or a proof."
)
BACKUP = InputPath(
    UsageError, "Name the folder of a backup: `auditor backup` writes backup.json last.",
    "backup.json",
)  # fmt: skip
ROW_IDS = InputPath(UsageError, "Name a file with one row ID per line.")
EXAMPLES = InputPath(UsageError, "Name an .npz file.")
PROBE = InputPath(UsageError, "Name a probe's JSON file.")
POLICY_TESTS = InputPath(
    UsageError, "Name a file of policy tests; docs/policy-tests.md says how to write one."
)
TARGETS_FILE = InputPath(TargetError, "Name a targets.yaml.")
PROVIDERS = InputPath(UsageError, "Name a file with OIDC identity providers.")


def require_inputs(context: click.Context) -> None:
    """Refuse a missing input of a command. In CI the command itself does, and tells the runner."""
    if detect_ci(context.params.get("ci", CiSystem.NONE.value)) is not CiSystem.NONE:
        return
    for param in context.command.params:
        if isinstance(param.type, RequiredInput):
            for given in _list_values(context.params.get(param.name or "")):
                param.type.require(given, context.params)


def _list_values(given: object) -> Iterator[object]:
    """Yield what was given for an option, once or several times; nothing where it was left out."""
    if isinstance(given, tuple):
        yield from given
    elif given is not None:
        yield given
