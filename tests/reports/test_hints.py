from dataclasses import replace

from attacked_records import ATTACKED

from auditor.domain.json import Json
from auditor.domain.number_text import describe_extreme_groups
from auditor.domain.readings import Measurement, Unit
from auditor.reports.html.coverage import find_suspicion

GAP = Measurement(
    metric="selection_rate_gap",
    value=0.1,
    low=0.0,
    high=0.2,
    confidence=0.95,
    method="all pairs",
    n=300,
    unit=Unit.SHARE,
    details={
        "highest": "white",
        "lowest": "black",
        "counts": {"white": {"k": 90, "n": 100}, "black": {"k": 160, "n": 200}},
    },
)


def test_a_gap_names_the_two_groups_that_it_lies_between() -> None:
    assert (
        describe_extreme_groups(GAP)
        == " Highest: white (90 % of 100); lowest: black (80 % of 200)."
    )
    bare = replace(GAP, details={"highest": "white", "lowest": "black"})
    assert describe_extreme_groups(bare) == " Highest: white; lowest: black."
    assert describe_extreme_groups(replace(GAP, details={})) == ""
    alike: dict[str, Json] = {name: {"k": 9, "n": 10} for name in ("white", "black")}
    assert describe_extreme_groups(replace(GAP, details={**GAP.details, "counts": alike})) == ""


def test_scores_that_contradict_predictions_are_suspected() -> None:
    odd = replace(GAP, metric="accuracy", details={"decided_otherwise": 30.0})
    assert find_suspicion(ATTACKED, odd).startswith(
        "In 30 of 300 rows the prediction is not the one"
    )
    assert find_suspicion(ATTACKED, GAP) == ""


def test_labels_that_scores_contradict_are_no_fault_of_the_audit_file() -> None:
    noise = replace(GAP, metric="noise_share", details={"contradicted": 79.0})
    assert find_suspicion(ATTACKED, noise) == ""


def test_ranges_that_rows_hardly_fill_are_suspected() -> None:
    wide = replace(GAP, metric="robust_accuracy", details={"filled": 1 / 255})
    assert find_suspicion(ATTACKED, wide).startswith(
        "The evaluation rows fill 0.39 % of the declared ranges. Every eps is a share of these"
    )
    assert find_suspicion(ATTACKED, replace(wide, details={"filled": 0.5})) == ""
