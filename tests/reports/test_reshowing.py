from pathlib import Path

import pytest
from block_records import TOY, every_part, inputs_with

from auditor.domain.report_blocks import CheckOrigin
from auditor.domain.verification_steps import StepResult
from auditor.reports.folder import RecordFolder
from auditor.reports.report_formats import render_all
from auditor.workflows.verify.rendered_report import check_rendering

NEWER = inputs_with(every_part, origins={TOY: CheckOrigin("toychecks", "1.3.0")})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an audit with version 1.2.0 of toychecks wrote."""
    place = tmp_path_factory.mktemp("out")
    for name, raw in render_all(inputs_with(every_part)).items():
        (place / name).write_bytes(raw)
    return place


@pytest.fixture
def folder(place: Path) -> RecordFolder:
    """A reading of the folder for one test alone: what was read once stays as it was."""
    return RecordFolder(place)


def test_a_block_that_another_version_of_its_package_shows_otherwise_is_no_mistake(
    folder: RecordFolder,
) -> None:
    step = check_rendering(folder, NEWER, same_code=True, same_environment=False)
    assert step.result is StepResult.NOT_CHECKED
    assert "report.html, summary.md hold what toychecks 1.3.0 shows of its own" in step.detail


def test_it_is_one_where_the_very_same_packages_are_installed(folder: RecordFolder) -> None:
    assert (
        check_rendering(folder, NEWER, same_code=True, same_environment=True).result
        is StepResult.FAILED
    )


def test_it_is_one_where_a_file_without_blocks_differs(folder: RecordFolder) -> None:
    path = folder.path / "junit.xml"
    raw = path.read_bytes()
    path.write_bytes(raw + b" ")
    step = check_rendering(folder, NEWER, same_code=True, same_environment=False)
    path.write_bytes(raw)
    assert step.result is StepResult.FAILED


@pytest.mark.parametrize(
    ("name", "said", "forged"),
    [
        ("report.html", b"</h1>", b", and all is well</h1>"),
        ("report.html", b'<section id="blocks">', b'<section id="blocks">\n</section>\n<p>No'),
        ("summary.md", b"## Findings", b"All is well.\n\n## Findings"),
    ],
)
def test_it_is_one_where_a_file_differs_around_its_blocks(
    folder: RecordFolder, name: str, said: bytes, forged: bytes
) -> None:
    path = folder.path / name
    raw = path.read_bytes()
    assert said in raw
    path.write_bytes(raw.replace(said, forged, 1))
    step = check_rendering(folder, NEWER, same_code=True, same_environment=False)
    path.write_bytes(raw)
    assert step.result is StepResult.FAILED


def test_what_is_rendered_as_it_was_holds_in_any_environment(folder: RecordFolder) -> None:
    same = inputs_with(every_part)
    step = check_rendering(folder, same, same_code=True, same_environment=False)
    assert step.result is StepResult.HOLDS
