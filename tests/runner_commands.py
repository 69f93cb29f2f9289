"""What a runner of GitHub Actions obeys in what a step printed."""


def obeyed(said: str) -> list[str]:
    """Return the commands that are obeyed; those between a stop and its token are not."""
    kept, token = [], ""
    for line in said.splitlines():
        if token:
            token = "" if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif line.startswith("::"):
            kept.append(line)
    assert not token, "the runner never listens again"
    return kept
