"""Alarms of a series of windows: on and off, and what a limit sees of a lasting change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpumon.statistics.alarms import alarms, charted, seen_by_cusum, seen_by_ewma
from gpumon.statistics.over_time import cusum_up, ewma_up

SERIES = st.lists(st.floats(0, 10) | st.just(np.nan), max_size=40).map(np.array)


def one_by_one(values, limit, release, consecutive):
    """The same, told as a person would."""
    found, run, on = [], 0, False
    for value in values.tolist():
        if np.isnan(value):
            found.append(False)
            continue
        run = run + 1 if value > limit else 0
        stays = on and release < 1 and value > release * limit
        on = run >= consecutive or stays
        found.append(on)
    return found


@given(SERIES, st.floats(0, 10), st.sampled_from([0.5, 0.9, 1.0]), st.integers(1, 4))
def test_alarms_are_what_a_person_would_tell(values, limit, release, consecutive):
    assert alarms(values, limit, release, consecutive).tolist() == one_by_one(
        values, limit, release, consecutive
    )


@given(
    SERIES,
    st.floats(0, 10),
    st.floats(0, 5),
    st.sampled_from([0.5, 0.8, 1.0]),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_a_more_permissive_setting_never_gives_an_alarm_more(values, limit, more, release, runs, longer):
    strict = alarms(values, limit, release, runs)
    assert not (alarms(values, limit + more, release, runs) & ~strict).any()
    assert not (alarms(values, limit, release, runs + longer) & ~strict).any()
    assert not (alarms(values, limit, 1.0, runs) & ~strict).any()
    assert not (alarms(values, limit, release, runs, sure=np.zeros(values.size, bool)) & ~strict).any()


def test_many_series_and_limits_are_each_by_itself():
    values = np.random.default_rng(0).gamma(2, 1, (5, 60))
    limit = np.array([1.0, 2.0, 3.0])[:, None, None]
    found = alarms(values, limit, 0.7, 2)
    for i in range(3):
        for k in range(5):
            assert found[i, k].tolist() == one_by_one(values[k], float(limit[i, 0, 0]), 0.7, 2)


@pytest.mark.parametrize(("chart", "formula"), [("cusum", cusum_up), ("ewma", ewma_up)])
def test_a_chart_leaves_out_what_is_not_known(chart, formula):
    z = np.random.default_rng(1).normal(size=(3, 30))
    z[1, [2, 7, 8]] = np.nan
    found = charted(chart, z)
    assert np.array_equal(found[0], formula(z[0]))
    assert np.isnan(found[1, [2, 7, 8]]).all()
    known = ~np.isnan(z[1])
    assert np.array_equal(found[1, known], formula(z[1, known]))


@pytest.mark.parametrize("windows", [1, 3, 10])
@pytest.mark.parametrize(
    ("chart", "seen", "limit"), [("cusum", seen_by_cusum, 4.0), ("ewma", seen_by_ewma, 2.5)]
)
def test_a_chart_sees_a_lasting_change_of_that_size_just_in_time(chart, seen, limit, windows):
    size = float(seen(limit, windows))
    for times, alarm in ((1.001, True), (0.999, False)):
        assert bool((charted(chart, np.full(windows, size * times)) > limit).any()) is alarm
