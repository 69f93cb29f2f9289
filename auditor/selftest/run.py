"""Runs the selftest: audits planted defects and their clean twins as any audit runs."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Measurement, Reading
from auditor.domain.record_json import read_record
from auditor.errors import BrokenSpecimenError, UsageError
from auditor.policy.evaluate.limits import build_figure_range
from auditor.reports.folder import RECORD, RecordFolder
from auditor.reports.wording import OUTCOMES
from auditor.selftest.family_registry import list_missing_packages
from auditor.selftest.results import GOOD, SelftestReport, SpecimenOutcome, SpecimenResult
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import (
    RECIPE,
    DeceptionRun,
    Specimen,
    SpecimenFamily,
    SpecimenRun,
    select_specimens,
)

OUT = "record"
"""Where a specimen's record is written, in its folder."""
CONCLUDED = frozenset({0, 1, 3})
"""Exit codes of an audit that came to a verdict, whichever."""
LONGEST = 400
CONDITION = "`"
"""How a finding's limits begin where its rule asks a condition, and no bound."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, and all that it said."""

    code: int
    said: str

    @property
    def words(self) -> str:
        """What it said last, on one line that is no longer than a reader bears."""
        return " ".join(self.said.split())[-LONGEST:]


class CommandRunner(Protocol):
    """Calls the command as a user does, apart from the store and the keys of whoever is here."""

    @property
    def home(self) -> Path:
        """Where the store and the keys of these calls lie."""

    def __call__(self, arguments: Sequence[str], folder: Path) -> CommandResult:
        """Call it with these arguments from this folder."""


Told = Callable[[SpecimenResult], None]


def run_selftest(  # noqa: PLR0913, PLR0917 -- what is tried, where, by which door, and what is known
    families: Iterable[SpecimenFamily],
    scale: SelftestScale,
    folder: Path,
    door: CommandRunner,
    told: Told,
    known: Mapping[str, SpecimenResult] = MappingProxyType({}),
) -> SelftestReport:
    """Try every specimen of the families, and return what was found.

    Specimens are written below ``folder``, which must hold nothing yet, and each row is ``told`` as
    it ends. A specimen whose row is ``known`` by its name is not tried again; its time counts. A
    family whose packages are missing is named as not run. Raises ``UsageError``.
    """
    refuse_used_folder(folder)
    began, before, rows, not_run = time.monotonic(), 0.0, list[SpecimenResult](), {}
    for family in families:
        specimens = select_specimens(family, scale)
        if not known.keys() >= {one.name for one in specimens} and (
            modules := list_missing_packages(family)
        ):
            not_run[family.name] = modules
            continue
        for specimen in specimens:
            row = known.get(specimen.name)
            if row is None:
                row = run_specimen(family, specimen, folder / specimen.name, door)
                told(row)
            else:
                before += row.seconds
            rows.append(row)
    return SelftestReport(scale.value, tuple(rows), not_run, before + time.monotonic() - began)


