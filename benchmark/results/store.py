"""Results on disk, ``results/<dataset>@<version>/<entry>-<signature>.json``, with their predictions beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from ...errors import InputError
from ...protocols import metrics
from ...runtime.files import json_text, read_json, sha256_file, write_parquet, write_text
from ..scoring.regressors.stored import Arrays
from .beside import features_path, link, parameters_path, write_parameters
from .checks import LEVELS, Level
from .config import Decided
from .model import Entry, Files, Result, field_digests, predictions_path
from .predictions import PredictionsError, TestPredictions, read_table
from .reading import load
from .seeds import SeedGroup, entries_of, stacked
from .variants import variants_of

# Beside the folders of published results: the level to which each was verified.
VERIFIED = "verified.json"

# Numbers of predictions that a store keeps in memory, 512 MiB; beyond these it reads predictions again.
_KEPT = 2**26


class ResultStore:
    """Results below a folder. Every file is read, validated and hashed once.

    Parameters
    ----------
    folder : Path
        Folder of results.

    Attributes
    ----------
    folder : Path
        Folder of results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, Result] = {}
        self._predictions: dict[Path, TestPredictions] = {}
        self._hashes: dict[Path, str] = {}
        self._table: tuple[Path, tuple[pl.DataFrame | None, list[str]]] | None = None

    @classmethod
    def of(cls, folder: Path, results: Iterable[Result], *stores: ResultStore) -> ResultStore:
        """Make a store of results that other stores have read."""
        made = cls(folder)
        made._read = {result.path: result for result in results}
        made._predictions = {path: found for store in stores for path, found in store._predictions.items()}
        made.__dict__["_found"] = _latest(made._read.values(), made._has_predictions)
        return made

    def read(self, path: Path) -> Result:
        """Read one result.

        Raises
        ------
        InputError
            If the file is not a valid result of this schema.
        """
        if path not in self._read:
            self._read[path] = load(path)
        return self._read[path]

    @cached_property
    def _found(self) -> tuple[list[Result], list[str]]:
        found, problems = [], []
        for path in sorted(self.folder.glob("*/*.json")):
            try:
                found.append(self.read(path))
            except InputError as error:
                problems.append(str(error))
        results, copies = _latest(found, self._has_predictions)
        return results, [*problems, *copies]

    @property
    def results(self) -> list[Result]:
        """Latest result of every entry, in the order of their paths."""
        return self._found[0]

    @cached_property
    def entries(self) -> list[Result]:
        """The same, with those that differ in the seed of their networks alone as one entry (:mod:`.seeds`)."""
        return entries_of(self.results, self.predictions)

    @property
    def problems(self) -> list[str]:
        """One line for each file that is not a valid result, or is the copy of another."""
        return self._found[1]

    @cached_property
    def levels(self) -> dict[str, Level] | None:
        """Level to which each result was verified when it was published, by signature; None for a local folder.

        A result that was changed since then has none.
        """
        path = self.folder / VERIFIED
        if not path.is_file():
            return None
        levels: dict[str, Level] = {}
        recorded = read_json(path, "record of verification")
        for result in self.results:
            known = recorded.get(result.signature)
            if isinstance(known, dict) and known.get("sha256") == _text_sha256(result) and known.get("level") in LEVELS:
                levels[result.signature] = known["level"]
        return levels

    @property
    def entry_levels(self) -> dict[str, Level] | None:
        """The same for :attr:`entries`; of several seeds the lowest level."""
        if self.levels is None:
            return None
        levels = dict(self.levels)
        for entry in self.entries:
            found = [levels[member.signature] for member in entry.members if member.signature in levels]
            if len(found) == len(entry.members):
                levels[entry.signature] = LEVELS[min(map(LEVELS.index, found))]
        return levels

    def verification(self) -> str:
        """Return the content of the file that records :attr:`levels`."""
        known = {result.signature: result for result in self.results}
        return json_text(
            {
                signature: {"level": level, "sha256": _text_sha256(known[signature])}
                for signature, level in sorted((self.levels or {}).items())
                if signature in known
            }
        )

    @cached_property
    def variants(self) -> dict[str, str]:
        """What distinguishes entries of the same name, by signature: the model, else the signature; else ``""``."""
        return variants_of(self.results) | variants_of(self.entries)

    def table(self, result: Result) -> tuple[pl.DataFrame | None, list[str]]:
        """Read the predictions of a result as :func:`.predictions.read_table` does; the last ones read are kept."""
        if self._table is None or self._table[0] != result.path:
            self._table = (result.path, read_table(result))
        return self._table[1]

    def predictions(self, result: Result) -> TestPredictions:
        """Return the test predictions of a result; of several seeds those of all (:func:`.seeds.stacked`).

        Raises
        ------
        PredictionsError
            If they are missing, damaged, or do not give the scores that the result records.
        """
        if len(result.members) > 1:
            return stacked([self.predictions(member) for member in result.members])
        if result.path in self._predictions:
            return self._predictions[result.path]
        table, damage = self.table(result)
        if table is None or damage:
            raise PredictionsError(f"its predictions cannot be used ({damage[0]})")
        found = TestPredictions.of(result, table)
        if sum(each.predicted.size for each in self._predictions.values()) + found.predicted.size <= _KEPT:
            self._predictions[result.path] = found
        return found

    def damage(self, result: Result) -> str | None:
        """Say what of a result or its predictions was changed after it was written; None if nothing was."""
        try:
            self.predictions(result)
        except PredictionsError as error:
            # Scores that do not fit the predictions are for the verification to report.
            if self.table(result)[1]:
                return str(error)
        return next(iter(result.changed), None)

    def _has_predictions(self, result: Result) -> bool:
        if result.path in self._predictions:
            return True
        path = predictions_path(result.path)
        return path.is_file() and sha256_file(path) == result.files.predictions

    def finished(self, path: Path) -> Result | None:
        """Return the result at ``path`` if it and its predictions are as they were written, with all metrics."""
        if not path.is_file():
            return None
        try:
            result = self.read(path)
        except InputError:
            return None
        complete = set(result.scores) == set(metrics.names()) and not result.changed
        beside = ((result.files.features, features_path), (result.files.parameters, parameters_path))
        complete &= all(place(path).is_file() for recorded, place in beside if recorded)
        return result if complete and self._has_predictions(result) else None

    def path(self, dataset: str, decided: Decided) -> Path:
        """Return the path of the result of an entry on a dataset, ``name@version``."""
        return self.folder / dataset / decided.file_name

    def write(
        self,
        path: Path,
        entry: Entry,
        predictions: pl.DataFrame,
        *,
        features: pl.DataFrame | Path | None = None,
        parameters: Mapping[int, Arrays] | Path | None = None,
    ) -> Result:
        """Write predictions, features and parameters, then the result that holds their SHA-256.

        Its ``sequence`` is one more than that of any other result of the same entry in the folder.

        Parameters
        ----------
        path : Path
            JSON file of the result.
        entry : Entry
            Fields of the result.
        predictions : DataFrame
            Predictions.
        features : DataFrame or Path, optional
            Features that the regressor received, as :func:`.beside.feature_table` arranges them; or a file that holds
            the same, such as that of another entry with the same features.
        parameters : mapping of int to mapping, or Path, optional
            Fitted parameters of each repeat; or a file with the same.

        Returns
        -------
        Result
            The result as it was written.
        """
        beside = predictions_path(path)
        write_parquet(beside, predictions)
        files = Files(
            predictions=sha256_file(beside),
            features=self._put(features_path(path), features, write_parquet),
            parameters=self._put(parameters_path(path), parameters, write_parameters),
        )
        written: dict[str, Any] = {
            "sequence": 1 + max((other.sequence for other in self._same_entry(path, entry)), default=0),
            "files": files.model_dump(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        digests = field_digests(entry.model_dump(by_alias=True, include=set(Entry.model_fields)) | written)
        fields = {field.alias or name: getattr(entry, name) for name, field in Entry.model_fields.items()}
        result = Result.model_validate({**fields, **written, "digests": digests})
        text = result.to_json()
        write_text(path, text)
        self._read[path] = result.at(path, text)
        self._predictions.pop(path, None)
        self._table = None
        for name in ("_found", "entries", "variants"):
            self.__dict__.pop(name, None)
        return result

    def _put(self, path: Path, content: Any, write: Callable[[Path, Any], None]) -> str | None:
        """Write a file, or give another a second name; return its SHA-256, computed once for all its names."""
        if content is None:
            path.unlink(missing_ok=True)
            return None
        if isinstance(content, Path):
            link(content, path)
            hashed = self._hashes.get(content) or sha256_file(path)
        else:
            write(path, content)
            hashed = sha256_file(path)
        self._hashes[path] = hashed
        return hashed

    def _same_entry(self, path: Path, entry: Entry) -> list[Result]:
        """Read the other results of the same entry beside a result."""
        found = []
        for other in path.parent.glob(f"{escape(path.name.rpartition('-')[0])}-*.json"):
            if other != path:
                try:
                    found.append(self.read(other))
                except InputError:
                    continue
        return [other for other in found if other.key == entry.key]

    def is_latest(self, result: Result) -> bool:
        """Return whether no other result of the same entry was written later in the folder."""
        return all(other.sequence < result.sequence for other in self._same_entry(result.path, result))

    def find(self, name: str) -> Result:
        """Find an entry by its file, full name, or the beginning of its file's name or signature.

        Parameters
        ----------
        name : str
            A result's file; its full name, such as ``mfcc``, ``rhythm+pitch/1/fine-tuned`` or ``mfcc|ridge``; or
            the beginning of its name, of its file's name or of its signature. A full name wins over one without its
            regressor, and this one over a beginning.
            The name of several seeds stands for their entry, the file or signature of one for its result.

        Raises
        ------
        InputError
            If no result, or more than one, has this name.
        """
        if Path(name).is_file():
            return self.read(Path(name))
        # Names do not need the intervals of the scores of several seeds.
        entries = self.__dict__.get("entries") or entries_of(self.results)
        seeds = [member for entry in entries if len(entry.members) > 1 for member in entry.members]
        exact = [each for each in entries if name in (each.name, f"{each.name}|{each.regressor}", each.signature)]
        # The regressor of the name may be left out.
        exact = exact or [each for each in entries if each.name == f"{name}|{each.regressor}"]
        exact = exact or [each for each in seeds if name == each.signature]
        found = exact or [each for each in entries if _begins(each, name)]
        found = found or [each for each in seeds if _begins(each, name)]
        if len(found) == 1:
            [entry] = found
            return SeedGroup.of(entry.members, self.predictions) if len(entry.members) > 1 else entry
        if found:
            names = ", ".join(_unique_name(each, found) for each in found[:6]) + (", …" if len(found) > 6 else "")
            raise InputError(f"{name}: matches {len(found)} results in {self.folder}: {names}. Give more of the name.")
        hint = f" ({self.problems[0].rstrip('.')})" if self.problems and not self.results else ""
        raise InputError(f"{name}: no such result in {self.folder}{hint}; 'emobench list results' shows what there is.")


def _text_sha256(result: Result) -> str:
    return sha256(result.text.encode()).hexdigest()


def _begins(result: Result, name: str) -> bool:
    stem, folder = result.path.stem, result.path.parent.name
    # The file of several seeds is that of the first.
    stem = stem if len(result.members) == 1 else stem.rpartition("-")[0]
    return any(text.startswith(name) for text in (result.name, stem, f"{folder}/{stem}", result.signature))


def _unique_name(result: Result, among: Sequence[Result]) -> str:
    """Return the full name if no other of the results has it, otherwise the name of the file."""
    alike = [each for each in among if each.name == result.name]
    if len(result.members) > 1:
        return result.signature if len(alike) > 1 else result.name
    return result.name if len(alike) == 1 else f"{result.path.parent.name}/{result.path.stem}"


def _age(result: Result) -> tuple[int, float]:
    """Order results of an entry: by their sequence in a folder, and by time across folders."""
    return result.sequence, datetime.fromisoformat(result.created).timestamp()


def _latest(found: Iterable[Result], has_predictions: Callable[[Result], bool]) -> tuple[list[Result], list[str]]:
    """Keep one result of each signature and each entry, the latest that has its predictions; name the copies."""

    def replaced(results: Sequence[Result], key: Callable[[Result], str]) -> dict[Path, Path]:
        groups: dict[str, list[Result]] = {}
        for result in results:
            groups.setdefault(key(result), []).append(result)
        out = {}
        for group in (each for each in groups.values() if len(each) > 1):
            kept = max(group, key=lambda result: (has_predictions(result), *_age(result), result.path))
            out |= {result.path: kept.path for result in group if result is not kept}
        return out

    results = list(found)
    copies = replaced(results, lambda result: result.signature)
    results = [result for result in results if result.path not in copies]
    older = replaced(results, lambda result: result.key)
    problems = [f"{copy}: is a copy of {path} (same signature) and is left out." for copy, path in copies.items()]
    return [result for result in results if result.path not in older], problems
