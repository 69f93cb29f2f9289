"""What a reader is told of slices on which the model is worse, and the sheets of clusters."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from rendering_records import BLOBS, FAILING, inputs_of

from auditor.checks.fairness.clusters import ErrorClusterCheck
from auditor.checks.fairness.slices import ErrorSliceCheck
from auditor.domain.evidence import Item, encode_evidence
from auditor.domain.json import Json
from auditor.domain.number_text import DASH
from auditor.domain.readings import BoundKind, Measurement, Unit
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.formats.html import render_html
from auditor.reports.html.examples import ContactSheet, build_contact_sheets
from auditor.reports.html.findings import describe_reading
from auditor.reports.html.measurements import build_figure_sections
from auditor.reports.rendering_inputs import ReportInputs

POWER: Json = [{"share": 0.01, "rows": 81, "rate": 0.36, "lift": 1.9},
               {"share": 0.2, "rows": 1620, "rate": None, "lift": None}]  # fmt: skip


def reading(
    metric: str, value: float, check: str = ErrorSliceCheck.id, **more: object
) -> Measurement:
    counted = metric.startswith("slices_")
    plain = Measurement(
        metric=metric, value=value, method="split in halves, holm at 0.05", n=1000,
        unit=Unit.COUNT if counted else Unit.SHARE, target="cpu", check=check, version=1,
        low=None if counted else value * 0.9, high=None if counted else value * 1.1,
        confidence=None if counted else 0.95,
    )  # fmt: skip
    return replace(plain, **more)


def bad(
    slice_: Mapping[str, str], wrong: int, rows: int, check: str = ErrorSliceCheck.id, **more: Json
) -> Measurement:
    rest = {"k": 100 - wrong, "n": 1000 - rows}
    details: dict[str, Json] = {
        "held_out": {"k": wrong, "n": rows},
        "rest": rest,
        "lift": wrong / rows / (rest["k"] / rest["n"]),
        **more,
    }
    return reading("error", wrong / rows, check, n=rows, slice=slice_, details=details)


def searched(*slices: Measurement, check: str = ErrorSliceCheck.id) -> AuditRecord:
    counts = {"slices_looked_at": 3491, "slices_tried": 5, "slices_confirmed": len(slices)}
    worst = reading(
        "worst_slice_error", 0.3, check, bound=BoundKind.AT_LEAST,
        details={"would_be_confirmed": POWER},
    )  # fmt: skip
    told = [reading(name, value, check) for name, value in counts.items()]
    return replace(FAILING, readings=(reading("error", 0.1, check), *slices, worst, *told))


def shown(record: AuditRecord) -> ReportInputs:
    known = {ErrorSliceCheck.id: ErrorSliceCheck, ErrorClusterCheck.id: ErrorClusterCheck}
    inputs = inputs_of(record)
    return replace(inputs, checks={**inputs.checks, **known})


def panels(record: AuditRecord) -> tuple[FigurePanel, ...]:
    (section,) = [
        item for item in build_figure_sections(shown(record)) if item.title == "Where it is worse"
    ]
    return section.panels


def test_a_slice_is_told_by_what_it_is_how_bad_for_how_many_and_in_which_way() -> None:
    mistakes: Json = [{"label": "no", "decided": "yes", "n": 30},
                      {"label": "yes", "decided": "no", "n": 10}]  # fmt: skip
    married = bad({"city": "far", "sex": "f"}, 40, 100, mistakes=mistakes)
    told, power = panels(searched(married))
    assert told.caption.startswith("3491 slices were looked at in one half of the rows. ")
    tried = (
        "The other half tried 5 of them and confirmed 1 to be worse than the rest (holm at 0.05)"
    )
    assert tried in told.caption
    first, cure = told.notes
    assert first == (
        "1. city: far and sex: f. 40 % of the decisions are wrong (36\N{EN DASH}45 %), 6.0 times "
        "the 6.7 % of all other rows. That is 100 of 1,000 rows (10.0 %); 33 fewer would be wrong "
        "if it did as well there as elsewhere. Of 40 mistakes, 30 say yes where no is right, 10 "
        "say no where yes is right."
    )
    assert cure.startswith("What to do:")
    assert power.rows == (("1 %", "81", "36.0 %", "1.90"), ("20 %", "1,620", "none would be", DASH))


def test_a_slice_of_a_regression_is_told_in_its_own_words() -> None:
    told, _ = panels(searched(bad({"city": "far"}, 40, 100)))
    assert "40 % of the predictions are off by more than the tolerance (36" in told.notes[0]
    assert told.notes[-1].endswith("have people check the answers there.")


def with_parameters(record: AuditRecord, check: str, **params: Json) -> AuditRecord:
    seen = CheckObservation(
        target="cpu", check=check, version=1, params=params, seed=1, evidence={}
    )
    return replace(record, observations=(*record.observations, seen))


@pytest.mark.parametrize("check", [ErrorSliceCheck.id, ErrorClusterCheck.id])
@pytest.mark.parametrize(
    ("params", "shown_rows"),
    [
        ({"least_rows": 81}, ["81", "1,620"]),
        ({"least_rows": 82}, ["1,620"]),
        ({"least_share": 0.02}, ["1,620"]),
        ({"least_rows": 50, "no_such": 1}, ["81", "1,620"]),
    ],
)
def test_no_slice_is_shown_that_the_search_of_this_audit_does_not_admit(
    check: str, params: Mapping[str, Json], shown_rows: list[str]
) -> None:
    _, power = panels(with_parameters(searched(check=check), check, **params))
    assert [row[1] for row in power.rows] == shown_rows


def test_where_the_search_admits_no_slice_of_the_table_the_reader_is_told_so() -> None:
    record = with_parameters(searched(), ErrorSliceCheck.id, least_rows=2000)
    (told,) = panels(record)
    assert told.notes == (
        (
            "None was confirmed, which does not prove that there is none: the rows are too few to "
            "show how bad a slice could be and stay unseen."
        ),
    )


def test_the_worst_slice_is_named_where_its_figure_is_said() -> None:
    place: Json = {"city": "far", "sex": "f"}
    worst = reading("worst_slice_error", 0.3, bound=BoundKind.AT_LEAST, details={"slice": place})
    record = searched()
    assert describe_reading(shown(record), worst).endswith(". The slice is city: far and sex: f.")
    nobody = replace(worst, details={"slice": {}})
    assert "The slice is" not in describe_reading(shown(record), nobody)


def test_those_come_first_that_wrong_most_and_a_part_names_its_whole() -> None:
    part = bad({"city": "far", "sex": "f"}, 20, 40)
    whole = bad({"city": "far"}, 40, 100)
    told, _ = panels(searched(part, whole))
    assert told.notes[0].startswith("1. city: far. 40 %")
    assert told.notes[1].startswith("2. city: far and sex: f (a worse part of slice 1). 50 %")
    assert [row[:2] for row in told.rows] == [
        ("all rows", "all rows"), ("slice 1", "city: far"), ("slice 2", "city: far and sex: f"),
    ]  # fmt: skip


def test_where_nothing_was_confirmed_the_reader_is_told_what_could_have_been_missed() -> None:
    told, power = panels(searched())
    assert len(told.notes) == 1
    assert "does not prove that there is none" in told.notes[0]
    assert "detectable differences" in power.title


def test_a_cluster_says_whence_it_comes_and_how_its_rows_are_labelled() -> None:
    view: Json = {"layer": "dense_1", "operator": "Gemm", "inputs": False, "width": 20, "axes": 8}
    labels: Json = [{"label": "7", "n": 60}, {"label": "1", "n": 40}]
    cluster = {"embedding cluster": "2 of 16"}
    found = bad(cluster, 40, 100, ErrorClusterCheck.id, labels=labels, view=view)
    record = searched(found, check=ErrorClusterCheck.id)
    first, *rest = record.readings
    assert isinstance(first, Measurement)
    record = replace(record, readings=(replace(first, details={"view": view}), *rest))
    told, _ = panels(record)
    assert "the 20 numbers that the model's last layer (dense_1) is given" in told.caption
    assert told.notes[0].endswith("Most frequent labels there: 7 (60), 1 (40).")


def sheets(*, show: bool = True, **more: Item) -> tuple[tuple[ContactSheet, ...], str]:
    kept: dict[str, Item] = {
        "sheet": [
            {"cluster": "2 of 8", "row": "r9", "place": 1, "distance": 0.1, "wrong": True},
            {"cluster": "2 of 8", "row": "r4", "place": 0, "distance": 0.2, "wrong": False},
            {"cluster": "5 of 8", "row": "r1", "place": 2, "distance": 0.3, "wrong": True},
        ],
        "task": {"classes": ["cat", "dog"]},
        "labels": np.array([0, 1, 0], np.int16),
        "decided": np.array([0, 0, 1], np.int16),
        **more,
    }
    blobs = {name: encode_evidence(item) for name, item in kept.items()}
    names = {name: blob.digest for name, blob in blobs.items()}
    seen = CheckObservation("cpu", ErrorClusterCheck.id, 1, {}, 1, names)
    raw = {**BLOBS, **{blob.digest: blob.raw for blob in blobs.values()}}
    record = replace(FAILING, observations=(seen,))
    inputs = inputs_of(record, blob=raw.__getitem__, show_examples=show)
    return build_contact_sheets(inputs), render_html(inputs)


def test_a_sheet_shows_pictures_and_marks_what_is_wrong() -> None:
    (first, second), page = sheets(sheet_inputs=np.random.default_rng(0).random((3, 1, 8, 8)))
    assert (first.cluster, first.wrong, len(first.prints)) == ("2 of 8", 1, 2)
    one, other = first.prints
    assert (one.row, one.wrong, one.label, one.decision) == ("r9", True, "dog", "cat")
    assert (other.row, other.wrong, other.label, other.decision) == ("r4", False, "cat", "cat")
    assert one.picture.startswith("data:image/png;base64,")
    assert [item.row for item in second.prints] == ["r1"]
    assert "Cluster 2 of 8: 1 of these 2 are wrong" in " ".join(page.split())
    assert '<li class="wrong">' in page


def test_a_sheet_of_texts_shows_their_openings_harmlessly() -> None:
    (first, _), page = sheets(sheet_texts=["<script>bad</script>", "so good", "why"])
    assert [item.text for item in first.prints] == ["<script>bad</script>", "so good"]
    assert "<script>" not in page


def test_without_leave_and_without_evidence_there_are_no_sheets() -> None:
    assert sheets(show=False)[0] == ()
    assert sheets(sheet="broken")[0] == ()
    (first, _), _ = sheets(labels=np.zeros(0, np.int16))
    assert first.prints[0].label == ""
