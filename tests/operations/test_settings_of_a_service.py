"""What a service is told by its environment, with secrets in files."""

from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.workflows.settings import AuditorSettings

URL = "postgresql://auditor:secret@db/auditor"


def test_the_url_of_the_database_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"{URL}\n")
    world = {"AUDITOR_HOME": str(tmp_path), "AUDITOR_DATABASE_URL_FILE": str(file)}
    assert AuditorSettings.from_environment(world).database == URL
    with pytest.raises(UsageError, match="both set") as caught:
        AuditorSettings.from_environment({**world, "AUDITOR_DATABASE_URL": URL})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_file_without_a_url_never_means_the_usual_database(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="AUDITOR_DATABASE_URL_FILE"):
        AuditorSettings.from_environment({"AUDITOR_DATABASE_URL_FILE": str(file)})
