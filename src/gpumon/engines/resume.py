"""What is kept of a run that cannot finish, in a folder, so that the next run counts only what is missing."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpumon.errors import OptionError, ProfileError
from gpumon.profiles import files
from gpumon.profiles.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpumon.tables.slices import Slicing
    from gpumon.tables.table import Partition, Table

__all__ = ["Checkpoint"]


class Checkpoint:
    """One table's file in the folder: a profile whose facts list the partitions, and the files, that are missing in it."""

    def __init__(self, folder: str | Path, what: str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / f"{what}.gpumon"
        if not self.folder.absolute().parent.is_dir():
            raise OptionError(f"resume: there is no folder {self.folder.absolute().parent}: make it first")

    @staticmethod
    def identity(
        table: Table, columns: Sequence[str], slicing: Slicing, like: Profile, partitions: int
    ) -> str:
        """What a run counts, as a digest: the files with their sizes, columns, windows and segments, the plan."""
        if not table.files:
            raise OptionError(f"{table.name}: only a table of files can be resumed, so leave resume out")
        told = [[file.path, file.nbytes] for file in table.files]
        asked = [list(columns), slicing.timestamp, slicing.every, list(slicing.by), partitions]
        digest = sha256(json.dumps([told, asked]).encode())
        digest.update(files.dumps(Profile(like.schema, like.plan)))
        return digest.hexdigest()

    def load(self, identity: str, partitions: int) -> tuple[Profile | None, list[int] | None]:
        """What an earlier run has counted, and the partitions that are missing; (None, None) if there was none."""
        if not self.path.exists():
            return None, None
        kept = files.load(self.path)
        facts = kept.facts
        if facts.get("identity") != identity:
            raise OptionError(
                f"{self.path} is of other files or other options: remove it, or give resume another folder"
            )
        missing = facts.get("missing")
        if not isinstance(missing, list) or not all(
            isinstance(i, int) and 0 <= i < partitions for i in missing
        ):
            raise ProfileError(f"{self.path} does not say what is missing: remove it")
        return kept, missing

    def save(
        self, counted: Profile, identity: str, missing: Sequence[int], partitions: Sequence[Partition]
    ) -> None:
        """Keep what was counted."""
        absent = dict.fromkeys(path for number in missing for path in partitions[number].paths)
        facts: dict[str, Any] = {
            **counted.facts,
            "identity": identity,
            "missing": list(missing),
            "partitions": len(partitions),
            "missing_files": list(absent),
        }
        if missing:
            facts["notes"] = [
                *facts.get("notes", ()),
                f"only a part was counted: {len(missing):,} of {len(partitions):,} partitions are missing",
            ]
        self.folder.mkdir(exist_ok=True)
        files.save(Profile(counted.schema, counted.plan, counted.states, facts), self.path)

    def remove(self) -> None:
        """Forget it, after a run that finished."""
        self.path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
