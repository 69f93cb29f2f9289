"""Draws docs/images/report.png and report-dark.png: the first screen of an example's report.

    python scripts/draw_report.py [PAGE]

Draws PAGE, a report.html, or audits examples/digits at budget smoke by a policy that lets smoke
pass. Needs Chromium.
"""  # noqa: INP001 -- a script

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
IMAGES: Final = ROOT / "docs" / "images"
EXAMPLE: Final = ROOT / "examples" / "digits" / "audit.yaml"
AUDITOR: Final = Path(sys.executable).with_name("auditor")
POLICY: Final = """\
apiVersion: auditor/v1
kind: Policy
extends: baseline
metadata:
  name: release-smoke
  version: 1.0.0
  owner: auditor project
  description: The rules of baseline, for the picture of a report.
  least_budget: smoke
  valid_for: 90d
  loosens: The picture shows a report, and approves nothing.
"""
SCHEMES: Final = {"report.png": 1, "report-dark.png": 0}
"""The pictures, and Chromium's number of the colour scheme of each."""
WIDTH, HEIGHT = 1280, 1136
"""Of a window that holds the first screen: the verdict up to the rules by outcome."""


def audit_example(made: Path) -> Path:
    """Audit the example with keys of its own, whatever its verdict, and return its report."""
    policy, folder = made / "policy.yaml", made / "record"
    policy.write_text(POLICY, encoding="utf-8")
    asked = (EXAMPLE, "--policy", policy, "--budget", "smoke", "--out", folder)
    done = subprocess.run(  # noqa: S603 -- our own command
        [AUDITOR, "audit", *asked], env={**os.environ, "AUDITOR_HOME": str(made)}, check=False
    )
    if done.returncode not in {0, 1, 3}:
        raise SystemExit(f"auditor audit ended with exit code {done.returncode}.")
    return folder / "report.html"


def draw_page(page: Path, picture: Path, scheme: int, profile: Path) -> None:
    """Draw the top of a page in a colour scheme."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("Chromium is missing. Install it (Debian: apt install chromium).")
    looks = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    place = (f"--user-data-dir={profile}", f"--screenshot={picture}", page.as_uri())
    window = (f"--window-size={WIDTH},{HEIGHT}", f"--blink-settings=preferredColorScheme={scheme}")
    subprocess.run(  # noqa: S603 -- a page of our own
        [chromium, *looks, *window, *place], check=True, capture_output=True
    )


def main(page: Path | None) -> None:
    """Draw a page, by default that of the example, in both schemes."""
    with TemporaryDirectory() as made:
        shown = audit_example(Path(made)) if page is None else page.resolve()
        for name, scheme in SCHEMES.items():
            draw_page(shown, IMAGES / name, scheme, Path(made, "profile"))
            print(IMAGES / name)  # noqa: T201 -- a script


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
