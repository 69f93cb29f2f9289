"""List, show and probe targets, and install emulators for others."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from auditor.cli.code_permission_options import target_code_option
from auditor.cli.console import show_rows
from auditor.cli.input_paths import TargetName
from auditor.cli.main import ExitCode
from auditor.domain.execution_providers import describe_support, find_provider
from auditor.domain.json import Json
from auditor.domain.targets import EvidenceLevel, TargetSpec
from auditor.errors import AuditorError
from auditor.reports.terminal import create_console
from auditor.targets.available_targets import TargetTrial, list_target_offers, try_target
from auditor.targets.config import OperatorTargets, load_operator_targets, read_targets
from auditor.targets.emulation import emulator_folder, fetch_emulator
from auditor.targets.probe import probe_target
from auditor.targets.runtimes import runs_files
from auditor.targets.target_specs import resolve_target
from auditor.workflows.engine.audit_subject import REFERENCE
from auditor.workflows.settings import AuditorSettings

BY_FALLBACK = {False: ExitCode.DONE, True: ExitCode.FAILED, None: ExitCode.INCONCLUSIVE}
"""Whether operators run elsewhere than declared; ``None`` where nobody says."""
PINNED = (
    "\n           with one row at a time; with a dynamic batch size it falls back. Fix "
    "that axis of your model: free_dimensions: {NAME: 1}"
)
FORMAT = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")


@click.group("targets")
def command() -> None:
    """List, show and probe targets, and install emulators for others."""


@command.command("list")
@click.option("--try", "tried", is_flag=True, help="Open a small model on each declared target.")
@target_code_option
@FORMAT
def list_targets(*, tried: bool, allow_target_code: bool, form: str) -> int:
    """List the targets of this machine, and those of targets.yaml here and in AUDITOR_HOME.

    With --try, each declared target opens a small model, and operators that fall back are named.
    """
    operator, declared = _declared(allow_code=allow_target_code)
    found = [
        item.to_json()
        for item in list_target_offers(
            declared, Path.cwd(), AuditorSettings.from_environment().home
        )
    ]
    if tried:
        found = [
            {**item, "state": _outcome(declared[str(item["name"])], operator)}
            if item["kind"] == "target"
            else item
            for item in found
        ]
    if form == "json":
        click.echo(json.dumps(found, indent=2))
        return ExitCode.DONE
    columns = ("name", "kind", "state", "support")
    show_rows(
        create_console(), columns, [tuple(str(item[name]) for name in columns) for item in found]
    )
    return ExitCode.DONE


@command.command("show")
@click.argument("name", type=TargetName())
@target_code_option
@FORMAT
def show_target(name: str, *, allow_target_code: bool, form: str) -> int:
    """Show the target NAME: its settings, its provider, and whether it is available."""
    spec = _named(name, allow_code=allow_target_code)
    facts = find_provider(spec)
    shown: dict[str, Json] = {
        "name": spec.name,
        "declared": spec.to_json(),
        "support": describe_support(spec),
        "provider": None if facts is None else facts.to_json(),
        "fingerprint": dict(probe_target(spec)) if _runs_files(spec) else None,
    }
    if form == "json":
        click.echo(json.dumps(shown, indent=2))
        return ExitCode.DONE
    for part, said in shown.items():
        click.echo(f"{part}: {said if isinstance(said, str) else json.dumps(said, indent=2)}")
    return ExitCode.DONE


@command.command("probe")
@click.argument("name", type=TargetName(), default="cpu")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=("Output file with the fingerprint, for `auditor gate --fingerprint`."),
)
@target_code_option
@FORMAT
def probe(name: str, out: Path | None, *, allow_target_code: bool, form: str) -> int:
    """Open a small model on the target NAME, and show where it ran and how far its scores differ.

    The identity is the digest of the hardware and software: `auditor gate --fingerprint FILE`
    checks that a record was made on the same. Exit code: 0 if all operators run on the declared
    device, 1 if some do not, or run on a simulation of the device, 3 if the runtime does not report
    it.
    """
    trial = try_target(_named(name, allow_code=allow_target_code), REFERENCE)
    found = json.dumps(trial.to_json(), indent=2)
    if out is not None:
        out.write_text(found + "\n", encoding="utf-8")
    click.echo(
        found
        if form == "json"
        else f"Target:    {trial.spec.name} ({describe_support(trial.spec)})\n"
        f"Evidence:  {trial.evidence.level.value}: {trial.evidence.because}\n"
        f"Placement: {_placed(trial)}{PINNED * trial.pinned}\n"
        f"Parity:    {trial.flips} of {trial.rows} rows decided otherwise than on the reference, "
        f"scores at most {trial.difference:.3g} apart\n"
        f"{_precise(trial)}Identity:  {trial.identity}"
    )
    if trial.evidence.level is EvidenceLevel.SIMULATED:
        return ExitCode.FAILED
    return BY_FALLBACK[trial.falls_back]


@command.command("emulate")
@click.argument("cpu")
def emulate(cpu: str) -> int:
    """Download and try the emulator of the processor CPU, such as Haswell or Cortex-A72.

    Needs Debian or a distribution based on it, and a network, but not root. An installed qemu-user
    is used if there is one. Then write `emulated: CPU` for a target in targets.yaml.
    """
    home = AuditorSettings.from_environment().home
    emulator = fetch_emulator(cpu, home, lambda step: click.echo(f"… {step}", err=True))
    click.echo(
        f"{cpu} is ready: {emulator.version}\n"
        f"Kept in:   {emulator_folder(cpu, home)}\n"
        f"A target:  {{name: {cpu.lower()}, emulated: {cpu}}}\n"
        "Scores are those of that processor; times are not."
    )
    return ExitCode.DONE


def _runs_files(spec: TargetSpec) -> bool:
    return runs_files(spec.runtime)


def _declared(*, allow_code: bool) -> tuple[OperatorTargets, Mapping[str, TargetSpec]]:
    """Return what the operator lets run, and all targets that can be named here."""
    operator = load_operator_targets(None, allow_code=allow_code)
    return operator, operator.nameable(read_targets(Path.cwd()))


def _named(name: str, *, allow_code: bool) -> TargetSpec:
    operator, known = _declared(allow_code=allow_code)
    return operator.permit_code(resolve_target(name, known))


def _outcome(spec: TargetSpec, operator: OperatorTargets) -> str:
    if not _runs_files(spec):
        return "not tried: it runs no model file from here"
    try:
        trial = try_target(operator.permit_code(spec), REFERENCE)
    except AuditorError as error:
        return f"cannot be used: {error}"
    level = trial.evidence.level
    return _placed(trial) + ("" if level.is_native else f", {level.value}")


def _placed(trial: TargetTrial) -> str:
    placed = trial.placement
    if not placed.known:
        return "the runtime does not report where operators run"
    elsewhere = "; ".join(
        f"{sum(counts.values())} on {name} ({', '.join(sorted(counts))})"
        for name, counts in placed.elsewhere.items()
    )
    share = f"{placed.on(placed.declared)} of {placed.total} nodes on {placed.declared}"
    return f"{share}, FALLS BACK: {elsewhere}" if elsewhere else share


def _precise(trial: TargetTrial) -> str:
    said = trial.fingerprint.identity_facts.get("precision")
    inference = said.get("inference") if isinstance(said, Mapping) else None
    return f"Precision: {inference}\n" if inference else ""
