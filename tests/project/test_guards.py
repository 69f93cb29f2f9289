"""The guards of the test suite itself."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"


def test_a_connection_beyond_this_machine_is_refused() -> None:
    with socket.socket() as client, pytest.raises(pytest.fail.Exception, match="only this machine"):
        client.connect(("192.0.2.1", 80))


def test_a_connection_by_a_foreign_name_is_refused() -> None:
    with socket.socket() as client, pytest.raises(pytest.fail.Exception, match=r"example\.org"):
        client.connect_ex(("example.org", 80))


def test_a_connection_within_this_machine_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())


def test_each_test_has_a_home_of_its_own(home: Path, tmp_path: Path) -> None:
    assert os.environ["AUDITOR_HOME"] == str(home)
    assert home.parent == tmp_path
    assert not home.exists()


def test_numeric_libraries_use_one_thread() -> None:
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_text_without_a_golden_file_fails(golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AssertionError, match="--update-golden"):
        golden("no/such/file.txt", "anything")


@pytest.mark.slow
def test_a_golden_file_is_written_on_demand_and_compared_ever_after(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile("def test_text(golden): golden('page.txt', 'first')")
    assert pytester.runpytest_subprocess("--update-golden").ret == pytest.ExitCode.OK
    assert (pytester.path / "golden" / "page.txt").read_text() == "first"
    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.OK
    pytester.makepyfile("def test_text(golden): golden('page.txt', 'second')")
    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.TESTS_FAILED