def refuse_used_folder(folder: Path) -> None:
    """Raise ``UsageError`` when a folder for specimens is a file, or holds anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is not an empty folder", cure="Name an empty or a new folder with --keep."
        )


def run_specimen(
    family: SpecimenFamily, specimen: Specimen, folder: Path, door: CommandRunner
) -> SpecimenResult:
    """Make one specimen, try it, and say what became of it and in which time."""
    began = time.monotonic()
    folder.mkdir(parents=True)
    try:
        row = _row(_written(family, specimen, folder), specimen, folder, door)
    except BrokenSpecimenError as error:
        row = SpecimenResult(specimen, SpecimenOutcome.BROKEN, 0, why=error.problem)
    return replace(row, seconds=time.monotonic() - began)


def _written(
    family: SpecimenFamily, specimen: Specimen, folder: Path
) -> SpecimenRun | DeceptionRun:
    try:
        return family.write(specimen, folder)
    except Exception as error:
        raise BrokenSpecimenError(
            f"it cannot be made: {type(error).__name__}: {error}", cure="Fix the family."
        ) from error


def _row(
    trial: SpecimenRun | DeceptionRun, specimen: Specimen, folder: Path, door: CommandRunner
) -> SpecimenResult:
    match trial:
        case SpecimenRun():
            return _audited(trial, specimen, folder, door)
        case DeceptionRun():
            # Do what somebody does so as to be believed, and look whether it is refused
            for deed in trial.before:
                if callable(deed):
                    deed(folder, door.home)
                elif (ended := door(deed, folder)).code not in CONCLUDED:
                    raise _broken(f"`auditor {' '.join(deed)}` ended with {ended.code}", ended)
            ended = door(trial.asked, folder)
            outcomes = {f"auditor {trial.asked[0]}": str(ended.code)}
            said = " ".join(ended.said.split())
            if specimen.planted:
                refused = ended.code == trial.code and all(word in said for word in trial.words)
                why = "" if refused else f"it ended with {ended.code}: {ended.words}"
                return SpecimenResult(
                    specimen, _seen(specimen, refused), 0, trial.words * refused, why, outcomes
                )
            if ended.code not in CONCLUDED:
                raise _broken(f"`auditor {' '.join(trial.asked)}` ended with {ended.code}", ended)
            why = f"it ended with {ended.code}: {ended.words}" if ended.code else ""
            return SpecimenResult(specimen, _seen(specimen, bool(ended.code)), 0, (), why, outcomes)


def _audited(
    trial: SpecimenRun, specimen: Specimen, folder: Path, door: CommandRunner
) -> SpecimenResult:
    """Audit a specimen, and look for the rules that fail."""
    only = [word for check in trial.only for word in ("--only", check)]
    # The code of a specimen is our own, so that it runs where nothing could hold it.
    leave = ["--allow-unsandboxed"] if (folder / RECIPE).is_file() else []
    ended = door(["audit", str(trial.audit), *only, *leave, "--out", str(folder / OUT)], folder)
    if ended.code not in CONCLUDED:
        raise _broken(f"the audit ended with {ended.code}", ended)
    record = read_record(RecordFolder(folder / OUT).read(RECORD))
    findings = record.findings
    strangers = sorted(set(trial.rules) - {item.rule for item in findings})
    if strangers:
        raise _broken(f"the policy has no rule {', '.join(strangers)}", ended)
    meant = [item for item in findings if item.rule in trial.rules]
    failed = meant if specimen.planted else findings
    by = [
        item.name
        for item in failed
        if item.effect is RuleEffect.DENY and item.outcome is Outcome.FAILED
    ]
    seen = _seen(specimen, bool(by))
    if seen is SpecimenOutcome.QUIET and all(
        is_vacuous_rule(item, record.readings) for item in meant
    ):
        seen = SpecimenOutcome.UNDECIDED
    told = findings if seen is SpecimenOutcome.FALSE_ALARM else meant
    if seen in GOOD:
        why = ""
    else:
        why = "; ".join(f"{it.name} {OUTCOMES[it.outcome].lower()}: {it.message}" for it in told)
    outcomes = {item.name: item.outcome.value for item in findings}
    return SpecimenResult(specimen, seen, 0, tuple(dict.fromkeys(by)), why, outcomes)


def is_vacuous_rule(finding: Finding, readings: Sequence[Reading]) -> bool:
    """Return whether a rule could not have failed on what was read, whatever had been planted.

    So it is where nothing was read, or where a bound is on what is no number, or on a figure whose
    doubt says to which side it may lie. A condition fails on a doubted figure too.
    """
    if finding.outcome is not Outcome.UNKNOWN:
        return finding.outcome is Outcome.NOT_APPLICABLE
    deciding = readings[finding.readings[0]] if finding.readings else None
    if not isinstance(deciding, Measurement):
        return True
    if finding.limits.startswith(CONDITION):
        return False
    return build_figure_range(deciding) is None or deciding.astray is not None


def _seen(specimen: Specimen, alarmed: bool) -> SpecimenOutcome:  # noqa: FBT001 -- the second dimension of a table
    if specimen.planted:
        return SpecimenOutcome.FOUND if alarmed else SpecimenOutcome.MISSED
    return SpecimenOutcome.FALSE_ALARM if alarmed else SpecimenOutcome.QUIET


def _broken(problem: str, ended: CommandResult) -> BrokenSpecimenError:
    return BrokenSpecimenError(f"{problem}: {ended.words}", cure="Fix the family.")
