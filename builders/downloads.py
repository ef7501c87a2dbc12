"""Files of corpora that ``download`` fetches into ``data/downloads/<source>``, and unpacks there.

A source declares them in ``Source.downloads``; :func:`emobench.builders.build.build_dataset` fetches them before the
corpus is read. ``downloads.json`` beside them states where each file came from, its checksum, and the number and size
of the files unpacked from it, by which a complete folder is recognised without its archive.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EmobenchError, EmobenchWarning, InputError
from ..runtime.cache_content import size_shown
from ..runtime.files import data_folder, locked, read_json, write_json
from ..runtime.text import counted

if TYPE_CHECKING:
    from ..runtime.downloads import Remote

# Help text of the option `download`.
DOWNLOAD = "Download the files that are not given by other options into data/downloads."


@dataclass(frozen=True)
class Archive:
    """An archive of a corpus.

    Attributes
    ----------
    url : str
        URL. Tests replace it.
    option : str
        Option that takes the unpacked folder instead.
    checksum : str or None
        Published checksum, such as ``sha1:f0df…``; another file is refused.
    sha256 : str or None
        SHA-256 of a download by others; another file causes a warning.
    size : str
        Expected size, for people.
    name : str
        Name of the local file; by default the last part of the URL.
    stable : bool
        Whether the server should always send the same bytes. GitHub makes archives anew.
    """

    url: str
    option: str
    checksum: str | None = None
    sha256: str | None = None
    size: str = ""
    name: str = ""
    stable: bool = True

    @property
    def file(self) -> str:
        """Name of the local file."""
        return self.name or self.url.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Name of this folder."""
        return self.file.removesuffix(".zip").removesuffix(".gz").removesuffix(".tar")

    def place(self, source: str) -> Path:
        """Return the folder of its content."""
        return downloads_folder(source) / self.folder


@dataclass(frozen=True)
class Download:
    """The archives of a corpus.

    Attributes
    ----------
    source : str
        Name of the source.
    terms : str
        Licence, in one line, which is said before the download.
    archives : tuple of Archive
        Archives.
    """

    source: str
    terms: str
    archives: tuple[Archive, ...]

    @classmethod
    def of(cls, source: str, terms: str, options: Any, archives: tuple[Archive, ...]) -> Download | None:
        """Choose the archives whose folders are not given; None without ``options.download``, or if none is left."""
        wanted = tuple(each for each in archives if getattr(options, each.option) is None)
        return cls(source, terms, wanted) if options.download and wanted else None

    @property
    def folder(self) -> Path:
        """Folder of the files."""
        return downloads_folder(self.source)

    def missing(self) -> list[Archive]:
        """List the archives that are not unpacked completely."""
        from ..runtime.archives import content

        known = _records(self.folder)
        return [
            each
            for each in self.archives
            if not (place := self.folder / each.folder).is_dir()
            or known.get(each.file, {}).get("unpacked") != content(place)
        ]

    def plans(self) -> list[str]:
        """Say what would be done for each missing archive, with its size; nothing is downloaded."""
        plans = [
            f"would unpack {path}"
            if (path := self.folder / each.file).exists()
            else f"would download {each.url} to {path} ({self._size_text(each)})"
            for each in self.missing()
        ]
        return [*plans, self.terms]

    def _size_text(self, archive: Archive) -> str:
        from ..runtime.downloads import size_of

        published = f"{archive.size} expected" if archive.size else "size unknown"
        try:
            size = size_of(self._remote(archive))
        except EmobenchError:
            return f"{published}; the server cannot be reached"
        return f"{published}; the server does not state a size" if size is None else size_shown(size)

    def fetch(self) -> None:
        """Download and unpack what is missing. An interrupted call is continued by the next.

        Raises
        ------
        EmobenchError
            If a file cannot be downloaded, is damaged, or there is no space for it.
        """
        missing = self.missing()
        if not missing:
            return
        with locked(self.folder / ".lock", f"another process is downloading to {self.folder}"):
            self._announce([each for each in missing if not (self.folder / each.file).exists()])
            for each in missing:
                self._fetch(each)

    def _announce(self, archives: list[Archive]) -> None:
        """Say what will be downloaded, and from where; check that there is space for it."""
        from ..runtime.downloads import size_of

        if not archives:
            return
        sizes = [size_of(self._remote(each)) for each in archives]
        total = sum(size or 0 for size in sizes)
        unknown = [
            f"{each.file}: {each.size or 'unknown'}" for each, size in zip(archives, sizes, strict=True) if not size
        ]
        parts = [self.folder / f"{each.file}.part" for each in archives]
        arrived = sum(part.stat().st_size for part in parts if part.exists())
        log = getLogger("emobench")
        log.info(self.terms)
        log.info(
            f"downloading {counted(len(archives), 'file')} ({', '.join(each.file for each in archives)}) from "
            f"{archives[0].url.rpartition('/')[0]} to {self.folder}: {size_shown(total)}"
            + (f", of which {size_shown(arrived)} have arrived" if arrived else "")
            + (f", and files whose size the server does not state ({'; '.join(unknown)})" if unknown else "")
        )
        needed = total - arrived
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise EmobenchError(
                f"{self.folder}: {size_shown(needed)} are to be downloaded, but only {size_shown(free)} are free "
                "there; free some space, or set EMOBENCH_DATA to a folder on a larger disk."
            )

    def _fetch(self, archive: Archive) -> None:
        from ..runtime.archives import content, unpack
        from ..runtime.downloads import fetch

        path, checksum = fetch(self._remote(archive), self.folder)
        known = _records(self.folder)
        before = known.get(archive.file, {}).get("first") or (archive.sha256 and f"sha256:{archive.sha256}")
        if archive.stable and before and checksum != before:
            warnings.warn(
                f"{path}: has the checksum {checksum}, but an earlier download of {archive.url} had {before}. The file "
                "was changed there, or damaged on the way; results may differ from those of others.",
                EmobenchWarning,
                stacklevel=2,
            )
        record: dict[str, Any] = {"url": archive.url, "checksum": checksum, "first": before or checksum}
        write_json(self.folder / _RECORDS, known | {archive.file: record})
        unpack(path, self.folder / archive.folder, version=checksum)
        record["unpacked"] = content(self.folder / archive.folder)
        write_json(self.folder / _RECORDS, known | {archive.file: record})

    def _remote(self, archive: Archive) -> Remote:
        from ..runtime.downloads import Remote

        instead = (
            f"download {archive.url} by hand and save it as {self.folder / archive.file}, or unpack it and pass its "
            f"folder as `{archive.option}`"
        )
        return Remote(archive.url, archive.file, instead, archive.checksum)


_RECORDS = "downloads.json"


def require(options: Any, source: str, *names: str) -> None:
    """Check that each of the named options is given, unless ``download`` is.

    Raises
    ------
    InputError
        If one is not.
    """
    lacking = [name for name in names if getattr(options, name) is None]
    if lacking and not options.download:
        raise InputError(
            f"`{lacking[0]}`: required by the source {source} without `download`. Pass the folder, or `download` to "
            "fetch it."
        )


def downloads_folder(source: str) -> Path:
    """Return the folder of a source's downloads, ``data/downloads/<source>``."""
    return data_folder() / "downloads" / source


def _records(folder: Path) -> dict[str, Any]:
    path = folder / _RECORDS
    return read_json(path, "list of downloads") if path.exists() else {}
