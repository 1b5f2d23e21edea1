"""Profile: the states of a table by window, segment and column. The only thing that crosses process, machine and time."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

from gpumon.errors import MergeError, OptionError
from gpumon.profiles.times import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpumon.profiles.state import State
    from gpumon.schema import Schema

__all__ = ["Key", "Profile"]

Slice = tuple[str | None, str | None]


class Key(NamedTuple):
    """Where a state stands: window and segment (None: all), the column ("" for all), and what of it was counted.

    ``aspect`` is "values", or "length" and "pattern" of a text column, "rows", "pearson" or "spearman".
    """

    window: str | None
    segment: str | None
    subject: str
    aspect: str


class Profile:
    """What a table leaves behind: small, integer-counted, mergeable in any order.

    ``a + b`` is the profile of the rows of both; ``a == b`` compares what was counted, not where it came from.
    Edges and vocabulary come from a reference; ``profile(table, like=reference)`` counts another table on them.
    """

    __slots__ = ("facts", "plan", "schema", "states")

    def __init__(
        self,
        schema: Schema,
        plan: Mapping[tuple[str, str], State],
        states: Mapping[Key, State] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.schema = schema
        """The columns, their kinds and roles."""
        self.plan = dict(plan)
        """For each (subject, aspect) its state with nothing counted: the edges and the vocabulary."""
        self.states = {} if states is None else dict(states)
        """What was counted, by :class:`Key`."""
        self.facts = {} if facts is None else dict(facts)
        """Where it came from, in words: ``name`` and what else is known. No part of ``==``."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the profiled columns."""
        return self.schema.names

    @property
    def windows(self) -> list[str]:
        """The time windows, in order; none if time was not asked for."""
        return sorted({key.window for key in self.states if key.window is not None})

    @property
    def segments(self) -> list[str]:
        """The segments, sorted; none if segments were not asked for."""
        return sorted({key.segment for key in self.states if key.segment is not None})

    @property
    def slices(self) -> list[Slice]:
        """Every (window, segment) in which rows were counted."""
        found = {(key.window, key.segment) for key in self.states}
        return sorted(found, key=lambda pair: tuple((part is not None, part or "") for part in pair))

    @property
    def rows(self) -> int:
        """Rows counted."""
        return sum(int(state.rows) for state in self._finest().values() if isinstance(state, Rows))

    def empty(self) -> Profile:
        """The same plan with nothing counted: the zero of ``+``, and what ``like=`` means."""
        return Profile(self.schema, self.plan)

    def state(
        self, subject: str, aspect: str = "values", *, window: str | None = None, segment: str | None = None
    ) -> State:
        """One state; the empty one where no rows were counted. KeyError if the column was not profiled."""
        return self.states.get(Key(window, segment, subject, aspect), self.plan[subject, aspect])

    def __add__(self, other: Profile) -> Profile:
        if not isinstance(other, Profile):
            return NotImplemented
        if self.schema.columns != other.schema.columns or self.plan.keys() != other.plan.keys():
            raise MergeError(
                "these profiles have different columns: profile the second table with like=the first profile"
            )
        for key, empty in self.plan.items():
            if other.plan[key] is not empty:
                _ = empty + other.plan[key]  # MergeError where the plans differ
        merged = dict(self.states)
        for at, state in other.states.items():
            merged[at] = merged[at] + state if at in merged else state
        return Profile(self.schema, self.plan, merged, self.facts or other.facts)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Profile)
            and self.schema.columns == other.schema.columns
            and self.plan == other.plan
            and self.states == other.states
        )

    __hash__ = None  # type: ignore[assignment]

    def rollup(self, *, windows: bool = True, segments: bool = True) -> Profile:
        """The profile with its windows, its segments, or both, added up."""
        groups: dict[Key, list[State]] = {}
        finest = self._finest()
        for key in sorted(finest, key=lambda key: (key.window or "", key.segment or "")):
            into = key._replace(
                window=None if windows else key.window, segment=None if segments else key.segment
            )
            groups.setdefault(into, []).append(finest[key])
        return Profile(
            self.schema, self.plan, {key: reduce(add, group) for key, group in groups.items()}, self.facts
        )

    def with_totals(self) -> Profile:
        """The profile with its roll-ups over windows, over segments and over both beside it."""
        wholes = [self]
        if self.windows:
            wholes.append(self.rollup(windows=True, segments=False))
        if self.segments:
            wholes.append(self.rollup(windows=False, segments=True))
        if self.windows and self.segments:
            wholes.append(self.rollup())
        states = {key: state for whole in reversed(wholes) for key, state in whole.states.items()}
        return Profile(self.schema, self.plan, states, self.facts)

    def _finest(self) -> dict[Key, State]:
        """The states that are no roll-ups of others: of every window and segment, if there are such."""
        windowed, segmented = bool(self.windows), bool(self.segments)
        return {
            key: state
            for key, state in self.states.items()
            if (key.window is not None or not windowed) and (key.segment is not None or not segmented)
        }

    def select(self, *, window: str | None = None, segment: str | None = None) -> Profile:
        """The rows of one window, one segment, or both, as a profile without them.

        OptionError names what there is if there is no such slice.
        """
        for wanted, there, what in ((window, self.windows, "window"), (segment, self.segments, "segment")):
            if wanted is not None and wanted not in there:
                known = ", ".join(there[:5]) + (", …" if len(there) > 5 else "") if there else "none"
                raise OptionError(f"there is no {what} {wanted!r} in this profile: it has {known}")
        states = {
            key: state
            for key, state in self._finest().items()
            if window in {None, key.window} and segment in {None, key.segment}
        }
        return Profile(self.schema, self.plan, states, self.facts).rollup(
            windows=window is not None, segments=segment is not None
        )

    def save(self, path: str | Path) -> None:
        """Write the profile to one file (docs: "The profile file"). The file appears whole or not at all."""
        from gpumon.profiles import files

        files.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """Read a profile; ProfileError in one line if it is damaged, newer than this gpumon, or no profile."""
        from gpumon.profiles import files

        return files.load(path)

    def __repr__(self) -> str:
        parts = [f"{self.rows:,} rows", f"{len(self.columns)} columns"]
        parts += [
            f"{len(names)} {what}"
            for names, what in ((self.windows, "windows"), (self.segments, "segments"))
            if names
        ]
        name = f" of {self.facts['name']}" if "name" in self.facts else ""
        return f"<Profile{name}: {', '.join(parts)}>"
