"""A service, one for all tests of its API, and visitors of its pages."""

from collections.abc import Iterator

import pytest
from opened_worlds import opened
from postgresql_databases import postgresql_database, postgresql_url
from served_worlds import World
from visited_pages import Pages

__all__ = ["postgresql_database", "postgresql_url"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Open a service with one finished audit in the project ``default``."""
    with opened(tmp_path_factory.mktemp("service")) as made:
        yield made


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Open another one like it, for tests that let audits of the same bytes end."""
    with opened(tmp_path_factory.mktemp("apart")) as made:
        yield made


@pytest.fixture(scope="session")
def pages(world: World) -> Pages:
    """Return the pages of the service, with visitors that are logged in."""
    return Pages.of(world)
