"""Profiles of predictions are read as they were counted: what is asked otherwise is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

import gpumon

N = 4_000


@pytest.fixture(scope="module")
def two():
    """A table of two classes with a score, and its profile."""
    rng = np.random.default_rng(0)
    p = rng.random(N)
    table = {"y": (rng.random(N) < p).astype(int), "p": p, "id": np.arange(N), "g": rng.choice(["a", "b"], N)}
    return table, gpumon.profile(table, roles={"target": "y", "score": "p", "id": "id"}, worst_rows=5)


@pytest.fixture(scope="module")
def three():
    """A table of three classes, each with a score."""
    rng = np.random.default_rng(1)
    classes, p = np.array(["a", "b", "c"]), rng.dirichlet([1.0, 1.0, 1.0], N)
    y = classes[(rng.random(N)[:, None] > np.cumsum(p, axis=1)).sum(axis=1)]
    return {"y": y, "p_a": p[:, 0], "p_b": p[:, 1], "p_c": p[:, 2]}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"threshold": 0.3},
            "was counted with threshold 0.5, not 0.3: profile its table again with threshold",
        ),
        ({"positive": 0}, "was counted with positive '1', not '0'"),
        ({"task": "regression"}, "was counted with task 'binary', not 'regression'"),
        ({"worst_rows": 50}, "was counted with worst_rows 5, not 50"),
        ({"worst_rows": 2, "row_id": "g"}, "names its worst rows by 'id', not 'g'"),
        ({"slices": True}, "holds no slices"),
        ({"target": "g"}, "column 'g' was counted with the role 'feature', not 'target'"),
        ({"score": "id"}, "column 'id' was counted with the role 'id', not 'score'"),
        ({"prediction": "p"}, "column 'p' was counted with the role 'score', not 'prediction'"),
        ({"weight": "g"}, "column 'g' was counted with the role 'feature', not 'weight'"),
        ({"sensitive_features": "g"}, "column 'g' was counted with the role 'feature', not 'sensitive'"),
        ({"score": "nope"}, "has no column 'nope'"),
        ({"score": {"0": "p"}}, "has no scores of class '0' in column 'p'"),
    ],
)
@pytest.mark.parametrize("current", ["none", "the profile", "the table"])
def test_what_a_profile_was_not_counted_for_is_refused(two, asked, words, current):
    table, counted = two
    both = {"none": (counted,), "the profile": (counted, counted), "the table": (table, counted)}[current]
    with pytest.raises(gpumon.GpumonError, match=f"^the (reference|predictions) profile.*{words}"):
        gpumon.evaluate(*both, **asked)


def test_windows_and_segments_that_a_profile_lacks_are_refused(two):
    _, counted = two
    with pytest.raises(gpumon.OptionError, match="was counted without segments"):
        gpumon.evaluate(counted, by="g")
    with pytest.raises(gpumon.OptionError, match="was counted without windows"):
        gpumon.evaluate(counted, timestamp="t", every="1d")


def test_what_fits_is_answered_as_of_the_table(two, tmp_path):
    table, counted = two
    asked = {"target": "y", "score": "p", "threshold": 0.5, "positive": 1, "task": "binary", "worst_rows": 3}
    counted.save(tmp_path / "two.gpumon")
    of_table = gpumon.evaluate(table, **asked, row_id="id")
    for source in (counted, tmp_path / "two.gpumon"):
        of_profile = gpumon.evaluate(source, **asked, row_id="id")
        for metric in ("accuracy", "auc", "log_loss", "false_positive_rate"):
            (first,), (second,) = (r.results.where(metric=metric) for r in (of_table, of_profile))
            assert first.value == second.value


def test_a_profile_keeps_the_threshold_and_the_positive_class_it_is_told(two):
    table, _ = two
    roles = {"target": "y", "score": "p"}
    asked = {"threshold": 0.3, "positive": 0, "task": "binary"}
    of_table = gpumon.evaluate(table, target="y", score="p", **asked)
    of_profile = gpumon.evaluate(gpumon.profile(table, roles=roles, **asked), **asked)
    for metric in ("accuracy", "recall", "auc"):
        (first,), (second,) = (r.results.where(metric=metric) for r in (of_table, of_profile))
        assert first.value == second.value
    (accuracy,) = of_profile.results.where(metric="accuracy")
    assert accuracy.value == np.mean((table["p"] >= 0.3) == (table["y"] == 0))


@pytest.mark.parametrize("score", [{"a": "p_a", "b": "p_b", "c": "p_c"}, "p_", ["p_"]])
def test_scores_of_several_classes_are_counted_into_a_profile(three, score):
    counted = gpumon.profile(three, roles={"target": "y", "score": score})
    of_table = gpumon.evaluate(three, target="y", score="p_")
    for asked in ({}, {"score": "p_"}, {"score": {"a": "p_a", "b": "p_b", "c": "p_c"}}):
        of_profile = gpumon.evaluate(counted, **asked)
        for metric in ("accuracy", "log_loss", "auc_ovr"):
            pairs = zip(
                of_table.results.where(metric=metric), of_profile.results.where(metric=metric), strict=True
            )
            assert all(first.value == second.value for first, second in pairs)
    with pytest.raises(gpumon.OptionError, match="no scores of class 'a' in column 'p_b'"):
        gpumon.evaluate(counted, score={"a": "p_b", "b": "p_a", "c": "p_c"})


def test_scores_of_no_one_knows_which_class_are_said_to_be_described_only(three):
    counted = gpumon.profile(three, roles={"target": "y", "score": ["p_a", "p_b", "p_c"]})
    (note,) = counted.facts["notes"]
    assert "the scores 'p_a', 'p_b', 'p_c' are only described: say of which class each is" in note


def test_what_is_said_of_predictions_that_are_not_there_is_refused_before_counting(two):
    table, counted = two
    for asked in ({"threshold": 0.3}, {"positive": 1}, {"worst_rows": 5}, {"nominal": 0.8}, {"slices": True}):
        with pytest.raises(
            gpumon.GpumonError, match=r"needs some: give roles|needs scores|are of losses: give roles"
        ):
            gpumon.profile(table, **asked)
    with pytest.raises(gpumon.OptionError, match=r"was counted with threshold 0\.5, not 0\.3"):
        gpumon.profile(table, like=counted, threshold=0.3)
    with pytest.raises(gpumon.OptionError, match="keeps no worst rows"):
        gpumon.profile(table, like=gpumon.profile(table, roles={"target": "y", "score": "p"}), worst_rows=5)


def test_intervals_keep_what_they_promise():
    rng = np.random.default_rng(2)
    y = rng.normal(size=N)
    table = {"y": y, "yhat": y + rng.normal(size=N), "low": y - 1, "high": y + 2}
    roles = {"target": "y", "prediction": "yhat", "lower": "low", "upper": "high"}
    counted = gpumon.profile(table, roles=roles, nominal=0.8)
    assert gpumon.evaluate(counted, nominal=0.8).results.where(metric="interval_coverage")
    with pytest.raises(gpumon.OptionError, match=r"was counted with nominal 0\.8, not 0\.9"):
        gpumon.evaluate(counted, nominal=0.9)
    with pytest.raises(gpumon.OptionError, match="was counted with task 'regression', not 'multiclass'"):
        gpumon.evaluate(counted, task="multiclass")
