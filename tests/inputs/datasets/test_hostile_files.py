"""Small files that would take gigabytes are refused by what they declare, before they do."""

import io
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
import pytest
from PIL import Image

from auditor.domain.auditfiles import DataSection, InputSection
from auditor.errors import DatasetError
from auditor.inputs.datasets import memory_limits
from auditor.inputs.datasets.formats import read_file, read_npz
from auditor.inputs.datasets.sources import open_raw_dataset

Load: TypeAlias = Callable[..., object]
Made: TypeAlias = Callable[[Path], DataSection]
MEMORY = 400 * 2**20
"""More than is read of a small file, and less than each of these took before."""


def csv_of_columns(folder: Path) -> DataSection:
    names = ",".join(f"c{number}" for number in range(200_000))
    (folder / "t.csv").write_text(f"{names},y\n{'1,' * 200_000}1\n")
    return DataSection(path="t.csv", labels="y")


def packed(folder: Path, raw: bytes, times: int, kind: int = zipfile.ZIP_DEFLATED) -> DataSection:
    with (
        zipfile.ZipFile(folder / "t.npz", "w", kind, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(raw)
        for _ in range(times):
            member.write(bytes(2**20))
    return DataSection(path="t.npz")


def header(shape: tuple[int, ...], dtype: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def npz_of_zeros(folder: Path) -> DataSection:
    return packed(folder, header((300, 2**17), "<f8"), 300)


def npz_of_lzma(folder: Path) -> DataSection:
    return packed(folder, header((1, 2**17), "<f8"), 1, zipfile.ZIP_LZMA)


def npz_of_letters(folder: Path) -> DataSection:
    return packed(folder, header((2**25,), "|S1"), 32)


def npy_of_nothing(folder: Path) -> DataSection:
    (folder / "x.npy").write_bytes(header((2**40,), "<U0"))
    return DataSection(path="x.npy")


def npy_of_promises(folder: Path) -> DataSection:
    (folder / "x.npy").write_bytes(header((2**31, 2), "<f8") + bytes(64))
    return DataSection(path="x.npy")


def npz_of_brackets(folder: Path) -> DataSection:
    raw = b"(" * 4000 + b"\n"
    return packed(folder, b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw, 0)


def npz_of_sums(folder: Path) -> DataSection:
    raw = b"-" * 9000 + b"1\n"
    return packed(folder, b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw, 0)


def parquet_of_runs(folder: Path) -> DataSection:
    ones = pl.Series([1]).new_from_index(0, 50_000_000)
    pl.DataFrame({"a": ones, "y": ones}).write_parquet(folder / "t.parquet")
    return DataSection(path="t.parquet", labels="y")


def parquet_of_lists(folder: Path) -> DataSection:
    lists = pl.Series([[0] * 100_000]).new_from_index(0, 400)
    pl.DataFrame({"a": lists, "y": range(400)}).write_parquet(folder / "t.parquet")
    return DataSection(path="t.parquet", labels="y")


def pictures_of_black(folder: Path) -> DataSection:
    (folder / "shots" / "a").mkdir(parents=True)
    Image.new("L", (6000, 6000)).save(folder / "shots" / "a" / "0.png")
    raw = (folder / "shots" / "a" / "0.png").read_bytes()
    for number in range(1, 8):
        (folder / "shots" / "a" / f"{number}.png").write_bytes(raw)
    return DataSection(path="shots")


def ids_with_a_long_one(folder: Path) -> DataSection:
    rows = "".join(f"{number},1,{number % 2}\n" for number in range(50_000))
    (folder / "t.csv").write_text(f"i,a,y\n{'x' * 100_000},1,0\n{rows}")
    return DataSection(path="t.csv", labels="y", id="i")


HOSTILE: dict[str, tuple[Made, str]] = {
    "a CSV of 200,000 columns": (csv_of_columns, "bytes of memory"),
    "an npz of zeros": (npz_of_zeros, "bytes of memory"),
    "an npz packed as NumPy never does": (npz_of_lzma, "packed in a way"),
    "an npz of letters": (npz_of_letters, "bytes of memory"),
    "an npz of brackets": (npz_of_brackets, "EOF in multi-line statement"),
    "an npz of sums": (npz_of_sums, "nested too deeply"),
    "an npy of texts without a letter": (npy_of_nothing, "does not fit into"),
    "an npy that promises more than it holds": (npy_of_promises, "does not fit into"),
    "a Parquet of equal values": (parquet_of_runs, "bytes of memory"),
    "a Parquet of long lists": (parquet_of_lists, "bytes of memory"),
    "pictures of black": (pictures_of_black, "bytes of memory"),
    "ids of which one is long": (ids_with_a_long_one, "100,000 characters; at most 500"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_file_that_would_take_gigabytes_is_refused(
    name: str, load: Load, tmp_path: Path
) -> None:
    made, said = HOSTILE[name]
    section = made(tmp_path)
    with pytest.raises(DatasetError) as caught:
        load(section)
    assert section.path in str(caught.value)
    assert said in str(caught.value)
    assert caught.value.cure


READ = """
import resource, sys
from pathlib import Path
from auditor.inputs.datasets.sources import open_raw_dataset
from auditor.domain.auditfiles import DataSection
from auditor.errors import DatasetError
most, path, labels = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + most, now + most))
section = DataSection(path=path.name, labels=labels)
try:
    open_raw_dataset(section, lambda name: path.parent / name, with_inputs=True)
except DatasetError as error:
    print(error)
"""


@pytest.mark.parametrize("made", [csv_of_columns, npz_of_zeros])
def test_it_is_refused_before_it_takes_them(made: Made, tmp_path: Path) -> None:
    section = made(tmp_path)
    asked = [str(MEMORY), str(tmp_path / section.path), section.labels or ""]
    done = subprocess.run(
        [sys.executable, "-c", READ, *asked], capture_output=True, text=True, check=True
    )
    assert "bytes of memory" in done.stdout


def test_ordinary_data_that_pack_well_are_read(load: Load, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "t.npz", x=np.zeros((20_000, 100)), y=np.arange(20_000) % 2)
    assert load(DataSection(path="t.npz", labels="y")) is not None


def test_a_long_text_among_short_ones_is_refused(load: Load, tmp_path: Path) -> None:
    rows = "".join(f"a,{number % 2}\n" for number in range(10_000))
    (tmp_path / "t.csv").write_text(f"s,y\n{'x' * 20_000},0\n{rows}")
    with pytest.raises(DatasetError, match="its longest text has 20,000 characters"):
        load(DataSection(path="t.csv", labels="y"), space=InputSection(text="s"))


def test_a_file_that_changes_between_its_digest_and_its_reading_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, x=np.zeros((2, 2**20)))
    for place in (0, 2**20 + 7, path.stat().st_size - 9):
        file = read_file("t.npz", lambda _: path)
        raw = bytearray(path.read_bytes())
        raw[place] ^= 1
        path.write_bytes(raw)
        with pytest.raises(DatasetError, match=r"^t\.npz changed while it was read") as caught:
            read_npz(file.stream, "t.npz")
        assert caught.value.cure == "Leave the file alone until the audit has begun."
        raw[place] ^= 1
        path.write_bytes(raw)
    file = read_file("t.npz", lambda _: path)
    path.write_bytes(raw[:-1])
    with pytest.raises(DatasetError, match="changed"):
        file.raw  # noqa: B018 -- it is read by that


def test_an_array_takes_its_own_memory_and_no_more(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", inputs=np.zeros((2**10, 2**13), np.float32))
    tracemalloc.start()
    try:
        found = open_raw_dataset(
            DataSection(path="t.npz"), lambda path: tmp_path / path, with_inputs=True
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.inputs is not None
    assert peak < 1.25 * found.inputs.nbytes


def test_memory_that_is_not_there_is_told_at_the_setting(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits by the bound need not fit by the machine: then it is no fault of ours."""
    np.save(tmp_path / "x.npy", np.zeros((2**20, 100)))
    most = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**28, most[1]))
    try:
        with pytest.raises(DatasetError, match=r"data\.evaluation\.path.*memory of this machine"):
            load(DataSection(path="x.npy"))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, most)


def test_the_bound_grows_with_the_file_and_ends() -> None:
    assert memory_limits.memory_limit_of(1) == memory_limits.FREE_BYTES
    assert memory_limits.memory_limit_of(2**24) == memory_limits.RATIO * 2**24
    assert memory_limits.memory_limit_of(2**40) == memory_limits.MOST_BYTES
