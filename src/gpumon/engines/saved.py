"""Saved profiles in the place of tables: what a scan asks of them, and what they cannot give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpumon.engines.notes import differences
from gpumon.errors import InputError, MergeError, OptionError, SchemaError
from gpumon.profiles.attributions import Attributions
from gpumon.profiles.expected_losses import ExpectedLosses
from gpumon.profiles.labels import Labelled
from gpumon.profiles.pairs import Pairs
from gpumon.profiles.profile import Profile
from gpumon.profiles.times import Rows
from gpumon.schema import Schema
from gpumon.tables.columns import listed, refuse_column
from gpumon.tables.schema import Differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpumon.engines.label_plan import Labelling
    from gpumon.profiles.state import State
    from gpumon.tables.slices import Slicing

__all__ = ["as_current", "as_reference", "refuse_other_labelling", "refuse_other_slices"]


def as_reference(
    saved: Profile,
    name: str,
    columns: Sequence[str] | None,
    roles: Mapping[str, Sequence[str]],
    *,
    exact: bool,
    features: Sequence[str] | None = None,
) -> Profile:
    """A profile in the place of a reference: its columns that are asked for. What it does not hold is refused."""
    given = {column: role for role, named in roles.items() if role != "ignore" for column in named}
    for column in (*(columns or ()), *given):
        if column not in saved.schema:
            refuse_column(column, saved.columns, name, saved.schema.skipped)
    for column, role in given.items():
        if role != saved.schema[column].role:
            raise OptionError(
                f"{name}: column {column!r} was counted with the role {saved.schema[column].role.value!r}, not "
                f"{role!r}; profile its table again with that role"
            )
    if exact and all(aspect != "sorted" for _, aspect in saved.plan):
        raise OptionError(
            f"{name} does not hold the values that exact needs: profile its table again with exact"
        )
    if features is not None and not any(
        isinstance(state, ExpectedLosses) and set(features) <= {*state.columns}
        for state in saved.plan.values()
    ):
        raise OptionError(
            f"{name} has not learnt what errors to expect from {listed(features)}: profile its table again with features"
        )
    kept = set(saved.columns if columns is None else columns) - set(roles.get("ignore", ()))
    if kept == set(saved.columns):
        return saved
    if not kept:
        raise SchemaError(f"{name} has no column left to look at: name one with columns, or ignore fewer")
    schema = Schema(tuple(column for column in saved.schema if column.name in kept), saved.schema.skipped)
    plan = {
        key: state
        for key, state in saved.plan.items()
        if isinstance(state, Rows) or kept.issuperset(_columns(key, state))
    }
    states = {key: state for key, state in saved.states.items() if key[2:] in plan}
    return Profile(schema, plan, states, saved.facts)


def _columns(key: tuple[str, str], state: State) -> tuple[str, ...]:
    """The columns that a state was counted from."""
    if isinstance(state, Labelled | Attributions):
        return state.sources
    return state.columns if isinstance(state, Pairs) else key[:1]


def refuse_other_slices(saved: Profile, name: str, slicing: Slicing) -> None:
    """Raise an OptionError if windows or segments are asked for and the profile has none."""
    if slicing.every and saved.rows and not saved.windows:
        raise OptionError(f"{name} was counted without windows: profile its table with timestamp and every")
    if slicing.by and saved.rows and not saved.segments:
        raise OptionError(f"{name} was counted without segments: profile its table with by")


def refuse_other_labelling(saved: Profile, name: str, asked: Labelling, row_id: str | None = None) -> None:
    """Raise an OptionError if predictions are to be read in another way than that in which they were counted."""
    plan: Any = saved.plan
    confusion, scores, worst = (plan.get(("", aspect)) for aspect in ("confusion", "scores", "worst rows"))
    quantities = [plan[key] for key in (("", "residuals"), ("", "intervals")) if key in plan]
    classes: Any = () if confusion is None else confusion.classes
    positive = scores.positive[0] if scores is not None else classes[1] if len(classes) == 2 else None

    def refuse(option: str, held: object, wanted: object) -> None:
        raise OptionError(
            f"{name} was counted with {option} {held!r}, not {wanted!r}: profile its table again with {option}"
        )

    if asked.task is not None:
        held = (
            {"regression"} if quantities else {"multiclass"} if len(classes) > 2 else {"binary", "multiclass"}
        )
        if asked.task not in held:
            refuse("task", min(held), asked.task)
    if asked.positive is not None and positive is not None and asked.positive != positive:
        refuse("positive", positive, asked.positive)
    if asked.threshold is not None and confusion is not None and {*confusion.threshold} - {asked.threshold}:
        refuse("threshold", float(confusion.threshold[0]), asked.threshold)
    if asked.nominal is not None and quantities and asked.nominal != quantities[0].nominal[0]:
        refuse("nominal", float(quantities[0].nominal[0]), asked.nominal)
    for text, column in asked.scores.items():
        state = plan.get(("", f"scores {text}"))
        if state is None or state.columns[1] != column:
            raise OptionError(
                f"{name} has no scores of class {text!r} in column {column!r}: profile its table again with them"
            )
    for option, wanted in (("slices", asked.slices), ("clusters", asked.clusters)):
        state = plan.get(("", option))
        counted = () if state is None else state.features if option == "slices" else state.columns
        lacking = [] if isinstance(wanted, bool) else [column for column in wanted if column not in counted]
        if lacking or (wanted and state is None):
            raise OptionError(
                f"{name} holds no {option}{' of ' * bool(lacking)}{listed(lacking)}: profile its table again with {option}"
            )
    if asked.worst and worst is None:
        raise OptionError(f"{name} keeps no worst rows: profile its table again with worst_rows")
    if asked.worst and asked.worst > worst.most[0]:
        refuse("worst_rows", int(worst.most[0]), asked.worst)
    if row_id is not None and worst is not None and worst.identity[0] != row_id:
        raise OptionError(
            f"{name} names its worst rows by {worst.identity[0]!r}, not {row_id!r}: profile its table again with the role id"
        )


def as_current(saved: Profile, name: str, like: Profile, slicing: Slicing) -> Profile:
    """A profile in the place of a current table: what it holds on the plan of the reference."""
    refuse_other_slices(saved, name, slicing)
    if set(like.columns).isdisjoint(saved.columns):
        raise InputError(
            f"{name} has no column in common with the reference, which has {listed(like.columns)}; it has "
            f"{listed(saved.columns)}: check that both are of the same model"
        )
    for key in like.plan.keys() & saved.plan.keys():
        try:
            _ = like.plan[key] + saved.plan[key]
        except MergeError as error:
            raise MergeError(
                f"{name} was counted on another plan than the reference: count its table again with like=, the "
                "profile of the reference (gpumon profile --like)"
            ) from error
    missing = tuple(column for column in like.columns if column not in saved.schema)
    new = tuple(column for column in saved.columns if column not in like.schema)
    notes = differences(name, Differences(missing, new))
    states = {key: state for key, state in saved.states.items() if key[2:] in like.plan}
    facts = saved.facts | {"notes": [*saved.facts.get("notes", ()), *notes]}
    return Profile(like.schema, like.plan, states, facts)
