"""Tables in the memory of a GPU leave the profile that the same rows leave on the host.

Without a GPU, stand-ins of cuDF, CuPy and RMM with the same small interface hold host memory, and Numba's simulator runs
the kernels on it (``make cuda``); ``make gpu-check`` runs this file on a device, with cuDF itself where it is installed.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpumon
from gpumon.errors import InputError
from gpumon.kernels import SIMULATED, cuda_status
from gpumon.profiles.labels import Labelled
from gpumon.profiles.numeric import Numeric
from gpumon.tables import gpu
from gpumon.tables.frames import open_table

BACKENDS = ("cpu", *(["cuda"] if cuda_status()[0] else []))
DEVICE = pytest.mark.skipif(SIMULATED or not cuda_status()[0], reason="needs a device: make gpu-check")
STAND_INS = pytest.mark.skipif(cuda_status()[0] and not SIMULATED, reason="there is a device: no stand-ins")


class Span(SimpleNamespace):
    """pylibcudf's view of memory: ptr and size."""


class Column:
    """A pylibcudf column over the buffers of an Arrow array: they have the same layout."""

    def __init__(self, array: pa.Array) -> None:
        self.array = array

    def data(self):
        buffer = self.array.buffers()[1]
        return None if buffer is None else Span(ptr=buffer.address, size=buffer.size)

    def null_mask(self):
        buffer = self.array.buffers()[0]
        return None if buffer is None else Span(ptr=buffer.address, size=buffer.size)

    def offset(self):
        return self.array.offset

    def null_count(self):
        return self.array.null_count


class Series:
    def __init__(self, array: pa.Array, name: str, *, ordered: bool | None = False) -> None:
        self.array, self.name, self.ordered = array, name, ordered

    @property
    def dtype(self):
        if pa.types.is_dictionary(self.array.type):
            return SimpleNamespace(ordered=self.ordered)
        return np.dtype(self.array.type.to_pandas_dtype())

    def astype(self, kind: str):
        if kind == "category":  # whose order is left open
            return Series(self.array.dictionary_encode(), self.name, ordered=None)
        return Series(self.array.cast(pa.float64()), self.name)

    @property
    def cat(self):
        return SimpleNamespace(as_unordered=lambda: Series(self.array, self.name))

    def to_pylibcudf(self):
        return Column(self.array), {}

    def to_arrow(self):
        assert self.ordered is not None, "Categorical 'ordered' attribute must be set to convert to Arrow"
        return self.array

    def to_frame(self, name: str):
        return DataFrame({name: self.array})

    def __len__(self):
        return len(self.array)


class DataFrame:
    def __init__(self, columns) -> None:
        self.silent = {n for n, x in columns.items() if isinstance(x, Series) and x.ordered is None}
        columns = {n: x.array if isinstance(x, Series) else x for n, x in columns.items()}
        self.columns = {n: pa.array(x) if isinstance(x, np.ndarray) else x for n, x in columns.items()}
        self.iloc = Rows(self)

    @property
    def dtypes(self):
        return {name: self[name].dtype for name in self.columns}

    def copy(self, *, deep: bool):
        assert not deep
        return DataFrame({name: self[name] for name in self.columns})

    def __setitem__(self, name: str, series: Series):
        self.columns[name] = series.array
        self.silent.discard(name)

    def __len__(self):
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str):
        return Series(self.columns[name], name, ordered=None if name in self.silent else False)

    def head(self, n: int):
        return self.iloc[:n]

    def to_arrow(self, *, preserve_index):
        assert preserve_index is False
        assert not self.silent, "Categorical 'ordered' attribute must be set to convert to Arrow"
        return pa.table(self.columns)

    def take(self, rows):
        return DataFrame({name: x.take(pa.array(rows)) for name, x in self.columns.items()})


class Rows:
    def __init__(self, frame: DataFrame) -> None:
        self.frame = frame

    def __getitem__(self, rows: slice):
        start, stop, _ = rows.indices(len(self.frame))
        return DataFrame({name: x.slice(start, stop - start) for name, x in self.frame.columns.items()})


