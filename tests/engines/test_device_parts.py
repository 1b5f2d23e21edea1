"""What a worker with a GPU makes of its partition, with a stand-in for cuDF that decodes on the host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpumon
from gpumon.engines import local
from gpumon.engines.count import Counter
from gpumon.kernels import Kernels, cpu
from gpumon.tables import gpu
from gpumon.tables.frames import open_table
from gpumon.tables.slices import Slicing


class Column:
    def __init__(self, column: Any) -> None:
        self.column = column

    def astype(self, kind: str) -> Column:
        assert kind == "category"
        return Column(self.column.combine_chunks().dictionary_encode())

    @property
    def cat(self) -> SimpleNamespace:
        return SimpleNamespace(as_unordered=lambda: self)

    def to_arrow(self) -> Any:
        return self.column


class Frame:
    """The part of a cuDF frame that is asked for here."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def dtypes(self) -> dict[str, Any]:
        return dict(zip(self.table.column_names, self.table.schema.types, strict=True))

    def head(self, n: int) -> Frame:
        return Frame(self.table.slice(0, n))

    def to_arrow(self, *, preserve_index: bool) -> pa.Table:
        assert not preserve_index
        return self.table

    def __getitem__(self, name: str) -> Column:
        return Column(self.table.column(name))


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, list[str], list[int]]]:
    """What cuDF was asked to read."""
    calls = []

    def read_parquet(path, *, columns, row_groups):
        (groups,) = row_groups
        calls.append((path.rpartition("/")[2], columns, groups))
        return Frame(pq.ParquetFile(path).read_row_groups(groups, columns=columns))

    monkeypatch.setitem(gpu.sys.modules, "cudf", SimpleNamespace(read_parquet=read_parquet))
    monkeypatch.setattr(gpu, "_cudf", lambda: SimpleNamespace(read_parquet=read_parquet))
    monkeypatch.setattr(gpu, "set_up_memory", lambda: "not here")
    return calls


def test_a_worker_decodes_its_files_where_it_counts_them(asked, many):
    (part,) = open_table(str(many)).partitions(["single", "word"])
    there = gpu.decoded_there(part)
    assert there.rows == part.rows == 60_000
    batches = list(there.batches())
    assert asked == [(f"{i:04}.parquet", ["single", "word"], [0]) for i in range(60)]
    here = pa.Table.from_batches(part.batches())
    for name in ("single", "word"):
        values = [value for batch in batches for value in batch.column(name).to_pylist()]
        assert values == here.column(name).to_pylist()
    some = there.without(part.paths[1:])
    assert isinstance(some, gpu.DeviceRowGroups)
    assert some.rows == 1000


def test_a_file_that_vanished_is_found_out_by_the_host(asked, tmp_path, write_files):
    folder = write_files(tmp_path / "table", 3, 10)
    (part,) = open_table(str(folder)).partitions()
    (folder / "0001.parquet").unlink()
    there = gpu.decoded_there(part)
    with pytest.raises(gpumon.InputError, match=r"0001.parquet: there is no such file"):
        list(there.batches())
    (bad,) = there.unreadable()
    assert (bad.path.rpartition("/")[2], bad.rows) == ("0001.parquet", 10)
    assert there.without([bad.path]).rows == 20


def test_without_cudf_a_partition_stays_as_it_is(many, monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    (part,) = open_table(str(many)).partitions()
    assert gpu.decoded_there(part) is part


def small_device(most: int) -> Any:
    """The kernels of the CPU, as those of a device whose memory takes ``most`` rows; and how many it was asked to take."""
    asked: list[int] = []

    def numeric(columns, offsets, places, *, cells=False):
        asked.append(int(offsets[-1]))
        found = cpu.numeric(columns, offsets, places, cells=cells)  # what was added before is to be forgotten
        if offsets[-1] > most:
            raise MemoryError
        return found

    functions = {name: getattr(cpu, name) for name in vars(Kernels) if hasattr(cpu, name)}
    return SimpleNamespace(**{**functions, "NAME": "cuda", "DEVICE": True, "numeric": numeric}), asked


@pytest.mark.parametrize("windows", [False, True])
def test_a_batch_that_the_devices_memory_does_not_take_is_counted_in_halves(many, windows):
    slicing = Slicing("when", "1d", ("word",)) if windows else Slicing(None, None, ())
    plan = gpumon.profile(str(many), engine="local").empty()
    table = pa.concat_tables(pq.read_table(path) for path in sorted(many.glob("*.parquet")))
    rows = open_table(table)
    kernels, asked = small_device(8_000)
    found = local.run(rows, list(plan.columns), Counter(plan, slicing, kernels), threads=1)
    assert found.error is None
    assert asked[0] == 60_000
    assert max(n for n in asked if n <= 8_000) == 7_500
    expected = local.run(rows, list(plan.columns), Counter(plan, slicing, cpu), threads=1)
    assert found.profile.states.keys() == expected.profile.states.keys()
    for key, state in expected.profile.states.items():
        for name in ("counts", "registers", "extremes", "missing", "rows", "hours", "n"):
            if hasattr(state, name):
                assert np.array_equal(getattr(state, name), getattr(found.profile.states[key], name)), key
        if hasattr(state, "moments"):
            assert np.allclose(state.moments, found.profile.states[key].moments, rtol=1e-12)


def test_a_device_without_memory_for_a_few_rows_is_one_line(many):
    plan = gpumon.profile(str(many), engine="local").empty()
    kernels, asked = small_device(100)
    found = local.run(
        open_table(str(many)),
        list(plan.columns),
        Counter(plan, Slicing(None, None, ()), kernels),
        threads=1,
    )
    assert isinstance(found.error, gpumon.GpumonError)
    assert "the memory of the GPU does not take 7,500 rows of this table" in str(found.error)
    assert asked == [60_000, 30_000, 15_000, 7_500]
