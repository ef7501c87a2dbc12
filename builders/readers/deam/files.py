"""Find the files of DEAM by their names, and read those of workers. Problems are collected in a list, not raised."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ....runtime.files import sha256_file
from ...tree import files_below
from ..songs.tables import AXES, Grid, only, read_grid, read_rows, song_id

_WORKER = ("workerid", "worker")

# Scale of the workers' files in some versions; the published means are on -1 to 1.
WIDE = 10.0


@dataclass
class Found:
    """Paths of the files.

    Attributes
    ----------
    means, deviations : dict
        Axis to table of all songs: ``arousal.csv``, and ``arousal_std.csv`` or ``arousal_cont_std.csv``.
    workers : dict
        Axis and song id to table of one song, in a folder named ``arousal`` or ``valence``.
    static : list of Path
        ``static_annotations_averaged_songs_*.csv``.
    metadata : list of Path
        ``metadata*.csv``.
    """

    means: dict[str, Path] = field(default_factory=dict)
    deviations: dict[str, Path] = field(default_factory=dict)
    workers: dict[str, dict[str, Path]] = field(default_factory=lambda: {axis: {} for axis in AXES})
    static: list[Path] = field(default_factory=list)
    metadata: list[Path] = field(default_factory=list)

    def hashes(self, folder: Path) -> list[tuple[str, str]]:
        """Compute the SHA-256 of each file; returns pairs of relative path and hash."""
        owned = [path for songs in self.workers.values() for path in songs.values()]
        paths = [*self.means.values(), *self.deviations.values(), *owned, *self.static, *self.metadata]
        # Metadata beside the annotations get the same relative path as metadata among them.
        beside = _metadata_beside(folder).parent
        places = {path: path.relative_to(folder if path.is_relative_to(folder) else beside) for path in paths}
        return sorted((place.as_posix(), sha256_file(path)) for path, place in places.items())


def find_files(folder: Path, problems: list[str]) -> Found:
    """Find the files in a folder and its subfolders, and the metadata also in the folder ``metadata`` beside it."""
    found = Found()
    for path in [folder / below for below in files_below(folder, (".csv",), problems)]:
        name, above = path.stem.lower(), path.parent.name.lower()
        axis = name.split("_")[0]
        if name in AXES:
            only(found.means, axis, path, problems)
        elif axis in AXES and name in (f"{axis}_std", f"{axis}_cont_std"):
            only(found.deviations, axis, path, problems)
        elif name.startswith("static_annotations_averaged_songs"):
            found.static.append(path)
        elif name.startswith("metadata"):
            found.metadata.append(path)
        elif above in AXES:
            song = song_id(path.stem)
            if song is None:
                problems.append(f"{path}: expected a song id as the file name")
            else:
                only(found.workers[above], song, path, problems)
    if not found.metadata:
        beside = _metadata_beside(folder)
        paths = [beside / below for below in files_below(beside, (".csv",), problems)]
        found.metadata = [path for path in paths if path.name.lower().startswith("metadata")]
    return found


def _metadata_beside(folder: Path) -> Path:
    return folder.resolve().parent / "metadata"


def read_workers(path: Path, problems: list[str]) -> Grid | None:
    """Read the table of one song, with one row per worker and an optional column ``WorkerId``; None if invalid.

    Values may be on the scale -1 to 1 or -10 to 10 and are returned unchanged.
    """
    rows = read_rows(path, problems)
    return read_grid(path, rows, _WORKER, (-WIDE, WIDE), problems) if rows else None
