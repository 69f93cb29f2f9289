"""Speaks to a witness over HTTP (C2SP tlog-witness)."""

from auditor.errors import UsageError, WitnessLostError
from auditor.posting import Answer, NoAnswerError, is_address, post

MOST_BYTES = 2**16


def submit(url: str, body: bytes) -> Answer:
    """Post a checkpoint to the witness at the prefix ``url``.

    Raises ``UsageError`` for what is no HTTP address, ``WitnessLostError`` where nobody answers.
    """
    if not is_address(url):
        raise UsageError(
            f"{url!r} is no address of a witness", cure="Write it as https://HOST/PREFIX."
        )
    try:
        return post(f"{url.rstrip('/')}/add-checkpoint", body, "text/plain", MOST_BYTES)
    except NoAnswerError as error:
        raise WitnessLostError(
            f"the witness at {url} does not answer: {error}",
            cure="See that the address is right and that the witness runs; then repeat.",
        ) from None
