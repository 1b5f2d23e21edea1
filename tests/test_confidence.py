"""How sure a classifier of several classes is, end to end."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from sklearn.metrics import accuracy_score, log_loss

import gpumon
from gpumon.errors import ProfileError
from gpumon.profiles.confidence import Confidence

CLASSES = ("a", "b", "c", "d")
SCORE = {name: f"p_{name}" for name in CLASSES}
SURE = ("mean_confidence", "mean_margin", "mean_entropy", "confidence_quantile", "low_confidence_share")


def probabilities(n, seed, spread=0.7):
    return np.random.default_rng(seed).dirichlet(np.full(len(CLASSES), spread), n)


def rows(n, seed, spread=0.7):
    """Calibrated probabilities of four classes; the larger ``spread``, the less sure."""
    p = probabilities(n, seed, spread)
    drawn = (p.cumsum(axis=1) < np.random.default_rng(seed + 1000).random((n, 1))).sum(axis=1)
    return {"y": np.array(CLASSES)[np.minimum(drawn, 3)]} | {f"p_{c}": p[:, i] for i, c in enumerate(CLASSES)}


def one(report, metric, **where):
    (row,) = report.results.where(metric=metric, **({"window": None, "segment": None} | where))
    return row


def planned(table):
    return gpumon.evaluate(table, target="y", score=SCORE).current


def of(table):
    return np.stack([table[name] for name in SCORE.values()])


def test_what_is_told_is_what_scipy_and_numpy_find():
    table = rows(6000, 1)
    report = gpumon.evaluate(table, rows(8000, 0), target="y", score=SCORE)
    p = np.sort(of(table), axis=0)
    student = stats.ttest_1samp(p[-1], 0).confidence_interval()
    row = one(report, "mean_confidence")
    assert (row.value, row.ci_lower, row.ci_upper) == pytest.approx((p[-1].mean(), *student))
    assert one(report, "mean_margin").value == pytest.approx(np.mean(p[-1] - p[-2]))
    entropy = one(report, "mean_entropy")
    assert entropy.value == entropy.lower == entropy.upper
    assert entropy.value == pytest.approx(np.mean(stats.entropy(p, base=4)))
    low = one(report, "low_confidence_share")
    assert low.value == low.lower == low.upper == np.mean(p[-1] < 0.6)
    for level in (0.05, 0.5, 0.95):
        (row,) = (
            row
            for row in report.results.where(metric="confidence_quantile")
            if row.method.startswith(f"level {level},")
        )
        assert row.lower <= np.quantile(p[-1], level, method="inverted_cdf") <= row.upper
        assert row.upper - row.lower <= 1 / 1024
    assert {row.status for name in SURE for row in report.results.where(metric=name)} == {"ok"}


def test_two_classes_side_by_side_are_as_a_binary_score():
    p = np.random.default_rng(5).beta(0.7, 0.9, 5000)
    y = np.where(np.random.default_rng(6).random(5000) < p, "yes", "no")
    binary = gpumon.evaluate({"y": y, "p": p}, target="y", score="p", positive="yes")
    table = {"y": y, "p": p, "q": 1 - p}
    both = gpumon.evaluate(table, target="y", score={"yes": "p", "no": "q"})
    for name in SURE:
        left, right = (list(report.results.where(metric=name)) for report in (binary, both))
        assert len(left) == len(right) > 0
        for a, b in zip(left, right, strict=True):
            assert (a.id, a.method, a.n, a.column) == (b.id, b.method, b.n, b.column)
            assert a.value == pytest.approx(b.value, abs=1e-3)
            assert max(a.lower, b.lower) <= min(a.upper, b.upper) + 1e-12


def test_a_model_that_has_become_unsure_is_told_without_labels():
    reference, current = rows(8000, 0), rows(4000, 1, spread=1.5)
    del current["y"]
    current["y"] = np.full(4000, None)
    report = gpumon.evaluate(current, reference, target="y", score=SCORE)
    row = one(report, "mean_confidence")
    assert (row.status, row.n) == ("alert", 4000)
    assert one(report, "accuracy").status == "no_data"


SHIFTED = ("confidence_shift", "margin_shift", "entropy_shift")
UNUSUAL = ("unusually_unsure_share", "unusually_sure_share", "unusual_entropy_share")


def quantities(table):
    """Largest probability, margin and entropy, as numpy and scipy have them."""
    p = np.sort(of(table), axis=0)
    return p[-1], p[-1] - p[-2], stats.entropy(p, base=4)


@pytest.mark.parametrize("spread", [0.3, 0.7, 1.5])
def test_how_confidence_has_moved_is_what_scipy_finds(spread):
    reference, current = rows(6000, 0), rows(5000, 1, spread)
    report = gpumon.evaluate(current, reference, target="y", score=SCORE, metrics=["MD-11"])
    before, now = quantities(reference), quantities(current)
    for name, left, right in zip(SHIFTED, before, now, strict=True):
        row, exact = one(report, name), stats.ks_2samp(left, right)
        assert row.lower - 1e-12 <= exact.statistic <= row.upper + 1e-12
        assert row.value == pytest.approx(exact.statistic, abs=2e-3)
        assert (row.status == "alert") == (exact.statistic > 0.1) == (spread != 0.7)
        if exact.pvalue > 1e-3:
            assert row.p_value == pytest.approx(exact.pvalue, abs=0.1)
    for name, side, level in zip(UNUSUAL, (0, 0, 2), (0.01, 0.99, 0.99), strict=True):
        limit = np.quantile(before[side], level, method="inverted_cdf")
        share = [np.mean(x < limit) if level < 0.5 else np.mean(x > limit) for x in (before[side], now[side])]
        row = one(report, name)
        assert (row.reference, row.value) == pytest.approx(share, abs=4e-3)
        assert row.ci_lower <= row.value <= row.ci_upper
        assert row.status == ("alert" if share[1] > 0.03 else "warn" if share[1] > 0.02 else "ok")


def test_a_model_that_has_become_too_sure_is_told():
    report = gpumon.evaluate(rows(4000, 1, 0.3), rows(8000, 0), target="y", score=SCORE, metrics=["MD-11"])
    row = one(report, "unusually_sure_share")
    assert row.status == "alert"
    assert row.reason.startswith("unusually_sure_share is up from 0.0")
    assert one(report, "unusually_unsure_share").status == "ok"


def test_a_binary_score_moves_as_its_two_classes_do():
    def table(seed, a):
        rng = np.random.default_rng(seed)
        p = rng.beta(a, a, 5000)
        return {"y": np.where(rng.random(5000) < p, "yes", "no"), "p": p, "q": 1 - p}

    def sure(t):
        return np.maximum(t["p"], t["q"])

    reference, current = table(0, 1.0), table(1, 2.0)
    exact = stats.ks_2samp(sure(reference), sure(current)).statistic
    scores = {"score": "p", "positive": "yes"}, {"score": {"yes": "p", "no": "q"}}
    for options in scores:
        report = gpumon.evaluate(current, reference, target="y", **options)
        row = one(report, "confidence_shift")
        assert row.lower <= exact <= row.upper
        assert row.value == pytest.approx(exact, abs=2e-3)
        assert row.status == "alert"
        divergence = one(report, "confidence_divergence")
        ends = np.quantile(sure(reference), np.arange(1, 10) / 10)
        counts = [np.bincount(np.searchsorted(ends, sure(t)), minlength=10) for t in (reference, current)]
        assert divergence.value == pytest.approx(distance.jensenshannon(*counts, base=2), abs=5e-3)
        limit = np.quantile(sure(reference), 0.99)
        assert one(report, "unusually_sure_share").value == pytest.approx(
            np.mean(sure(current) > limit), abs=1e-3
        )


def test_scores_that_are_turned_over_are_no_change_of_confidence():
    p = np.round(np.random.default_rng(0).beta(2, 5, 4000), 1)
    y = np.random.default_rng(1).random(4000) < 0.3
    report = gpumon.evaluate({"y": y, "p": 1 - p}, {"y": y, "p": p}, target="y", score="p")
    row = one(report, "confidence_shift")
    assert row.lower == 0.0
    assert row.value < 0.01  # 1 − 0.7 is not quite 0.3
    assert one(report, "mean_confidence").status == "ok"


@pytest.mark.parametrize("spread", [0.02, 0.7])
def test_unchanged_confidence_is_no_alarm(spread):
    reference = planned(rows(2000, 0, spread))
    for seed in range(1, 60):
        current = rows((25, 60, 400)[seed % 3], seed, spread)
        report = gpumon.evaluate(current, reference, metrics=["MD-11", "PD-03"])
        assert {row.status for row in report.results} == {"ok"}, seed


def test_without_a_reference_there_is_no_shift():
    report = gpumon.evaluate(rows(500, 0), target="y", score=SCORE)
    told = {row.metric for row in report.results}
    assert set(SURE) <= told
    assert told.isdisjoint((*SHIFTED, *UNUSUAL, "confidence_divergence"))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 900), max_size=4), st.sampled_from(["cpu", "plain"]))
def test_counts_do_not_depend_on_the_partitioning(cuts, backend):
    table, plan = rows(900, 6), planned(rows(500, 7))
    table["p_a"][::50] = np.nan
    whole = gpumon.profile(table, like=plan).state("", "confidence")
    ends = sorted({0, *cuts, 900})
    parts = [
        gpumon.profile({name: x[a:b] for name, x in table.items()}, like=plan, backend=backend)
        for a, b in pairwise(ends)
    ]
    summed = sum(parts[::-1], plan.empty()).state("", "confidence")
    for name in ("counts", "outside", "missing"):
        assert (getattr(summed, name) == getattr(whole, name)).all()
    np.testing.assert_allclose(summed.sums, whole.sums, rtol=1e-12)
    assert whole.missing[0] == 18
    assert whole.rows == summed.rows == 900


def test_windows_and_segments_have_their_own():
    table = rows(3000, 3)
    table["t"] = np.repeat(np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]"), 1000)
    table["g"] = np.tile(["north", "south"], 1500)
    p = of(table)
    for i, unsure in enumerate(probabilities(1000, 9, 3.0).T):
        table[SCORE[CLASSES[i]]][2000:] = unsure
    p = of(table).max(axis=0)
    reference = rows(5000, 4) | {
        "t": np.full(5000, np.datetime64("2023-12-01")),
        "g": ["north", "south"] * 2500,
    }
    report = gpumon.evaluate(table, reference, target="y", score=SCORE, timestamp="t", every="1d", by="g")
    last = one(report, "mean_confidence", window="2024-01-03")
    assert last.value == pytest.approx(p[2000:].mean())
    assert last.status == "alert"
    assert one(report, "mean_confidence", window="2024-01-01").status == "ok"
    assert one(report, "confidence_shift", window="2024-01-03").status == "alert"
    assert one(report, "confidence_shift", window="2024-01-01").status == "ok"
    south = one(report, "mean_confidence", window="2024-01-02", segment="g=south")
    assert south.value == pytest.approx(p[1000:2000][1::2].mean())
    assert south.n == 500


def test_weights_weigh():
    table = rows(4000, 2)
    table["w"] = np.random.default_rng(0).integers(0, 4, 4000).astype(float)
    report = gpumon.evaluate(table, target="y", score=SCORE, weight="w")
    sure = np.repeat(of(table).max(axis=0), table["w"].astype(int))
    assert one(report, "mean_confidence").value == pytest.approx(sure.mean())
    assert one(report, "low_confidence_share").value == pytest.approx(np.mean(sure < 0.6))
    binary = {"y": table["y"] == "a", "p": table["p_a"], "w": 0.01 * table["w"]}
    row = one(gpumon.evaluate(binary, target="y", score="p", weight="w"), "mean_confidence")
    x, w = np.maximum(table["p_a"], 1 - table["p_a"]), table["w"]
    assert row.value == pytest.approx(np.average(x, weights=w))
    effective = w.sum() ** 2 / np.sum(w**2)
    spread = np.sqrt(np.average((x - row.value) ** 2, weights=w) / effective)
    assert row.ci_upper - row.value == pytest.approx(
        1.96 * spread, rel=2e-3
    )  # scale of weights does not matter


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: 3 * p - 1, "not between 0 and 1"),
        (lambda p: np.minimum(1, p + 0.2), "do not add up to 1"),
        (lambda p: np.full_like(p, np.nan), "no row has a probability for every class"),
    ],
)
def test_scores_that_are_no_probabilities_say_nothing_of_confidence(change, words):
    table = rows(500, 1)
    for name in SCORE.values():
        table[name] = change(table[name])
    report = gpumon.evaluate(table, rows(800, 0), target="y", score=SCORE)
    for name in SURE:
        for row in report.results.where(metric=name):
            assert row.status == "no_data"
            assert words in row.reason


def test_probabilities_of_many_classes_may_be_rounded():
    p = np.round(np.random.default_rng(0).dirichlet(np.full(60, 0.05), 2000), 2)
    names = [f"{i:02}" for i in range(60)]
    table = {"y": np.array(names)[p.argmax(axis=1)]} | {f"s{n}": p[:, i] for i, n in enumerate(names)}
    report = gpumon.evaluate(table, target="y", score="s")
    row = one(report, "mean_confidence")
    assert row.value == pytest.approx(p.max(axis=1).mean())


def test_a_saved_profile_stands_for_its_table(tmp_path):
    reference, current = rows(5000, 0), rows(4000, 1)
    plan = planned(reference)
    assert isinstance(plan.state("", "confidence"), Confidence)
    plan.save(tmp_path / "reference.gpumon")
    loaded = gpumon.Profile.load(tmp_path / "reference.gpumon")
    assert loaded == plan
    direct = gpumon.evaluate(current, reference, target="y", score=SCORE)
    saved = gpumon.evaluate(current, loaded)
    for name in SURE:
        for a, b in zip(*(x.results.where(metric=name) for x in (direct, saved)), strict=True):
            assert (a.value, a.status, a.method) == (b.value, b.status, b.method)


@pytest.mark.parametrize(
    "fields",
    [
        {"columns": ("y", "p")},
        {"columns": ("y", "p", "q"), "edges": np.array([0.0, 0.0, 1.0])},
        {"columns": ("y", "p", "q"), "edges": np.array([0.0, np.nan])},
    ],
)
def test_a_plan_that_cannot_be_is_refused(fields):
    with pytest.raises(ProfileError):
        Confidence.on(**({"weight": ()} | fields))


def whole(report, metric, said=""):
    """The row of all classes together, by what its method says."""
    (row,) = (
        r
        for r in report.results.where(metric=metric, window=None, segment=None)
        if r.column is None and said in r.method
    )
    return row


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_several_classes_are_scikit_learns(weighted):
    table = rows(4000, 1)
    rng = np.random.default_rng(3)
    table["p_b"][rng.random(4000) < 0.02] = np.nan
    table["y"] = np.where(rng.random(4000) < 0.1, None, table["y"].astype(object))
    w = rng.integers(1, 4, 4000).astype(float) if weighted else np.ones(4000)
    given = {"weight": "w"} if weighted else {}
    report = gpumon.evaluate(
        table | {"w": w}, rows(5000, 0) | {"w": np.ones(5000)}, target="y", score=SCORE, **given
    )
    p = of(table).T
    known = np.isfinite(p).all(axis=1) & (table["y"] != None)
    p, y, w = p[known], table["y"][known].astype(str), w[known]
    loss = whole(report, "log_loss")
    assert loss.value == pytest.approx(log_loss(y, p, labels=CLASSES, sample_weight=w), rel=1e-9)
    assert loss.n == known.sum()
    happened = y[:, None] == np.array(CLASSES)
    brier = whole(report, "brier_score", "sum over the classes")
    assert brier.value == pytest.approx(np.average(((p - happened) ** 2).sum(axis=1), weights=w), rel=1e-9)
    right, sure = np.array(CLASSES)[p.argmax(axis=1)] == y, p.max(axis=1)
    bins = np.minimum((sure * 15).astype(int), 14)
    gaps = [abs(((right - sure.astype(float)) * w)[bins == b].sum()) for b in range(15)]
    assert whole(report, "calibration_error", "width").value == pytest.approx(sum(gaps) / w.sum(), rel=1e-9)
    if not weighted:
        each = -np.log(p[happened])
        student = stats.ttest_1samp(each, 0).confidence_interval()
        assert (loss.ci_lower, loss.ci_upper) == pytest.approx(student)


def test_accuracy_is_estimated_where_the_model_grows_less_sure():
    reference, current = rows(20_000, 0, spread=0.3), rows(20_000, 1, spread=1.0)
    truth = accuracy_score(current.pop("y"), np.array(CLASSES)[of(current).argmax(axis=0)])
    report = gpumon.evaluate(current, reference, target="y", score=SCORE)
    estimate = whole(report, "estimated_accuracy")
    assert estimate.status == "alert"
    assert estimate.reference - truth > 0.15
    assert estimate.ci_lower < truth < estimate.ci_upper
    assert whole(report, "log_loss").status == whole(report, "brier_score").status == "no_data"


def test_estimates_of_accuracy_hold_what_they_promise():
    held = 0
    for seed in range(60):
        reference, current = rows(1500, seed, spread=0.4), rows(1500, seed + 100, spread=0.8)
        p = np.random.default_rng(seed).dirichlet(np.full(4, 0.8), 300_000)
        truth = p.max(axis=1).mean()
        del current["y"]
        found = whole(
            gpumon.evaluate(current, reference, target="y", score=SCORE, metrics=["estimated_accuracy"]),
            "estimated_accuracy",
        )
        held += found.ci_lower < truth < found.ci_upper
    assert held >= stats.binom.ppf(0.001, 60, 0.95)


def test_unchanged_classes_do_not_alarm():
    for seed in range(40):
        report = gpumon.evaluate(rows(600, seed + 50), rows(600, seed), target="y", score=SCORE)
        for name in ("log_loss", "brier_score", "estimated_accuracy", "calibration_error_change"):
            assert {row.status for row in report.results.where(metric=name) if row.column is None} == {"ok"}


def test_a_label_of_no_known_class_had_no_probability():
    table = rows(50, 2)
    table["y"] = table["y"].astype("U8")
    table["y"][:5] = "another"
    p = np.vstack([of(table), np.zeros(50)])
    happened = np.searchsorted([*CLASSES, "zzz"], np.where(table["y"] == "another", "zzz", table["y"]))
    report = gpumon.evaluate(table, rows(500, 0), target="y", score=SCORE)
    each = -np.log(np.maximum(p[happened, np.arange(50)], 1e-15))
    assert whole(report, "log_loss").value == pytest.approx(each.mean())


def test_average_thresholded_confidence_is_that_of_the_rows():
    rng = np.random.default_rng(11)
    p = {side: rng.dirichlet(np.full(3, alpha), 4_000) for side, alpha in (("before", 1.0), ("now", 2.0))}
    y = {
        side: (rng.random(4_000)[:, None] > np.cumsum(x, axis=1)).sum(axis=1).clip(0, 2)
        for side, x in p.items()
    }
    tables = {side: {"y": y[side], **{f"p_{i}": x[:, i] for i in range(3)}} for side, x in p.items()}
    report = gpumon.evaluate(tables["now"], tables["before"], target="y", score="p_")
    (row,) = report.results.where(metric="thresholded_accuracy")
    wrong = np.mean(p["before"].argmax(axis=1) != y["before"])
    limit = np.quantile(p["before"].max(axis=1), wrong)
    assert row.lower - 1e-9 <= np.mean(p["now"].max(axis=1) >= limit) <= row.upper + 1e-9
    assert row.reference == pytest.approx(1 - wrong)
    assert row.ci_lower < row.value < row.ci_upper
    assert row.status == "ok"
    two = {side: {"y": rng.random(4_000) < x[:, 0], "p": x[:, 0]} for side, x in p.items()}
    report = gpumon.evaluate(two["now"], two["before"], target="y", score="p", threshold=0.4)
    (row,) = report.results.where(metric="thresholded_accuracy")
    sure = {side: np.maximum(x[:, 0], 1 - x[:, 0]) for side, x in p.items()}
    wrong = np.mean((p["before"][:, 0] >= 0.4) != two["before"]["y"])
    expected = np.mean(sure["now"] >= np.quantile(sure["before"], wrong))
    assert row.lower - 1e-3 <= expected <= row.upper + 1e-3
    (accuracy,) = report.results.where(metric="accuracy")
    assert row.reference == pytest.approx(accuracy.reference)
