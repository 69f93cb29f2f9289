"""DBOS as it is used here: nothing but JSON is ever written or read."""

import logging
from typing import Any

from auditor.errors import MissingExtraError
from auditor.extras import to_install
from auditor.refusals import EngineError


def library() -> Any:  # noqa: ANN401 -- a module whose decorators have no types
    """Return DBOS without its pickles: a row that names them would run code, whatever we write.

    Raises ``MissingExtraError`` where it is not installed.
    """
    try:
        import dbos  # noqa: PLC0415 -- heavy and optional
        from dbos._serialization import DefaultSerializer  # noqa: PLC0415 -- the same
    except ImportError as error:
        raise MissingExtraError(
            f"the durable engine is not installed ({error.name or error})",
            cure=f"{to_install('server')}.",
        ) from error
    for name in ("serialize", "deserialize"):
        setattr(DefaultSerializer, name, _refused)
    logging.getLogger("dbos").addFilter(_worth_a_line)
    return dbos


def _worth_a_line(line: logging.LogRecord) -> bool:
    """Whether a line says more than that somebody cancelled a submission, and all stopped."""
    raised = line.exc_info[0] if line.exc_info else None
    return raised is None or "Cancelled" not in raised.__name__


def _refused(*_: object) -> None:
    raise EngineError(
        "a row of the engine's database is pickled, and nothing of ours ever is",
        cure="See who else may write to that database.",
    )
