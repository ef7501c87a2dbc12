"""Small files in the formats of the Million Song Dataset."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# As in the dataset's own files, without the columns that are not used.
SONGS = np.dtype(
    [
        ("artist_name", "S1024"),
        ("release", "S1024"),
        ("song_id", "S32"),
        ("title", "S1024"),
        ("track_7digitalid", "<i4"),
    ]
)
ANALYSIS = np.dtype([("duration", "<f8"), ("tempo", "<f8"), ("track_id", "S32")])

# Track, 7digital id, artist, release, title.
Track = tuple[str, int, str, str, str]

TRACKS: list[Track] = [
    ("TRAAAAK128F9318786", 5504670, "Adelitas Way", "Adelitas Way", "Scream"),
    ("TRAAAAV128F421A322", 2168257, "坂本龍一", "音楽図鑑, 完璧盤", 'A "quoted" title'),
    ("TRAAABD128F429CF47", 3400270, "Sigur Rós", "Ágætis byrjun", "Svefn\tg-englar"),
    ("TRAAAED128E0783FAB", 0, "<script>alert(1)</script>", "", "../../etc/passwd"),
]


def track_of(number: int) -> str:
    """Make a track id from a number."""
    return f"TRAAAAA128F{number:07X}"


def write_database(path: Path, tracks: Sequence[Track] = tuple(TRACKS), *, leave_out: str = "") -> Path:
    columns = ("track_id", "track_7digitalid", "artist_name", "release", "title")
    kinds = {name: "int" if name == "track_7digitalid" else "text" for name in columns if name != leave_out}
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE songs ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
        rows = [[value for name, value in zip(columns, track, strict=True) if name != leave_out] for track in tracks]
        connection.executemany(f"INSERT INTO songs VALUES ({', '.join('?' * len(kinds))})", rows)
    connection.close()
    return path


def write_h5(path: Path, tracks: Sequence[Track], **more: Any) -> Path:
    """Write a summary file, or a per-track file if there is one track; ``more`` are datasets of ``/analysis``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    songs, analysis = np.zeros(len(tracks), SONGS), np.zeros(len(tracks), ANALYSIS)
    for row, (track, seven, artist, release, title) in enumerate(tracks):
        songs[row] = (artist.encode(), release.encode(), b"SO", title.encode(), seven)
        analysis[row] = (200.0, 120.0, track.encode())
    with h5py.File(path, "w") as file:
        file.create_dataset("metadata/songs", data=songs, compression="gzip", compression_opts=1, chunks=True)
        file.create_dataset("analysis/songs", data=analysis, compression="gzip", compression_opts=1, chunks=True)
        for name, values in more.items():
            file[f"analysis/{name}"] = values
    return path


def write_lines(folder: Path, tracks: Sequence[Track] = tuple(TRACKS), *, ids: str = "lines") -> Path:
    """Write ``unique_tracks.txt`` and the 7digital ids as ``lines``, as a ``table``, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{track}<SEP>SO{number:016}<SEP>{artist}<SEP>{title}"
        for number, (track, _, artist, _, title) in enumerate(tracks)
    ]
    (folder / "unique_tracks.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    known = [(track, seven) for track, seven, *_ in tracks if seven]
    if ids == "lines":
        (folder / "msd_id.txt").write_text("".join(f"{track}\n" for track, _ in known))
        (folder / "7digital_id.txt").write_text("".join(f"{seven}\n" for _, seven in known))
    elif ids == "table":
        rows = "".join(f"{track},{seven}\n" for track, seven in known)
        (folder / "7digital_ids.csv").write_text(f"track_id,seven_digital_id\n{rows}")
    return folder / "unique_tracks.txt"
