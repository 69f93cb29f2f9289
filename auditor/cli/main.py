"""Entry point of the `auditor` command: subcommand loading, exit codes and install hints.

The subcommands are found by their file names, and only the called one is imported. Records name
only the missing extra; the terminal shows the install command for this installation.
"""

import ast
import importlib
import json
import os
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import click
from click.shell_completion import CompletionItem

from auditor import __version__
from auditor._gc import pause_collection, resume_collection
from auditor.cli.declarations import check_arguments, declare_command
from auditor.domain.findings import Verdict
from auditor.domain.name_suggestions import find_similar_names
from auditor.domain.policies import EnforcementMode
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import (
    SAID,
    AuditorError,
    CancelledError,
    InvalidInputError,
    MissingExtraError,
    RuntimeMissingError,
    update_install_wording,
)
from auditor.reports.terminal_text import make_printable

OWN = re.compile(r"auditor\[([\w,-]+)\]")


def adapt_install_hints(text: str) -> str:
    """Return ``text`` with each word on an extra as the line that works from where auditor lies."""
    text = update_install_wording(text)
    if not SAID.search(text):
        return text
    try:
        told = json.loads(distribution("auditor").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        told = {}
    came_from, pip = told if isinstance(told, dict) else {}, _pip()

    def line(found: re.Match[str]) -> str:
        wanted = format_requirement(found[1], came_from)
        return f"Run `{pip} install {wanted}`" if wanted else found[0]

    return SAID.sub(line, text)


def format_requirement(extras: str, came_from: Mapping[str, Any]) -> str:
    """Return what pip is told, quoted; ``came_from`` is a ``direct_url.json`` (PEP 610), or empty.

    A checkout stays editable. Where nobody knows from where auditor came, the packages that the
    extras consist of are named, and never auditor: an index may hold anything under that name.
    """
    try:
        url = urlsplit(str(came_from.get("url", "")))
        if came_from.get("dir_info", {}).get("editable"):
            return "--editable " + shlex.quote(f"{url2pathname(url.path)}[{extras}]")
        vcs = came_from.get("vcs_info")
        # Without who asks, and without what a signed address shows: this is printed.
        place = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
        if vcs:
            place = f"{vcs['vcs']}+{place}@{vcs['commit_id']}"
        if inside := came_from.get("subdirectory"):
            place += f"#subdirectory={inside}"
    except (AttributeError, KeyError, TypeError, ValueError):  # damaged: nobody knows
        place = ""
    return shlex.quote(f"auditor[{extras}] @ {place}") if place else _packages(extras)


def _packages(extras: str) -> str:
    """Return the packages that extras consist of, quoted; nothing where no metadata says so."""
    try:
        told = requires("auditor") or []
    except PackageNotFoundError:
        return ""
    wanted, found = extras.split(","), dict[str, None]()
    for extra in wanted:
        for line in told:
            package, _, marker = (part.strip() for part in line.partition(";"))
            if not re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", marker):
                continue
            if own := OWN.fullmatch(package):
                wanted += [name for name in own[1].split(",") if name not in wanted]
            else:
                found[package] = None
    return shlex.join(found)


def _pip() -> str:
    """Return the pip of this environment: another one may come first where it is not active."""
    own = Path(sys.executable).parent / "pip"
    if not own.exists() or shutil.which("pip") == str(own):
        return "pip"
    return shlex.quote(str(own))


class ExitCode(IntEnum):
    """What the command's exit code says."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    INCONCLUSIVE = 3
    INTERNAL = 4


BY_VERDICT = {
    Verdict.PASS: ExitCode.DONE,
    Verdict.FAIL: ExitCode.FAILED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


def exit_for_verdict(verdict: Verdict, mode: EnforcementMode) -> ExitCode:
    """Return the exit code of a verdict: a policy that only observes or warns fails no command."""
    return BY_VERDICT[verdict] if mode is EnforcementMode.ENFORCE else ExitCode.DONE


def exit_for_verification(steps: Iterable[VerificationStep]) -> ExitCode:
    """Return the exit code of a verification: rows that are withheld leave it inconclusive."""
    found = tuple(steps)
    failed = any(step.result is StepResult.FAILED for step in found)
    if not failed and any(step.result is StepResult.WITHHELD for step in found):
        return ExitCode.INCONCLUSIVE
    return ExitCode.DONE if all_hold(found) else ExitCode.FAILED


def exit_for_error(error: AuditorError) -> ExitCode:
    """Return the exit code of an error: 2 where the user can mend the input, else 4."""
    usable = InvalidInputError | MissingExtraError | RuntimeMissingError
    return ExitCode.INVALID if isinstance(error, usable) else ExitCode.INTERNAL


STOPPED = (
    "Stopped; no record was published. An audit keeps its finished checks: the same command goes "
    "on where it stopped."
)
COMMANDS = Path(__file__).parent / "commands"
EXIT_CODES = """Exit codes: 0 pass or done; 1 the policy, a verification or a gate failed;
2 usage or invalid input; 3 inconclusive; 4 internal error or service unreachable."""


SECTIONS = {
    "Start here, in this order": "init plan audit gate",
    "Decide on a record": "compare judge waive approve comment render",
    "Verify without trust": "verify reproduce challenge lineage",
    "Sign and prove": "keys sign trust timestamp ledger export disclose",
    "Look up checks, policies and targets": "checks policies targets selftest",
    "Run the service": "serve worker projects schedule flag backup restore migrate erase",
    "More": "",
}
"""Commands by what a newcomer looks for; the last section takes those that no other names."""


class FileCommandGroup(click.Group):
    """A group whose commands are the files of a folder; only the one that runs is imported.

    Help, completion and usage errors come from declarations, which import little.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names of the files."""
        return sorted(
            path.stem.rstrip("_") for path in COMMANDS.glob("*.py") if path.stem != "__init__"
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the declaration of a command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return declare_command(_module(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called, imported once its arguments are found to be usable."""
        near = find_similar_names(args[0], self.list_commands(ctx))
        if near and args[0] not in self.list_commands(ctx) and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]}?")
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None or ctx.resilient_parsing:
            return name, command, rest
        check_arguments(command, name, rest, ctx)
        module = importlib.import_module(_module(name))
        resume_collection()
        return name, module.command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for, with the first line of each file."""
        left = dict.fromkeys(self.list_commands(ctx))
        for section, wanted in SECTIONS.items():
            names = [name for name in wanted.split() or left if name in left]
            for name in names:
                del left[name]
            if names:
                with formatter.section(section):
                    formatter.write_dl([(name, _title(name)) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands from their files, and the options as click does."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=_title(name)) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)


def _title(name: str) -> str:
    path = COMMANDS / f"{_file(name)}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _module(name: str) -> str:
    return f"auditor.cli.commands.{_file(name)}"


def _file(name: str) -> str:
    return name if (COMMANDS / f"{name}.py").is_file() else f"{name}_"


@click.group(
    cls=FileCommandGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="auditor")
def auditor() -> None:
    """Audit a machine-learning model on its target, and publish a signed report."""


def main() -> None:
    """Run the command and turn every deliberate error into its exit code."""
    pause_collection()
    try:
        status = run()
    except CancelledError as error:
        click.echo(f"Error: {make_printable(adapt_install_hints(str(error)))}", err=True)
        raise SystemExit(exit_for_error(error)) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo(STOPPED, err=True)
        raise SystemExit(ExitCode.INTERNAL) from None
    finally:
        resume_collection()
    raise SystemExit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments``, by default the process's own; return its exit code.

    Only what the user stops is raised: ``CancelledError``, ``click.Abort``.
    """
    try:
        status = auditor.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return ExitCode.INVALID
    except (click.Abort, CancelledError):
        raise
    except AuditorError as error:
        click.echo(f"Error: {make_printable(adapt_install_hints(str(error)))}", err=True)
        return exit_for_error(error)
    except MemoryError:
        click.echo(
            "Error: this machine has too little memory. Use less data, or a machine "
            "with more memory.",
            err=True,
        )
        return ExitCode.INVALID
    except Exception as error:  # noqa: BLE001 -- the last door: Python's own exit code 1 would say "failed"
        click.echo(_defect(error), err=True)
        return ExitCode.INTERNAL
    return status if isinstance(status, int) else ExitCode.DONE


def _defect(error: Exception) -> str:
    if os.environ.get("AUDITOR_DEBUG"):
        return "".join(traceback.format_exception(error))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return (
        f"Internal error at {place}: {type(error).__name__}: {error}. This is a defect of auditor: "
        "set AUDITOR_DEBUG=1 to see where it happened, and report it."
    )
