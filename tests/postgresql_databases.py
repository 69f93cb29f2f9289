"""A database on the PostgreSQL server, and empty schemas in it, for any test that names them."""

import os
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

SERVER = os.environ.get(
    "AUDITOR_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/test"
)


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[URL]:
    """Make a database on the server for this session, and drop it at the end."""
    administrator = create_engine(
        SERVER, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5}
    )
    name = f"auditor_test_{uuid.uuid4().hex}"
    try:
        with administrator.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError as error:
        if os.environ.get("AUDITOR_REQUIRE_SERVICES") == "1":
            raise
        pytest.skip(f"no PostgreSQL at {SERVER}: {error.orig}")
    yield make_url(SERVER).set(database=name)
    with administrator.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    administrator.dispose()


@pytest.fixture
def postgresql_url(postgresql_database: URL) -> str:
    """Give the URL of an empty schema of its own."""
    schema = f"s{uuid.uuid4().hex}"
    engine = create_engine(postgresql_database)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    url = postgresql_database.update_query_dict({"options": f"-csearch_path={schema}"})
    return url.render_as_string(hide_password=False)
