"""Where an error that nobody foresaw was raised."""


def raised_at(error: BaseException) -> str:
    """Return the function and the line in which it was raised, or nothing where none is known."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "" if frame is None else f"{frame.tb_frame.f_code.co_name}, line {frame.tb_lineno}"
