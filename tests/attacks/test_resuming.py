from dataclasses import dataclass, field

import numpy as np
import pytest
from evasion_toys import arena, box, linear

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.domain.check_subject import report_nothing
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.errors import CancelledError

ROWS = 5000


@dataclass(slots=True)
class Notebook:
    """Keeps what it is given as bytes, as a store would."""

    pages: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def recall(self, name: str) -> Evidence | None:
        page = self.pages.get(name)
        return None if page is None else {item: decode_evidence(raw) for item, raw in page.items()}

    def remember(self, name: str, evidence: Evidence) -> None:
        self.pages[name] = {item: encode_evidence(value).raw for item, value in evidence.items()}


@dataclass(slots=True)
class Impatient:
    """Stops the work at a number of questions."""

    left: int

    def __call__(self, done: int, total: int, note: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise CancelledError("stopped", cure="none")


def case(count: int = ROWS, values: int = 5) -> AttackSetup:
    model, twin, _, _ = linear(1, values)
    rows = np.random.default_rng(0).random((count, values))
    return arena(model, rows, model.logits(rows).argmax(axis=1), box((values,)), twin)


SUITE = AttackSuite((AutoPgd(8), AutoPgd(8, "margin")))


def test_an_interrupted_sweep_goes_on_where_it_was_and_ends_the_same() -> None:
    notes, budgets = Notebook(), (0.05, 0.1)
    whole = run_sweep(SUITE, case(), budgets, 3, report_nothing, refine=4)
    with pytest.raises(CancelledError):
        run_sweep(SUITE, case(), budgets, 3, Impatient(50), refine=4, memory=notes)
    assert len(notes.pages) == 1
    again = case()
    before = again.model.queries
    found = run_sweep(SUITE, again, budgets, 3, report_nothing, refine=4, memory=notes)
    assert found.crafted.tobytes() == whole.crafted.tobytes()
    assert found.log == whole.log
    spent = sum(bill.queries for bill in whole.log)
    assert 0.3 * spent < again.model.queries - before < 0.8 * spent


def test_what_was_seen_of_other_work_is_not_taken_for_this() -> None:
    notes = Notebook()
    run_sweep(SUITE, case(), (0.1,), 3, report_nothing, memory=notes)
    pages = len(notes.pages)
    run_sweep(SUITE, case(), (0.1,), 4, report_nothing, memory=notes)
    run_sweep(SUITE, case(), (0.2,), 3, report_nothing, memory=notes)
    assert len(notes.pages) == 3 * pages


@pytest.mark.parametrize(
    ("rows", "values", "parts"), [(2048, 5, 1), (2049, 5, 2), (1100, 60, 2), (1025, 300, 3)]
)
def test_rows_of_few_values_are_attacked_in_larger_parts(
    rows: int, values: int, parts: int
) -> None:
    notes = Notebook()
    run_sweep(
        AttackSuite((AutoPgd(1),)), case(rows, values), (0.1,), 3, report_nothing, memory=notes
    )
    assert len(notes.pages) == parts