class OnDevice:
    """An array that tells where its memory is and nothing else, as CuPy's and PyTorch's do."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__cuda_array_interface__ = {
            "data": (array.ctypes.data, False), "shape": array.shape, "typestr": array.dtype.str,
            "strides": array.strides, "version": 3,
        }  # fmt: skip

    def __len__(self):
        return len(self.array)


@pytest.fixture
def cudf(monkeypatch):
    """A stand-in of cuDF whose memory holds ``most`` rows."""
    module = ModuleType("cudf")
    module.DataFrame, module.Series = DataFrame, Series
    module.most, module.reads = 10**9, []

    def read_parquet(path, *, columns, row_groups):
        file = pq.ParquetFile(path)
        rows = sum(file.metadata.row_group(i).num_rows for i in row_groups[0])
        module.reads.append((row_groups[0], rows <= module.most))
        if rows > module.most:
            raise MemoryError("std::bad_alloc: out_of_memory")
        table = file.read_row_groups(row_groups[0], columns=columns).combine_chunks()
        return DataFrame({name: table[name].combine_chunks() for name in columns})

    module.read_parquet = read_parquet
    monkeypatch.setitem(sys.modules, "cudf", module)
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")  # NumPy stands in for CuPy, whatever the backend
    monkeypatch.setattr(gpu, "set_up_memory", lambda: "")
    return module


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    n = 700
    words = np.array(["red", "green", "blue", "", "ünï"])
    return pa.table(
        {
            "normal": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.1),
            "single": pa.array(rng.lognormal(size=n).astype(np.float32), mask=rng.random(n) < 0.1),
            "small": pa.array(rng.integers(-5, 5, n).astype(np.int8), mask=rng.random(n) < 0.1),
            "whole": rng.integers(-(10**12), 10**12, n),
            "money": pa.array((rng.integers(0, 10**4, n) / 100).tolist()).cast(pa.decimal128(7, 2)),
            "flag": pa.array(rng.random(n) < 0.3, mask=rng.random(n) < 0.1),
            "word": pa.array(rng.choice(words, n), mask=rng.random(n) < 0.1),
            "when": np.datetime64("2026-03-01") + rng.integers(0, 10**6, n).astype("timedelta64[s]"),
        }
    )


def assert_same(found, expected):
    assert found.states.keys() == expected.states.keys()
    for key, state in expected.states.items():
        other = found.states[key]
        for name in ("counts", "registers", "extremes", "missing", "outside", "hours", "span", "n", "rows"):
            if hasattr(state, name):
                assert np.array_equal(getattr(state, name), getattr(other, name)), (key, name)
        for name in ("moments", "sums", "squares", "products"):
            if hasattr(state, name):
                assert np.allclose(getattr(state, name), getattr(other, name), rtol=1e-12, atol=1e-9), (
                    key,
                    name,
                )


@STAND_INS
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("by", [None, "word"])
def test_a_cudf_frame_leaves_the_profile_of_the_same_rows(rows, cudf, backend, by):
    whole = rows.slice(3).combine_chunks()  # bits and values that do not begin at an address of their own
    expected = gpumon.profile(whole, by=by, backend="cpu")
    frame = DataFrame({name: whole[name].combine_chunks() for name in whole.column_names}).iloc[5:]
    reference = gpumon.profile(whole.slice(5), like=expected, by=by, backend="cpu")
    found = gpumon.profile(frame, like=expected, by=by, backend=backend)
    assert_same(found, reference)
    assert found.facts["backend"] == backend


@STAND_INS
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_frame_can_be_the_reference(rows, cudf, backend):
    frame = DataFrame({name: rows[name].combine_chunks() for name in rows.column_names})
    assert_same(gpumon.profile(frame, backend=backend), gpumon.profile(rows, backend="cpu"))
    series = gpumon.profile(frame["single"], backend=backend)
    assert series.state("single").rows == rows.num_rows


@STAND_INS
def test_a_categorical_of_which_no_order_is_said_is_a_column(rows, cudf):
    frame = DataFrame({name: rows[name].combine_chunks() for name in ("word", "small")})
    kind = frame["word"].astype("category")
    frame = DataFrame({"kind": kind, "small": frame["small"]})
    expected = gpumon.profile(rows.select(["word", "small"]).rename_columns(["kind", "small"]), backend="cpu")
    assert_same(gpumon.profile(frame, backend="cpu"), expected)
    assert frame["kind"].ordered is None  # the user's frame is as it was


@STAND_INS
@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_of_a_device_are_columns(backend, monkeypatch):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(500, 3)).astype(np.float32)
    expected = gpumon.profile({str(i): matrix[:, i] for i in range(3)}, backend="cpu")
    assert_same(gpumon.profile(OnDevice(matrix), backend=backend), expected)
    assert_same(gpumon.profile(OnDevice(np.asfortranarray(matrix)), backend=backend), expected)
    mixed = {"x": OnDevice(matrix[:, 0].copy()), "word": ["a", "b"] * 250, "flag": OnDevice(matrix[:, 1] > 0)}
    plain = {"x": matrix[:, 0], "word": ["a", "b"] * 250, "flag": matrix[:, 1] > 0}
    assert_same(gpumon.profile(mixed, backend=backend), gpumon.profile(plain, backend="cpu"))


@STAND_INS
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_dlpack_of_a_cuda_device_is_a_column(backend, monkeypatch):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    x = np.random.default_rng(2).normal(size=300)

    class Tensor:
        def __dlpack__(self, **_):
            return x.__dlpack__()

        def __dlpack_device__(self):
            return 2, 0

        def __len__(self):
            return len(x)

    assert not gpu.is_on_device(x)
    expected = gpumon.profile({"x": x}, backend="cpu")
    assert_same(gpumon.profile({"x": Tensor()}, backend=backend), expected)


@STAND_INS
def test_columns_are_read_where_they_are(rows, cudf):
    array = rows["normal"].combine_chunks()
    column = gpu.CudfFrame(DataFrame({"x": array}).iloc[11:]).numbers("x")
    assert column.values.ctypes.data == array.buffers()[1].address + 8 * 11
    assert column.bits.ctypes.data == array.buffers()[0].address
    assert column.offset == 11


@STAND_INS
def test_bad_shapes_are_one_clear_line(monkeypatch):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    with pytest.raises(InputError, match="an array of 3 axes is no table"):
        open_table(OnDevice(np.zeros((2, 2, 2))))
    with pytest.raises(InputError, match="column 'x' has 2 axes"):
        open_table({"x": OnDevice(np.zeros((2, 2)))})
    with pytest.raises(InputError, match="differ in length"):
        open_table({"x": OnDevice(np.zeros(2)), "y": OnDevice(np.zeros(3))})


@STAND_INS
def test_parquet_is_decoded_by_row_groups_that_fit(rows, cudf, tmp_path, monkeypatch):
    path = str(tmp_path / "rows.parquet")
    numbers = rows.select(["normal", "single", "small"])
    pq.write_table(numbers, path, row_group_size=100)
    table = gpu.taken(open_table(path))
    assert isinstance(table, gpu.DeviceParquet)
    (whole,) = table.partitions()
    assert whole.rows == 700
    monkeypatch.setattr(gpu, "free_memory", lambda: gpu.SHARE * whole.row_bytes * 250)
    assert [part.rows for part in table.partitions()] == [200, 200, 200, 100]


@STAND_INS
def test_a_partition_is_halved_when_memory_runs_out(rows, cudf, tmp_path):
    path = str(tmp_path / "rows.parquet")
    pq.write_table(rows.select(["normal", "small"]), path, row_group_size=100)
    table = gpu.taken(open_table(path))
    cudf.most = 200
    (part,) = table.partitions()
    batches = list(part.batches())
    assert sum(batch.num_rows for batch in batches) == 700
    assert [groups for groups, fits in cudf.reads if fits] == [[0], [1, 2], [3, 4], [5, 6]]
    cudf.most = 99
    with pytest.raises(InputError, match=r"rows.parquet: row group 0 needs about .* smaller row groups"):
        list(part.batches())


@STAND_INS
@pytest.mark.skipif("cuda" not in BACKENDS, reason="needs the simulator: make cuda")
def test_parquet_on_the_device_leaves_the_profile_of_the_file(rows, cudf, tmp_path):
    for part, folder in enumerate(("country=NL", "country=CH")):
        (tmp_path / folder).mkdir()
        pq.write_table(rows.slice(350 * part, 350), tmp_path / folder / "rows.parquet", row_group_size=100)
    expected = gpumon.profile(str(tmp_path), backend="cpu")
    cudf.most = 250
    found = gpumon.profile(str(tmp_path), like=expected, backend="cuda")
    assert_same(found, gpumon.profile(str(tmp_path), like=expected, backend="cpu"))
    assert len(cudf.reads) > 2


@STAND_INS
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_dask_collection_of_frames_on_a_device_is_counted_by_partition(rows, cudf, backend):
    dask = pytest.importorskip("dask")
    numbers = rows.select(["normal", "small", "word"])
    parts = [numbers.slice(0, 300), numbers.slice(300)]
    frames = [DataFrame({name: part[name].combine_chunks() for name in part.column_names}) for part in parts]
    expected = gpumon.profile(numbers, backend="cpu")
    found = gpumon.profile([dask.delayed(frame) for frame in frames], like=expected, backend=backend)
    assert_same(found, gpumon.profile(numbers, like=expected, backend="cpu"))
    alone = gpumon.profile([dask.delayed(frame) for frame in frames], backend=backend)
    assert_same(alone, expected)


@STAND_INS
def test_partitions_of_files_are_decoded_where_they_are_counted(rows, cudf, tmp_path):
    for i in range(2):
        pq.write_table(rows.slice(350 * i, 350), tmp_path / f"{i}.parquet", row_group_size=100)
    (host,) = open_table(str(tmp_path)).partitions(["normal", "word"])
    there = gpu.decoded_there(host)
    cudf.most = 200
    batches = list(there.batches())
    assert [batch.num_rows for batch in batches] == [200, 150, 200, 150]
    words = [word for batch in batches for word in batch.column("word").to_pylist()]
    assert words == rows["word"].to_pylist()
    assert gpu.decoded_there("of something else") == "of something else"


@pytest.mark.skipif("cuda" not in BACKENDS, reason="needs a device or the simulator: make cuda")
def test_a_scan_reports_the_same_on_both_backends(rows):
    reference, current = rows.slice(0, 350), rows.slice(350)
    here, there = (gpumon.scan(current, reference, backend=name) for name in ("cpu", "cuda"))
    assert there.facts["Backend"].startswith("cuda: ")
    for left, right in zip(here.results, there.results, strict=True):
        assert (left.metric, left.column, left.status) == (right.metric, right.column, right.status)
        assert left.value == pytest.approx(right.value, rel=1e-9, nan_ok=True), (left.metric, left.column)
    state = there.current.state("normal")
    assert isinstance(state, Numeric)
    assert np.array_equal(state.counts, here.current.state("normal").counts)


def assert_judged_alike(here, there):
    """Counts are equal to the last row and sums within 1e-12; so are values, and what is said of them."""
    assert there.facts["Backend"].startswith("cuda: ")
    assert any(isinstance(state, Labelled) for state in here.current.states.values())
    for found, expected in ((there.reference, here.reference), (there.current, here.current)):
        assert found.states.keys() == expected.states.keys()
        for key, state in expected.states.items():
            for each in fields(state):
                left, right = getattr(found.states[key], each.name), getattr(state, each.name)
                if isinstance(right, np.ndarray) and right.dtype.kind == "f" and each.name != "extremes":
                    near = 1e-12 * np.abs(right).max(initial=0)
                    assert np.allclose(left, right, rtol=1e-12, atol=near), (key, each.name)
                else:
                    assert np.array_equal(left, right), (key, each.name)
    assert len(here.results) == len(there.results)
    for left, right in zip(here.results, there.results, strict=True):
        assert (left.metric, left.column, left.window, left.segment, left.status) == (
            right.metric, right.column, right.window, right.segment, right.status,
        )  # fmt: skip
        assert left.value == pytest.approx(right.value, rel=1e-9, abs=1e-12, nan_ok=True), left.metric


@pytest.fixture(scope="module")
def labelled() -> pa.Table:
    rng = np.random.default_rng(3)
    n = 400
    p = rng.beta(0.5, 1.5, n).round(2).astype(np.float32)
    y = rng.random(n) < p
    price = rng.lognormal(3, 1, n)
    return pa.table(
        {
            "y": pa.array(y.astype(np.int64), mask=rng.random(n) < 0.1),
            "p": pa.array(p, mask=rng.random(n) < 0.05),
            "kind": pa.array(rng.choice(["car", "van"], n)),
            "guess": pa.array(np.where(rng.random(n) < 0.7, "car", "bus")),
            "price": pa.array(price, mask=rng.random(n) < 0.1),
            "offer": pa.array((price + rng.normal(size=n)).round(), mask=rng.random(n) < 0.05),
            "w": rng.integers(0, 4, n).astype(np.float64),
        }
    )


TASKS = {
    "binary": {"target": "y", "score": "p", "by": "kind"},
    "weighted": {"target": "y", "score": "p", "weight": "w"},
    "multiclass": {"target": "kind", "prediction": "guess", "weight": "w", "task": "multiclass"},
    "regression": {"target": "price", "prediction": "offer", "weight": "w", "task": "regression"},
}


@pytest.mark.skipif("cuda" not in BACKENDS, reason="needs a device or the simulator: make cuda")
@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_is_the_same_on_both_backends(labelled, task):
    reference, current = labelled.slice(0, 200), labelled.slice(200)
    assert_judged_alike(
        *(gpumon.evaluate(current, reference, backend=name, **TASKS[task]) for name in ("cpu", "cuda"))
    )


@STAND_INS
@pytest.mark.skipif("cuda" not in BACKENDS, reason="needs the simulator: make cuda")
@pytest.mark.parametrize("task", ["weighted", "regression"])
def test_predictions_and_labels_may_be_on_the_device(labelled, cudf, task):
    reference, current = labelled.slice(0, 200).combine_chunks(), labelled.slice(200).combine_chunks()
    frames = [
        DataFrame({name: part[name].combine_chunks() for name in part.column_names})
        for part in (current, reference)
    ]
    there = gpumon.evaluate(*frames, backend="cuda", **TASKS[task])
    assert_judged_alike(gpumon.evaluate(current, reference, backend="cpu", **TASKS[task]), there)


@STAND_INS
def test_rmm_gets_a_pool_once_and_only_if_nobody_has_set_it_up(monkeypatch):
    class Plain: ...

    class Pool: ...

    rmm, cupy = ModuleType("rmm"), SimpleNamespace()
    held = {"rmm": Plain(), "cupy": None}
    pool = SimpleNamespace(malloc="its own pool")
    held["cupy"] = pool.malloc
    rmm.mr = SimpleNamespace(
        CudaMemoryResource=Plain,
        CudaAsyncMemoryResource=Pool,
        get_current_device_resource=lambda: held["rmm"],
        set_current_device_resource=lambda resource: held.update(rmm=resource),
    )
    cupy.get_default_memory_pool = lambda: pool
    cupy.cuda = SimpleNamespace(
        get_allocator=lambda: held["cupy"], set_allocator=lambda allocator: held.update(cupy=allocator)
    )
    allocators = ModuleType("rmm.allocators.cupy")
    allocators.rmm_cupy_allocator = "shared"
    monkeypatch.setitem(sys.modules, "rmm", rmm)
    monkeypatch.setitem(sys.modules, "rmm.allocators.cupy", allocators)
    monkeypatch.setattr(gpu, "_arrays", lambda: cupy)
    set_up = gpu.set_up_memory.__wrapped__
    assert set_up() == "RMM and CuPy share a pool"
    assert (type(held["rmm"]), held["cupy"]) == (Pool, "shared")
    assert set_up() == "the application has set up RMM"
    held.update(rmm=Plain(), cupy="of the application")
    assert set_up() == "RMM has a pool; CuPy has one of the application"
    assert held["cupy"] == "of the application"


@pytest.fixture
def real():
    """CuPy and cuDF themselves."""
    return pytest.importorskip("cupy"), pytest.importorskip("cudf")


OF_OTHERS = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)


@DEVICE
def test_arrays_of_cupy_are_columns_where_they_are():
    cupy = pytest.importorskip("cupy")
    matrix = np.random.default_rng(1).normal(size=(300_001, 3)).astype(np.float32)
    matrix[::7, 1] = np.nan
    expected = gpumon.profile({str(i): matrix[:, i] for i in range(3)}, backend="cpu")
    for there in (cupy.asarray(matrix), cupy.asfortranarray(cupy.asarray(matrix))):
        assert_same(gpumon.profile(there, backend="cuda"), expected)
    odd = {str(i): cupy.asarray(matrix[:, i])[3:] for i in range(3)}  # not at a multiple of 16 bytes
    assert_same(
        gpumon.profile(odd, like=expected, backend="cuda"),
        gpumon.profile({str(i): matrix[3:, i] for i in range(3)}, like=expected, backend="cpu"),
    )


@DEVICE
def test_tensors_of_pytorch_are_columns():
    torch = pytest.importorskip("torch")
    x = torch.linspace(-3, 3, 10_001, device="cuda")
    found = gpumon.profile({"x": x}, backend="cuda")
    assert_same(found, gpumon.profile({"x": x.cpu().numpy()}, backend="cpu"))


@DEVICE
@OF_OTHERS
@pytest.mark.parametrize("by", [None, "word"])
def test_a_frame_of_cudf_leaves_the_profile_of_the_same_rows(rows, real, by):
    _, cudf = real
    host = rows.slice(3).combine_chunks()
    expected = gpumon.profile(rows, by=by, backend="cpu")
    frame = cudf.DataFrame.from_arrow(rows).iloc[3:]
    assert_same(
        gpumon.profile(frame, like=expected, by=by, backend="cuda"),
        gpumon.profile(host, like=expected, by=by, backend="cpu"),
    )
    assert_same(
        gpumon.profile(cudf.DataFrame.from_arrow(rows), backend="cuda"), gpumon.profile(rows, backend="cpu")
    )
    assert gpumon.profile(frame["single"], backend="cuda").state("single").rows == host.num_rows


@DEVICE
@OF_OTHERS
def test_a_categorical_of_cudf_is_a_column(rows, real):
    _, cudf = real
    words = rows.select(["word", "small"])
    frame = cudf.DataFrame.from_arrow(words)
    frame["word"] = frame["word"].astype("category")
    assert_same(gpumon.profile(frame, backend="cuda"), gpumon.profile(words, backend="cpu"))


@DEVICE
@OF_OTHERS
def test_parquet_is_decoded_by_cudf(rows, real, tmp_path):
    for part, folder in enumerate(("country=NL", "country=CH")):
        (tmp_path / folder).mkdir()
        pq.write_table(rows.slice(350 * part, 350), tmp_path / folder / "rows.parquet", row_group_size=100)
    expected = gpumon.profile(str(tmp_path), backend="cpu")
    found = gpumon.profile(str(tmp_path), like=expected, backend="cuda")
    assert found.facts["backend"] == "cuda"
    assert_same(found, gpumon.profile(str(tmp_path), like=expected, backend="cpu"))


@DEVICE
@OF_OTHERS
@pytest.mark.parametrize("task", TASKS)
def test_frames_of_predictions_are_judged_where_they_are(labelled, real, task):
    _, cudf = real
    reference, current = labelled.slice(0, 200).combine_chunks(), labelled.slice(200).combine_chunks()
    frames = [cudf.DataFrame.from_arrow(part) for part in (current, reference)]
    there = gpumon.evaluate(*frames, backend="cuda", **TASKS[task])
    assert_judged_alike(gpumon.evaluate(current, reference, backend="cpu", **TASKS[task]), there)


@DEVICE
@OF_OTHERS
def test_workers_of_dask_cuda_leave_the_profile_of_one_process(rows, real, tmp_path):
    pytest.importorskip("dask_cuda")
    for i in range(4):
        pq.write_table(rows.slice(175 * i, 175), tmp_path / f"{i}.parquet", row_group_size=100)
    expected = gpumon.profile(str(tmp_path), backend="cpu")
    found = gpumon.profile(str(tmp_path), like=expected, engine="dask", workers=1)
    assert_same(found, expected)
    assert found.facts["backend"] == "cuda"
