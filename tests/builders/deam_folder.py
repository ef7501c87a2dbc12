"""A small DEAM, in the folders and files in which it is published."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

STAMPS = [15000 + 500 * place for place in range(8)]
SAMPLES = [f"sample_{stamp}ms" for stamp in STAMPS]
AVERAGED = "annotations/annotations averaged per song"
RATERS = "annotations/annotations per each rater/dynamic (per second annotations)"
DYNAMIC = f"{AVERAGED}/dynamic (per second annotations)"
STATIC = f"{AVERAGED}/song_level/static_annotations_averaged_songs_1_2000.csv"
SONGS = ("2", "3", "1001", "1002", "2001")


def write_table(path: Path, rows: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def ratings(axis: str, song: str) -> np.ndarray:
    """Of five workers, eight half seconds; arousal is high where valence is low."""
    generator = np.random.default_rng([int(song), axis == "arousal"])
    level = 0.5 if axis == "arousal" else -0.4
    return np.round(np.clip(level + generator.normal(0, 0.2, (5, 8)), -1, 1), 4)


def write_folder(root: Path) -> Path:
    """Song 3 without names of workers, song 1002 without their rows, 2001 without deviations."""
    for axis in ("arousal", "valence"):
        means: list[list[object]] = [["song_id", *SAMPLES, "sample_19000ms"]]
        for song in SONGS:
            table = ratings(axis, song)
            means.append([song, *table.mean(axis=0).round(6), ""])
            if song in ("1002", "2001"):
                continue
            rows: list[list[object]] = [["WorkerId", *SAMPLES]]
            rows += [[f"w{worker}", *row] for worker, row in enumerate(table)]
            if song == "3":
                rows = [row[1:] for row in rows]
            write_table(root / RATERS / axis / f"{song}.csv", rows)
        write_table(root / DYNAMIC / f"{axis}.csv", means)
        write_table(root / DYNAMIC / f"{axis}_std.csv", [["song_id", *SAMPLES], ["1002", *[0.2] * 8]])
    static = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n"
    write_text(root / STATIC, static + "".join(f"{song}, 3.1, 1.2, 7.1, 1.6\n" for song in SONGS))
    write_text(
        root / "metadata/metadata_2013.csv",
        "song_id,file_name,Artist,Song title,start of the segment (min.sec),end of the segment (min.sec),Genre\n"
        '2,2.mp3,"\tThe New Mystikal Troubadours","Tonight, ""A Lonely"" Century",1.02,1.47,Blues\n'
        "3,3.mp3,坂本龍一,Intoxicated,0.1,0.55,Pop\n",
    )
    write_text(
        root / "metadata/metadata_2014.csv",
        "Id,Artist,Album,Track,Genre,segment start,segment end,Unnamed\n"
        "1001,Hélène,Été,Matin,Rock,0:10,0:55,tag,another,and one more\n"
        "1002,The New Mystikal Troubadours,Known,Song,Rock,0:10,0:55\n",
        "cp1252",
    )
    write_text(root / "metadata/metadata_2015.csv", "id,Filename,title,artist,album,genre\n2001,x.mp3,T,n/a,n/a,Rock\n")
    return root
