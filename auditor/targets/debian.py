"""Packages of the distribution, unpacked into a folder without installing them.

Needs ``apt-get`` and ``dpkg`` (Debian and its children), and neither root nor the system's own
lists: apt works on a state of its own, for any architecture, with the system's sources and keys.
"""

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from auditor.errors import RuntimeMissingError
from auditor.targets.messages import plain

Progress = Callable[[str], None]
NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of architectures, by those of ``platform.machine``."""
URI = re.compile(r"^'[^']+' \S+ (\d+) ", re.MULTILINE)
FETCH_SECONDS = 1800.0


def download(
    packages: Sequence[str], architecture: str, folder: Path, progress: Progress
) -> list[Path]:
    """Download packages and all that they depend on; return the archives.

    ``folder`` holds what apt keeps, and may be deleted afterwards. Raises ``RuntimeMissingError``
    where there is no apt, no network, or no such package.
    """
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise RuntimeMissingError(
                f"{tool} is not here, with which {packages[0]} would be fetched",
                cure="Install qemu-user by your distribution's own means, so that "
                "`qemu-x86_64 --version` answers.",
            )
    apt = ["apt-get", *_options(folder, NAMES[architecture])]
    progress(f"reading the lists of packages for {architecture} (about 10 MB)")
    run([*apt, "update"], "the distribution's lists of packages")
    wanted = ["install", "-y", "--no-install-recommends", *packages]
    listed = run([*apt, "--print-uris", *wanted], f"the package {packages[0]}")
    sizes = [int(size) for size in URI.findall(listed)]
    progress(f"downloading {', '.join(packages)}: {len(sizes)} files, {sum(sizes) / 1e6:.0f} MB")
    run([*apt, "--download-only", *wanted], f"the package {packages[0]}")
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def unpack(archives: Iterable[Path], root: Path) -> None:
    """Unpack archives below ``root``, and name the folders of libraries as a system does."""
    for archive in archives:
        run(["dpkg", "-x", str(archive), str(root)], archive.name)
    for name in ("lib", "lib64"):
        if (root / "usr" / name).is_dir() and not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")


def take_program(archives: Iterable[Path], names: Sequence[str], to: Path) -> bool:
    """Write the first program of one of these names in ``/usr/bin`` to ``to``; say if it is there.

    The rest of the archive, hundreds of megabytes, is not unpacked.
    """
    wanted = {f"./usr/bin/{name}" for name in names}
    return any(_take(archive, wanted, to) for archive in archives)


def _take(archive: Path, wanted: set[str], to: Path) -> bool:
    command = ["dpkg", "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(  # noqa: S603 -- our own command
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as files,
    ):
        for member in files:
            source = files.extractfile(member) if member.isfile() else None
            if member.name in wanted and source is not None:
                with to.open("wb") as written:
                    shutil.copyfileobj(source, written)
                to.chmod(0o755)
                return True
    return False


def run(command: Sequence[str], what: str) -> str:
    """Run a program and return what it says. Raises ``RuntimeMissingError`` where it fails."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 -- our own command
            command, capture_output=True, check=False, timeout=FETCH_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    else:
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")
        said = " | ".join(done.stderr.decode(errors="replace").strip().splitlines()[-2:])
    raise RuntimeMissingError(
        f"{what} cannot be fetched: {plain(said, 500)}",
        cure="Connect this machine, or install your distribution's package qemu-user; then try "
        "`auditor targets emulate` again.",
    )


def _options(folder: Path, architecture: str) -> list[str]:
    """Return the options by which apt leaves the system alone; makes the folders they name."""
    for name in ("state/lists/partial", "cache/archives/partial", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "state" / "status").touch()
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state" / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Log": folder / "log",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",
        "APT::Update::Error-Mode": "any",  # lists that are not read would otherwise be a warning
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
        "Acquire::Retries": "2",
        "Debug::NoLocking": "1",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
