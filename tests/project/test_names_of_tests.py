"""No two modules of the tests share a name."""

from collections import Counter
from pathlib import Path


def test_no_two_modules_beside_the_tests_share_a_name() -> None:
    """All folders of tests are on one path: of two `fleets.py`, the first that is read is both."""
    tests = Path(__file__).parents[1]
    shown = Counter(
        path.name for path in tests.rglob("*.py") if path.name not in {"conftest.py", "__init__.py"}
    )
    assert shown["test_names_of_tests.py"] == 1
    assert [name for name, count in shown.items() if count > 1] == []
