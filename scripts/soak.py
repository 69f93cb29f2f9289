"""Lets a service work for minutes with another engine from the middle on, and counts what it lost.

Six workers carry out small audits that are handed in one after another. It starts with an older
release of the engine; at half time every process is stopped and started anew, one after another,
with the one that is installed. At the end each audit must be done, each check must have ended once,
every record must have the figures of the first, and the ledger must have it once.

    python scripts/soak.py --minutes 20
"""  # noqa: INP001 -- a script

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from soaking.fleets import Fleet, older_engine
from soaking.orders import Orders, order_for
from soaking.records import Found, look_at

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "docstrings" / "audit.yaml"
CHECKS = ("quality.accuracy", "quality.calibration")
PAUSE = 1.0
PATIENCE = 600.0


def soak(fleet: Fleet, orders: Orders, minutes: float, at_once: int) -> float:
    """Keep so many audits open for some minutes, and return when all processes had been changed."""
    began, changed = time.monotonic(), 0.0
    while time.monotonic() - began < minutes * 60:
        if not changed and time.monotonic() - began > minutes * 30:
            for role in list(fleet.running):
                fleet.change(role)
                orders.keep_open(at_once)
            changed = time.monotonic() - began
        orders.keep_open(at_once)
        time.sleep(PAUSE)
    until = time.monotonic() + PATIENCE
    while orders.open and time.monotonic() < until:
        orders.look()
        time.sleep(PAUSE)
    return changed


def lost(orders: Orders, found: dict[str, Found]) -> list[str]:
    """Say what was lost, or done twice, or came out otherwise; nothing where all is well."""
    mistakes = [f"{name} has not ended" for name in orders.open]
    mistakes += [f"{name} is {state}" for name, state in orders.ended.items() if state != "done"]
    figures = Counter(item.figures for item in found.values())
    if len(figures) > 1:
        mistakes.append(f"the records have {len(figures)} different sets of figures")
    return mistakes + [f"{name}: {it}" for name, one in found.items() for it in one.mistakes]


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Soak, print the figures, and return 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--database", help="PostgreSQL's URL; else a file of SQLite")
    parser.add_argument("--older", default="3.3.0", help="the engine's release to begin with")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no process is left behind
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        older = older_engine(asked.older, folder / "older")
        say(f"dbos {asked.older if older else version('dbos')}, then {version('dbos')}")
        with Fleet.started(folder, asked.database, asked.workers, older) as fleet:
            client = fleet.client()
            orders = Orders(client, order_for(client, EXAMPLE, CHECKS))
            changed = soak(fleet, orders, asked.minutes, asked.workers + 2)
            memory = fleet.memory()
            found = look_at(fleet, orders.ended, CHECKS)
        mistakes = lost(orders, found)
    count = len(orders.ended)
    say(f"{count} audits, {count * len(CHECKS)} checks by {asked.workers} workers")
    say(f"all processes changed after {changed:.0f} s; the slowest audit: {orders.slowest:.0f} s")
    say(f"memory: {', '.join(f'{role} {size:.0f} MiB' for role, size in memory.items())}")
    say("\n".join(mistakes) or "nothing was lost, and nothing done twice")
    return 1 if mistakes or not changed else 0


if __name__ == "__main__":
    sys.exit(main())
