from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.auditfiles import AuditFile
from auditor.domain.datasets import DatasetRole
from auditor.domain.targets import TargetSpec
from auditor.inputs.auditfile.draft import DraftFacts, draft_audit_file
from auditor.inputs.auditfile.read import read_audit_file


def read(text: str) -> AuditFile:
    return read_audit_file(text.encode(), "audit.yaml", lambda entry: TargetSpec(str(entry)))


def test_what_was_observed_stands_in_the_draft() -> None:
    draft = draft_audit_file(
        DraftFacts(
            name="loans",
            artifact="model.onnx",
            data="test.csv",
            model_shape=(None, 3),
            outputs=2,
            rows=1149,
            columns=("id", "a", "b", "c", "race", "note", "y"),
            labels="y",
            classes=("0", "1"),
            id="id",
            groups=("race",),
            slices=("note",),
        )
    )
    audit = read(draft)
    section = audit.data[DatasetRole.EVALUATION]
    assert audit.model.artifact == "model.onnx"
    assert audit.task.classes == ("0", "1")
    assert audit.task.favourable == "1"
    assert (section.path, section.labels, section.id) == ("test.csv", "y", "id")
    assert (section.groups, section.slices) == (("race",), ("note",))
    assert "takes [rows, 3], gives 2 scores" in draft
    assert "1149 rows" in draft


def test_a_model_that_reads_texts_gets_the_tag_that_rules_about_words_go_by() -> None:
    seen = DraftFacts(name="m", artifact="m.onnx", data="x.csv", text="message", reads_text=True)
    assert read(draft_audit_file(seen)).model.tags == ("text",)
    people = replace(seen, tags=("not-about-people",))
    assert set(read(draft_audit_file(people)).model.tags) == {"text", "not-about-people"}
    assert read(draft_audit_file(replace(seen, reads_text=False))).model.tags == ()


def test_a_domain_holds_all_values_and_is_that_of_pixels_only_where_they_fill_it() -> None:
    def draft(low: float, high: float) -> AuditFile:
        seen = DraftFacts(
            name="m", artifact="m.onnx", data="x.npz", input_shape=(8,), value_range=(low, high)
        )
        return read(draft_audit_file(seen))

    assert draft(0.0, 1.0).input.domain == (0.0, 1.0)
    assert draft(0.0, 254.0).input.domain == (0.0, 255.0)
    assert draft(0.0, 16.0).input.domain == (0.0, 16.0)
    assert draft(-3.71, 4.28).input.domain == (-4.0, 5.0)
    assert draft(2.0, 2.0).input.domain is None


def test_columns_are_told_from_what_stands_beside_an_array() -> None:
    facts = DraftFacts(name="m", artifact="m.onnx", data="d", rows=2, columns=("y",))
    assert '    # 2 rows; columns: "y"\n' in draft_audit_file(facts)
    beside = draft_audit_file(replace(facts, input_shape=(8,)))
    assert '    # 2 rows; beside the inputs: "y"\n' in beside


def test_a_model_with_other_classes_than_the_labels_is_pointed_out() -> None:
    seen = DraftFacts(
        name="m", artifact="m.onnx", data="x.npz", outputs=10, classes=("0", "1"), labels="y"
    )
    assert "The model gives 10 scores, but the data hold 2 labels" in draft_audit_file(seen)


NAMES = st.text(min_size=1, max_size=12).filter(
    lambda text: bool(text.strip()) and text.isprintable()
)


@given(
    name=NAMES,
    columns=st.lists(st.text(max_size=12), unique=True, max_size=6),
    classes=st.lists(st.text(max_size=8), unique=True, max_size=5),
    rows=st.integers(0, 10**6),
)
def test_any_draft_is_an_audit_file_as_it_stands(
    name: str, columns: list[str], classes: list[str], rows: int
) -> None:
    printable = [text for text in columns if text.isprintable() and text.strip()]
    audit = read(
        draft_audit_file(
            DraftFacts(
                name=name,
                artifact="model.onnx",
                data="test.csv",
                rows=rows,
                columns=tuple(columns),
                labels=columns[0] if columns else None,
                classes=tuple(classes),
                groups=tuple(columns[1:]),
            )
        )
    )
    assert audit.model.name == name
    assert set(audit.data[DatasetRole.EVALUATION].groups) <= set(printable)
