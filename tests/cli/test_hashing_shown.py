"""How far hashing is: told on a terminal, and nowhere else."""

from io import StringIO

from rich.console import Console

from auditor.cli.hashing_progress import show_hashing


def test_a_terminal_is_told_how_many_of_all_bytes_were_hashed() -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=True, width=100)
    with show_hashing(console, lambda: 10_000_000) as advance:
        assert advance is not None
        advance(5_000_000)
    assert "hashing" in written.getvalue()
    assert "5.0/10.0 MB" in written.getvalue()


def test_a_pipe_is_told_nothing_and_nothing_is_counted_for_it() -> None:
    def never() -> int:
        raise AssertionError

    written = StringIO()
    with show_hashing(Console(file=written), never) as advance:
        assert advance is None
    assert not written.getvalue()
