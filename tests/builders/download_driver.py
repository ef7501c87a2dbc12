"""Download in a separate process; arguments: folder, URL of the server, number of clips."""

from __future__ import annotations

import sys
from pathlib import Path

from emobench.builders.readers.msd.sevendigital import Download, DownloadConfig

if __name__ == "__main__":
    folder, address, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    Download(folder, DownloadConfig(clip_url=f"{address}/clip", connections=2))(
        [str(n) for n in range(100, 100 + count)]
    )
