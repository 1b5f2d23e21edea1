"""What users pass: refused in one line where it cannot be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gpumon.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["by_role", "columns_of", "expect", "is_profile", "names_of", "scores_by_class"]


def is_profile(source: Any) -> bool:
    """Whether a path names a saved profile."""
    return (isinstance(source, str) and source.endswith(".gpumon")) or getattr(
        source, "suffix", ""
    ) == ".gpumon"


def expect(value: Any, kind: Any, message: str) -> None:
    """Raise an OptionError with this message if a value is of another kind."""
    if not isinstance(value, kind):
        raise OptionError(message)


def names_of(what: str, names: Any) -> list[str]:
    """One name or several as a list, each once."""
    names = [names] if isinstance(names, str) else names
    expect(names, Iterable, f"{what} must be the name of a column or a list of names, not {names!r}")
    names = list(names)
    for name in names:
        expect(name, str, f"{what} must be the name of a column or a list of names, not {name!r}")
    return list(dict.fromkeys(names))


def by_role(roles: Any) -> dict[str, list[str]]:
    """{role: names} of what may have one name for a role, or be None."""
    expect(roles, Mapping | None, f"roles must be a mapping such as {{'target': 'y'}}, not {roles!r}")
    found = {}
    for role, given in (roles or {}).items():
        names = list(given.values()) if role == "score" and isinstance(given, Mapping) else given
        found[role] = names_of(f"the role {role!r}", names)
    return found


def scores_by_class(score: Any, names: Sequence[str]) -> dict[str, str]:
    """{class: column} of scores, given as that, or as what several of the ``names`` begin with; empty of any other score."""
    from gpumon.engines.label_plan import text_of

    if isinstance(score, Mapping):
        return {text_of(name): column for name, column in score.items()}
    if isinstance(score, list | tuple) and len(score) == 1:
        (score,) = score
    if not isinstance(score, str) or score in names:
        return {}
    begun = [name for name in names if name.startswith(score)]
    return {name.removeprefix(score): name for name in begun} if len(begun) > 1 else {}


def columns_of(what: str, columns: Any) -> bool | list[str]:
    """The columns that an option is of; True for all, none for False or None."""
    return True if columns is True else names_of(what, columns or ())
