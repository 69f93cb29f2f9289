"""What tests of running the service share: a database of their own, and a bucket."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fleets import Fleet
from postgresql_databases import SERVER, postgresql_database
from small_audits import write_example
from sqlalchemy import URL, create_engine, make_url, text

__all__ = ["postgresql_database"]


@contextmanager
def _made() -> Iterator[str]:
    administrator = create_engine(SERVER, isolation_level="AUTOCOMMIT")
    name = f"auditor_fleet_{uuid.uuid4().hex}"
    with administrator.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    with administrator.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    administrator.dispose()


@pytest.fixture
def own_database(postgresql_database: URL) -> Iterator[str]:
    """Give the URL of an empty database, which also the engine has to itself."""
    del postgresql_database  # skips where there is no server
    with _made() as url:
        yield url


@pytest.fixture
def other_database(own_database: str) -> Iterator[str]:
    """Give the URL of a second empty database."""
    del own_database
    with _made() as url:
        yield url


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Give a folder with an example in it, where processes of a service are started."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "example").mkdir()
    write_example(folder / "example")
    with Fleet(folder) as opened:
        yield opened


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """Serve a bucket on this machine, and give the environment that names it."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- it takes a second to load

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()  # servers of one process share all
    httpx.put(f"{endpoint}/audits").raise_for_status()
    yield {
        "AUDITOR_BLOBS_URL": "s3://audits/kept",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "us-east-1",
    }
    server.stop()
