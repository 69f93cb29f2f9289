"""The `auditor` command: finds its subcommands by their files and loads only the one called."""

import ast
import importlib
import os
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from auditor import __version__
from auditor.cli.exits import Exit, exit_of
from auditor.cli.installing import as_installed
from auditor.cli.texts import printable
from auditor.collecting import begin_loading, end_loading
from auditor.errors import AuditorError, CancelledError

COMMANDS = Path(__file__).parent / "commands"
EXIT_CODES = """Exit codes: 0 pass or done; 1 the policy, a verification or a gate failed;
2 usage or invalid input; 3 inconclusive; 4 internal error or service unreachable."""


class CommandsByFile(click.Group):
    """A group whose commands are the files of a folder; help reads docstrings, imports nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names of the files."""
        return sorted(
            path.stem.rstrip("_") for path in COMMANDS.glob("*.py") if path.stem != "__init__"
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is called."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"auditor.cli.commands.{_module(cmd_name)}")
        end_loading()
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first line of each file."""
        rows = [
            (name, _first_line(COMMANDS / f"{_module(name)}.py"))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _module(name: str) -> str:
    return name if (COMMANDS / f"{name}.py").is_file() else f"{name}_"


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


@click.group(
    cls=CommandsByFile,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="auditor")
def auditor() -> None:
    """Audit a machine-learning model on its target, and publish a signed report."""


def main() -> None:
    """Run the command and turn every deliberate error into its exit code."""
    begin_loading()
    try:
        status = run()
    except CancelledError as error:
        click.echo(f"Error: {printable(as_installed(str(error)))}", err=True)
        raise SystemExit(exit_of(error)) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "Stopped. What was registered stays registered; nothing was published.", err=True
        )
        raise SystemExit(Exit.INTERNAL) from None
    finally:
        end_loading()
    raise SystemExit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments``, by default the process's own; return its exit code.

    Only what the user stops is raised: ``CancelledError``, ``click.Abort``.
    """
    try:
        status = auditor.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.INVALID
    except (click.Abort, CancelledError):
        raise
    except AuditorError as error:
        click.echo(f"Error: {printable(as_installed(str(error)))}", err=True)
        return exit_of(error)
    except MemoryError:
        click.echo(
            "Error: the memory of this machine is not enough. Take less data, or a machine with "
            "more memory.",
            err=True,
        )
        return Exit.INVALID
    except Exception as error:  # noqa: BLE001 -- the last door: Python's own exit code 1 would say "failed"
        click.echo(_defect(error), err=True)
        return Exit.INTERNAL
    return status if isinstance(status, int) else Exit.DONE


def _defect(error: Exception) -> str:
    if os.environ.get("AUDITOR_DEBUG"):
        return "".join(traceback.format_exception(error))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return (
        f"Internal error at {place}: {type(error).__name__}: {error}. This is a defect of auditor: "
        "set AUDITOR_DEBUG=1 to see where it happened, and report it."
    )
