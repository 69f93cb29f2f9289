"""Differences between groups that no figure compares stand beside the verdict."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Command = Callable[..., Any]
ONLY = ("--only", "quality.accuracy", "--only", "fairness.groups")
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: preds, version: "1"}
task: {kind: classification, classes: [%s], favourable: %s}
data:
  evaluation: {path: preds.csv, labels: label, predictions: decided, groups: [%s]}
policy: baseline
"""
LEAD = "Large differences between groups that no rule or figure compares"


def audited(
    auditor: Command,
    folder: Path,
    classes: tuple[str, ...],
    decide: Callable[[int], str],
    groups: str = "sex, race",
) -> str:
    """Audit 800 rows, of which four in a row are of the four combinations of two columns.

    Six more columns are of noise; two have names that the combinations would have.
    """
    noise = np.random.default_rng(0).integers(0, 2, size=(800, 6))
    lines = ['label,decided,sex,race,"race, sex",sexrace,n1,n2,n3,n4']
    for at in range(800):
        said = decide(at)
        more = ",".join(map(str, noise[at]))
        lines.append(f"{said},{said},{'FM'[at % 2]},{'AB'[at // 2 % 2]},{more}")
    (folder / "preds.csv").write_text("\n".join(lines) + "\n")
    (folder / "audit.yaml").write_text(AUDIT % (", ".join(classes), classes[-1], groups))
    auditor("audit", folder / "audit.yaml", *ONLY, "--out", folder / "out")
    return " ".join((folder / "out" / "summary.md").read_text().replace("\\", "").split())


@pytest.mark.parametrize("apart", [True, False])
def test_combinations_of_columns_that_are_treated_apart_are_named(
    auditor: Command,
    tmp_path: Path,
    apart: bool,  # noqa: FBT001 -- a case
) -> None:
    def decide(at: int) -> str:
        alike = (at % 2) == (at // 2 % 2)
        return "granted" if (at // 4 % 10 < 8) == (alike or not apart) else "refused"

    text = audited(auditor, tmp_path, ("refused", "granted"), decide)
    said = "“granted” is decided for 20 % of “M, A” and 80 % of “F, A” (by sex and race together)"
    assert (LEAD in text) is apart
    assert (said in text) is apart


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("n1, n2, n3, n4, sex, race", True),
        ('sex, race, sexrace, "race, sex"', True),
        ('sex, race, "sex, race"', False),
    ],
)
def test_only_a_column_that_holds_the_combinations_stands_for_them(
    auditor: Command, tmp_path: Path, groups: str, *, said: bool
) -> None:
    def decide(at: int) -> str:
        return "granted" if (at // 4 % 10 < 8) == (at % 2 == at // 2 % 2) else "refused"

    text = audited(auditor, tmp_path, ("refused", "granted"), decide, groups)
    assert ("(by sex and race together)" in text) is said
    assert (LEAD in text) is said


@pytest.mark.parametrize("apart", [True, False])
def test_a_class_beside_the_favourable_one_that_groups_get_unequally_is_named(
    auditor: Command,
    tmp_path: Path,
    apart: bool,  # noqa: FBT001 -- a case
) -> None:
    def decide(at: int) -> str:
        if at // 4 % 5 == 0:
            return "best"
        most = (at // 2 % 2) if apart else (at // 4 % 2)
        return "mid" if (at // 4 % 10 < 8) == bool(most) else "low"

    text = audited(auditor, tmp_path, ("low", "mid", "best"), decide)
    assert (LEAD in text) is apart
    assert ("(by race)" in text.partition(LEAD)[2]) is apart
