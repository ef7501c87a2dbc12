"""A small emoMusic and a small PMEmo, in the files and with the oddities of the published ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .deam_folder import write_text

# Of the published train, validation and test songs, in both corpora.
EMOMUSIC = ("2", "3", "4", "5", "82", "834")
PMEMO = ("1", "4", "138", "183", "184")

HALF_SECONDS = [15000 + 500 * place for place in range(9)]
FRAMES = [15.5 + 0.5 * place for place in range(8)]


def level(song: str, axis: str) -> float:
    """Level of a song on an axis, on -1 to 1, with three digits."""
    return round(float(np.random.default_rng([int(song), axis == "arousal"]).uniform(-0.7, 0.7)), 3)


def spread(song: str, axis: str) -> float:
    """Deviation of ratings on -1 to 1, which is too large for ratings on 0 to 1 with the same mean."""
    return round(0.7 * float(np.sqrt(1 - level(song, axis) ** 2)), 4)


def write_emomusic(root: Path) -> Path:
    """Nine half seconds, of which the last begins where the eight of the clip end, and whole-song ratings."""
    for axis in ("arousal", "valence"):
        for name, value in (("average", None), ("std", 0.25)):
            lines = ["song_id," + ",".join(f"sample_{stamp}ms" for stamp in HALF_SECONDS)]
            for song in EMOMUSIC:
                values = [level(song, axis) + 0.01 * place if value is None else value for place in range(9)]
                lines.append(f"{song}," + ",".join(f"{each:.15f}" for each in values))
            write_text(root / "annotations" / f"{axis}_cont_{name}.csv", "\n".join(lines) + "\n")
    static = "song_id,mean_arousal,std_arousal,mean_valence,std_valence\n"
    static += "".join(
        f"{song},{5 + 4 * level(song, 'arousal'):.4f},1.6,{5 + 4 * level(song, 'valence'):.4f},1.2\n"
        for song in EMOMUSIC
    )
    write_text(root / "annotations" / "static_annotations.csv", static)
    info = (
        '"song_id","file_name","Artist","Song title","start of the segment (min.sec)","end of the segment (min.sec)",'
        '"Genre","Mediaeval 2013 set"\n'
    )
    info += "".join(
        f'{song},"\t{song}.mp3","Artist {"ABC"[place % 3]}\t","\tTitle, {song}\t","\t0.48\t","\t1.33\t","\tBlues\t",'
        '"development"\n'
        for place, song in enumerate(EMOMUSIC)
    )
    write_text(root / "annotations" / "songs_info.csv", info)
    return root


def write_pmemo(root: Path) -> Path:
    """Eight half seconds, whose deviations are on -1 to 1, and whole-song ratings, both on 0 to 1."""
    means = "musicId,frameTime,Arousal(mean),Valence(mean)\n"
    spreads = "musicId,frameTime,Arousal(std),Valence(std)\n"
    static = "musicId,Arousal(mean),Valence(mean)\n"
    deviations = "musicId,Arousal(std),Valence(std)\n"
    metadata = "musicId,fileName,title,artist,album,duration,chorus_start_time,chorus_end_time\n"
    for place, song in enumerate(PMEMO):
        arousal, valence = ((level(song, axis) + 1) / 2 for axis in ("arousal", "valence"))
        for step, frame in enumerate(FRAMES):
            means += f"{song},{frame},{arousal + step / 100:.4f},{valence + step / 100:.4f}\n"
            spreads += f"{song},{frame},{spread(song, 'arousal')},{spread(song, 'valence')}\n"
        static += f"{song},{arousal:.4f},{valence:.4f}\n"
        deviations += f"{song},0.2,0.15\n"
        metadata += f'{song},{song}.mp3,Title,Artist {"AB"[place % 2]},"Album, {place // 2}",19.1,02:35,03:05\n'
    write_text(root / "annotations" / "dynamic_annotations.csv", means)
    write_text(root / "annotations" / "dynamic_annotations_std.csv", spreads)
    write_text(root / "annotations" / "static_annotations.csv", static)
    write_text(root / "annotations" / "static_annotations_std.csv", deviations)
    write_text(root / "metadata.csv", metadata.replace("\n", "\r\n"))
    return root


def copy_of_pmemo(
    means: str = "1,5.6,0.160078105936,4.2,0.15612494995\n4,3.3,0.158607219256,3.1,0.152581945197\n",
) -> str:
    """Return Music2Emo's copy of the ratings of whole songs, by default its first two songs."""
    return "song_id,valence_mean,valence_std,arousal_mean,arousal_std\n" + means
