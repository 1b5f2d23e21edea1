"""Parts add in one order, whoever counted them and whoever was first; they travel as they are."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpumon
from gpumon.engines.count import Counter
from gpumon.engines.part import GROUP, Part, Tree, Work, counted, merged, widths
from gpumon.kernels import select
from gpumon.tables.frames import open_table
from gpumon.tables.slices import Slicing

PLAN = gpumon.profile({"x": np.random.default_rng(0).normal(size=2000), "w": ["a", "b"] * 1000})
COUNT = Counter(PLAN.empty(), Slicing(None, None, ()), select("plain"))


def part(seed: int) -> Part:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 50))
    table = pa.table({"x": rng.lognormal(size=n) * 1e9, "w": rng.choice(["a", "b", "new"], n)})
    return counted(Rows(table), seed, COUNT)


class Rows:
    """A partition of one batch."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def batches(self):
        return self.table.to_batches()


PARTS = [part(i) for i in range(150)]


def of_level(parts: list[Part]) -> list[Part]:
    return [merged(parts[i : i + GROUP], COUNT.like) for i in range(0, len(parts), GROUP)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 150), st.integers(0, 2), st.randoms(use_true_random=False))
def test_parts_in_any_order_and_sums_made_elsewhere_give_the_same_bits(n, level, random):
    levels = [PARTS[:n]]
    while len(levels[-1]) > 1:
        levels.append(of_level(levels[-1]))
    expected = levels[-1][0].profile(COUNT.like)
    level = min(level, len(levels) - 1)
    tree = Tree(range(n), COUNT.like)
    order = list(enumerate(levels[level]))
    random.shuffle(order)
    for place, item in order:
        tree.put(place, pickle.loads(pickle.dumps(item)), level)
    outcome = tree.outcome()
    assert outcome.profile == expected
    assert outcome.missing == []
    assert outcome.work.rows == expected.rows
    assert [len(items) for items in levels] == widths(n)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 150), st.randoms(use_true_random=False))
def test_an_unfinished_tree_knows_what_is_in_it_and_what_is_not(n, random):
    some = sorted(random.sample(range(n), random.randrange(n)))
    tree = Tree(range(100, 100 + n), COUNT.like)
    for place in random.sample(some, len(some)):
        tree.put(place, PARTS[place])
    outcome = tree.outcome(KeyboardInterrupt())
    assert outcome.missing == [100 + i for i in range(n) if i not in some]
    assert outcome.profile.rows == sum(PARTS[i].work.rows for i in some)
    expected = merged((PARTS[i] for i in some), COUNT.like).profile(COUNT.like)
    assert np.array_equal(outcome.profile.state("x").counts, expected.state("x").counts)


def test_a_part_travels_without_its_plan_and_says_its_size():
    one = max(PARTS, key=lambda part: part.work.rows)
    sent = pickle.dumps(one)
    assert len(sent) < len(gpumon.profiles.files.dumps(one.profile(COUNT.like)))
    again = pickle.loads(sent)
    assert isinstance(again.counts, bytes)
    assert again.profile(COUNT.like) == one.profile(COUNT.like)
    assert pickle.loads(pickle.dumps(again)).counts == again.counts
    assert one.__sizeof__() > one.profile(COUNT.like).state("x").counts.nbytes
    assert again.__sizeof__() == len(again.counts)


def test_work_adds():
    one, two = (
        Work(1, 10, 0.5, frozenset({("a", "cpu")})),
        Work(2, 20, 0.25, frozenset({("b", "cuda"), ("a", "cpu")})),
    )
    assert one + two == Work(3, 30, 0.75, frozenset({("a", "cpu"), ("b", "cuda")}))


def test_an_error_that_no_file_is_to_blame_for_is_not_taken_for_one():
    table = open_table({"t": ["no time"] * 3, "x": [1.0, 2.0, 3.0]})
    count = Counter(PLAN.empty(), Slicing("t", "1d", ()), select("plain"))
    (partition,) = table.partitions()
    with pytest.raises(gpumon.SchemaError, match="column 't' is to cut time into windows"):
        counted(partition, 0, count, skip=True)
