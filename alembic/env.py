"""Runs migrations on the connection that ``auditor`` hands over, or on ``alembic -x url=…``."""

from alembic import context
from sqlalchemy import Connection, create_engine

from auditor.service.store import tables as service_tables
from auditor.store import tables

# These modules declare their tables to the one base that they share.
MODULES = (tables, service_tables)
(METADATA,) = {item.TableBase.metadata for item in MODULES}


def run(connection: Connection) -> None:
    """Bring the database behind ``connection`` to the revision asked for."""
    context.configure(connection=connection, target_metadata=METADATA)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Use the connection at hand, whose owner commits, or open one."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        run(connection)
        return
    url = context.get_x_argument(as_dictionary=True)["url"]
    with create_engine(url).begin() as opened:
        run(opened)


main()
