"""The rate limit of requests to 7digital, their log, and invalid settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from emobench.builders.readers.msd.allowance import RECORD, Pace, Record
from emobench.builders.readers.msd.sevendigital import DownloadConfig
from emobench.errors import InputError


def test_no_more_requests_a_day_than_allowed(tmp_path: Path) -> None:
    now = [1_000_000.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    made = []
    for _run in range(4):
        # Each run only knows what was recorded.
        record = Record(tmp_path)
        with record.open():
            pace = Pace(record, 10, wait=wait, now=lambda: now[0])
            for number in range(9):
                pace.take(str(number))
                made.append(now[0])
                now[0] += 60.0
    assert len(made) == 36
    for moment in made:
        assert sum(moment <= other < moment + 86_400 for other in made) <= 10
    # And no slower than necessary: 36 requests are at most 10 on each of four days.
    assert made[-1] - made[0] < 3 * 86_400 + 3600


def test_a_truncated_record_is_read_as_far_as_possible(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("1000.0 request 5\n1001.0 missing 5\n1002.0 miss")
    record = Record(tmp_path)
    with record.open():
        record.write(1003.0, "missing", "6")
    again = Record(tmp_path)
    assert again.missing == {"5", "6"}
    assert list(again.requests) == [1000.0]


def test_clips_are_missing_from_one_catalogue(tmp_path: Path) -> None:
    # Lines without a catalogue apply to all of them.
    (tmp_path / RECORD).write_text("1000.0 missing 5\n")
    record = Record(tmp_path, "http://x/clip ä?country=US")
    with record.open():
        record.write(1001.0, "request", "6")
        record.write(1001.0, "missing", "6")
    assert Record(tmp_path, "http://x/clip ä?country=US").missing == {"5", "6"}
    other = Record(tmp_path, "http://x/clip ä?country=SE")
    assert other.missing == {"5"}
    assert list(other.requests) == [1001.0]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"clip_url": "previews.7digital.com"}, "`clip_url` previews.7digital.com"),
        ({"clip_url": "ftp://x/clip"}, "`clip_url` ftp://x/clip"),
        ({"clip_url": "https://me:word@x/clip"}, "`clip_url`"),
        ({"clip_url": "http://x:99999/clip"}, "`clip_url`"),
        ({"clip_url": "http://x:abc/clip"}, "`clip_url`"),
        ({"clip_url": "http://[::1/clip"}, "`clip_url`"),
        ({"clip_url": "http:///clip"}, "`clip_url`"),
        ({"country": "USA"}, "`country` USA"),
        ({"per_day": 0}, "`per_day` 0"),
    ],
    ids=str,
)
def test_wrong_settings(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        DownloadConfig(**changes)
