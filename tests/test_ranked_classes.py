"""Every class against every other: counted alike by both backends, in any cut, and as scikit-learn ranks them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

import gpumon
from gpumon.errors import ProfileError
from gpumon.kernels import cpu, plain
from gpumon.kernels.lookup import guide
from gpumon.profiles.ranked_classes import MOST_RANKED, RankedClasses, cells_of_ranks

ODD = st.sampled_from([np.nan, np.inf, -np.inf, -0.0, 0.0, 0.5, 1.0, -3.0, 7.0, 5e-324])


@given(st.data(), st.integers(0, 40), st.integers(2, 4))
def test_both_backends_count_the_same_rows(data, rows, classes):
    edges = np.array([0.0, 5e-324, 0.25, 0.5, 0.75, 1.0])
    scores = data.draw(arrays(np.float64, rows, elements=ODD | st.floats(0, 1)))
    actual = data.draw(arrays(np.int32, rows, elements=st.integers(0, classes + 1)))
    cut = data.draw(st.integers(0, rows))
    offsets, places = np.array([0, cut, rows]), np.array([1, 0])
    found = []
    for backend in (cpu, plain):
        counts = np.zeros((2, classes, classes, edges.size + 1), np.int64)
        backend.ranked(scores, actual, 1, offsets, places, guide(edges), counts)
        found.append(counts)
    assert (found[0] == found[1]).all()
    assert not found[0][:, 0].any()
    known = np.isfinite(scores) & (actual < classes)
    assert found[0].sum() == known.sum()
    for place, part in ((1, slice(0, cut)), (0, slice(cut, rows))):
        for c in range(classes):
            own = scores[part][known[part] & (actual[part] == c)]
            assert found[0][place, 1, c, 1:].sum() == (own >= 0).sum()


def table(seed, rows, classes=3, digits=None):
    rng = np.random.default_rng(seed)
    names = np.array([f"c{i}" for i in range(classes)])
    p = rng.dirichlet(np.ones(classes), rows)
    y = names[(rng.random(rows)[:, None] > np.cumsum(p, axis=1)).sum(axis=1).clip(0, classes - 1)]
    p = p if digits is None else p.round(digits)
    return {"y": y, **{f"p_{name}": p[:, i] for i, name in enumerate(names)}}, p


def one(report, **where):
    (row,) = report.results.where(metric="auc_one_versus_one", **where)
    return row


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(200, 900))
def test_the_bounds_hold_what_scikit_learn_finds(seed, classes, rows):
    data, p = table(seed, rows, classes)
    if np.unique(data["y"]).size < classes:
        return
    found = one(gpumon.evaluate(data, target="y", score="p_"))
    if classes == 2:  # scikit-learn takes two classes for one score
        expected = np.mean([sk.roc_auc_score(data["y"] == f"c{i}", p[:, i]) for i in range(2)])
    else:
        expected = sk.roc_auc_score(data["y"], p, multi_class="ovo")
    assert found.lower - 1e-12 <= expected <= found.upper + 1e-12
    assert found.ci_lower <= found.value <= found.ci_upper


def test_scores_of_few_values_are_exact():
    data, _ = table(1, 5_000)
    thirds = np.array([[4, 2, 2], [2, 4, 2], [2, 2, 4], [1, 3, 4], [0, 8, 0]]) / 8
    p = thirds[np.random.default_rng(1).integers(0, 5, 5_000)]
    data |= {f"p_c{i}": p[:, i] for i in range(3)}
    found = one(gpumon.evaluate(data, target="y", score="p_"))
    expected = sk.roc_auc_score(data["y"], p, multi_class="ovo")
    assert found.lower == pytest.approx(expected, abs=1e-12)
    assert found.upper == pytest.approx(expected, abs=1e-12)


def test_any_cut_windows_and_files_give_the_same_counts(tmp_path):
    data, _ = table(2, 3_000)
    data |= {"t": np.datetime64("2026-01-01") + np.arange(3_000) % 5, "g": np.arange(3_000) % 2}
    data["p_c1"][::17] = np.nan
    roles = {"target": "y", "score": "p_"}
    plan = gpumon.profile(data, roles=roles)
    daily = gpumon.profile(data, like=plan, timestamp="t", every="1d", by="g")
    whole = plan.state("", "ranked classes")
    assert isinstance(whole, RankedClasses)
    assert whole.counts[1].sum() == np.isfinite(data["p_c1"]).sum()
    assert (daily.rollup().state("", "ranked classes").counts == whole.counts).all()
    parts = [
        gpumon.profile({name: x[start : start + 700] for name, x in data.items()}, like=plan)
        for start in range(0, 3_000, 700)
    ]
    assert (sum(parts[::-1], plan.empty()).state("", "ranked classes").counts == whole.counts).all()
    daily.save(tmp_path / "daily.gpumon")
    assert gpumon.Profile.load(tmp_path / "daily.gpumon") == daily
    some = data["t"] == np.datetime64("2026-01-03")
    alone = gpumon.profile({name: x[some] for name, x in data.items()}, like=plan)
    of_day = daily.rollup(segments=True, windows=False).state("", "ranked classes", window="2026-01-03")
    assert (of_day.counts == alone.state("", "ranked classes").counts).all()


def test_a_class_that_is_lost_is_a_smaller_mean_and_one_class_no_data():
    before, _ = table(4, 2_000)
    now, p = table(5, 2_000)
    left = now["y"] != "c2"
    some = {name: x[left] for name, x in now.items()}
    found = one(gpumon.evaluate(some, before, target="y", score="p_"))
    y, q = some["y"], p[left]
    expected = np.mean([sk.roc_auc_score(y == f"c{i}", q[:, i]) for i in range(2)])
    assert found.lower <= expected <= found.upper
    single = {name: x[now["y"] == "c0"] for name, x in now.items()}
    found = one(gpumon.evaluate(single, before, target="y", score="p_"))
    assert (found.status, found.reason) == ("no_data", "the labels are all of one class")


def test_no_change_alarms_no_more_often_than_promised_and_a_loss_of_rank_is_seen():
    before, _ = table(6, 20_000)
    alarms = 0
    for seed in range(30):
        now, _ = table(100 + seed, 2_000)
        alarms += one(gpumon.evaluate(now, before, target="y", score="p_")).status in {"warn", "alert"}
    assert alarms == 0
    now, p = table(7, 20_000)
    noise = np.random.default_rng(77).dirichlet(np.ones(3), 20_000)
    now |= {f"p_c{i}": 0.5 * p[:, i] + 0.5 * noise[:, i] for i in range(3)}
    assert one(gpumon.evaluate(now, before, target="y", score="p_")).status == "alert"


def test_many_classes_and_weights_have_none_of_it():
    data, _ = table(8, 3_000, MOST_RANKED + 1)
    assert not gpumon.evaluate(data, target="y", score="p_").results.where(metric="auc_one_versus_one")
    data, _ = table(8, 300)
    data["w"] = np.ones(300)
    report = gpumon.evaluate(data, target="y", score="p_", weight="w")
    assert not report.results.where(metric="auc_one_versus_one")


def test_a_damaged_state_is_refused():
    edges = np.linspace(0, 1, cells_of_ranks(3))
    state = RankedClasses.on(("y", "a", "b", "c"), (), ("a", "b", "c"), edges)
    assert state.counts.nbytes < 2**20
    with pytest.raises(ProfileError, match="damaged"):
        RankedClasses(state.columns, (), state.classes, edges[1:], state.counts)
    with pytest.raises(ProfileError, match="2 to 20 classes"):
        RankedClasses.on(("y", "a"), (), ("a",), edges)
    with pytest.raises(ProfileError, match="increasing"):
        RankedClasses.on(state.columns, (), state.classes, edges[::-1])
