"""What columns are: a kind (how values are counted) and a role (what the column is to the model)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Column", "Kind", "Role", "Schema", "Skipped"]


class Kind(StrEnum):
    """How the values of a column are counted."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"


class Role(StrEnum):
    """What a column is to the model. Ids and timestamps are no features: they differ by nature.

    Sensitive columns make the groups of people of which fairness is measured; an attribution is what a feature added to a
    prediction (a Shapley value, say).
    """

    FEATURE = "feature"
    TARGET = "target"
    PREDICTION = "prediction"
    SCORE = "score"
    WEIGHT = "weight"
    LOWER = "lower"
    UPPER = "upper"
    STD = "std"
    SENSITIVE = "sensitive"
    ATTRIBUTION = "attribution"
    TIMESTAMP = "timestamp"
    ID = "id"


@dataclass(frozen=True)
class Column:
    """One column: ``type`` is its Arrow type as text; ``discrete``: at most 50 values, all of them integers."""

    name: str
    kind: Kind
    role: Role = Role.FEATURE
    type: str = ""
    discrete: bool = False


@dataclass(frozen=True)
class Skipped:
    """A column that cannot be profiled, and why in words."""

    name: str
    why: str


@dataclass(frozen=True)
class Schema:
    """The columns of a table in their order, and those that were left out."""

    columns: tuple[Column, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that are profiled."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that a model reads."""
        return self.of(Role.FEATURE)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def of(self, role: Role) -> tuple[str, ...]:
        """The names of the columns with this role, in order."""
        return tuple(column.name for column in self.columns if column.role is role)

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def to_json(self) -> dict[str, Any]:
        """The schema as a JSON value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Schema:
        """The schema of ``to_json``; KeyError, TypeError or ValueError if it is not one."""
        return cls(
            tuple(
                Column(str(c["name"]), Kind(c["kind"]), Role(c["role"]), str(c["type"]), bool(c["discrete"]))
                for c in value["columns"]
            ),
            tuple(Skipped(str(c["name"]), str(c["why"])) for c in value["skipped"]),
        )
