"""Safe reading of MATLAB 5 files: declared sizes are checked before arrays are allocated.

In this format (*MAT-File Format*, The MathWorks), each element has a tag with its type and its number of bytes. An
array is an element that consists of elements (flags, dimensions, name, content), and may be compressed by zlib as a
whole.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from pathlib import Path
from typing import Any

# Limit of the uncompressed size in bytes; msLiteTurk.mat has 748,288.
MAX_BYTES = 2**25

# Limits of the number of arrays and of their nesting; msLiteTurk.mat has 2,170 arrays in 3 levels.
_MAX_ARRAYS = 100_000
_MAX_DEPTH = 16

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = range(6, 16)


def read_mat(path: Path) -> dict[str, Any]:
    """Read a MATLAB 5 file as ``scipy.io.loadmat`` does.

    Raises
    ------
    ValueError
        If the file has another format or is damaged, or if an array or the whole file declares more than ``MAX_BYTES``
        bytes. The message does not name the file.
    """
    import scipy.io

    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{size:,} bytes; expected at most {MAX_BYTES:,}")
    content = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None or struct.unpack_from(f"{order}H", content, 124)[0] != 0x0100:
        raise ValueError("not of version 5")
    plain = _decompressed(content, order)
    _Walk(plain, order).elements(_HEADER, len(plain), 0)
    return scipy.io.loadmat(io.BytesIO(plain))


def _decompressed(content: bytes, order: str) -> bytes:
    """Decompress the elements of a file."""
    plain = bytearray(content[:_HEADER])
    place = _HEADER
    while place < len(content):
        if place + 8 > len(content):
            raise ValueError("ends in the middle of an element")
        kind, size = struct.unpack_from(f"{order}2I", content, place)
        end = place + 8 + (size if kind >> 16 == 0 else 0)
        if end > len(content):
            raise ValueError(f"declares an element of {size:,} bytes; {len(content) - place - 8:,} follow")
        if kind != _COMPRESSED:
            plain += content[place:end]
        else:
            stream = zlib.decompressobj()
            part = stream.decompress(content[place + 8 : end], MAX_BYTES - len(plain) + 1)
            if len(plain) + len(part) > MAX_BYTES:
                declared = 8 + struct.unpack_from(f"{order}I", part, 4)[0]
                raise ValueError(f"declares {declared:,} bytes without compression; expected at most {MAX_BYTES:,}")
            plain += part
        place = end
    return bytes(plain)


class _Walk:
    """Checks the declared sizes of all elements of an uncompressed file."""

    def __init__(self, content: bytes, order: str) -> None:
        self._content = content
        self._order = order
        self._arrays = 0

    def elements(self, place: int, end: int, depth: int) -> list[tuple[int, int, int]]:
        """Check the elements between two offsets; returns kind, start and number of bytes of each."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"arrays nested more than {_MAX_DEPTH} levels deep")
        found = []
        while place < end:
            if place + 8 > end:
                raise ValueError("ends in the middle of an element")
            kind, size = struct.unpack_from(f"{self._order}2I", self._content, place)
            start, following = place + 8, place + 8 + -(-size // 8) * 8
            if kind >> 16:
                # Up to four bytes are stored in the tag itself.
                kind, size, start, following = kind & 0xFFFF, kind >> 16, place + 4, place + 8
            if start + size > end:
                raise ValueError(f"declares an element of {size:,} bytes; {end - start:,} follow")
            found.append((kind, start, size))
            if kind == _MATRIX and size:
                self._array(start, size, depth)
            elif kind == _COMPRESSED:
                raise ValueError("compressed more than once")
            place = following
        return found

    def _array(self, start: int, size: int, depth: int) -> None:
        self._arrays += 1
        if self._arrays > _MAX_ARRAYS:
            raise ValueError(f"more than {_MAX_ARRAYS:,} arrays")
        parts = self.elements(start, start + size, depth + 1)
        if len(parts) < 3 or parts[0][2] < 4 or parts[1][2] % 4:
            raise ValueError("an array lacks its flags, dimensions or name")
        kind = self._numbers("I", parts[0])[0] & 0xFF
        shape = self._numbers("i", parts[1])
        if kind not in (_CELL, _STRUCT, _CHAR, *_NUMBERS):
            raise ValueError(f"an array of class {kind}; expected numbers, text, cells or structs")
        entries, each = math.prod(shape), 1
        if kind in (_CELL, _STRUCT):
            # Each entry is an array with its own tag.
            each = 8
        if kind == _STRUCT:
            width = (self._numbers("i", parts[3]) or (0,))[0] if len(parts) > 4 else 0
            if width <= 0:
                raise ValueError("a struct lacks the names of its fields")
            each *= max(1, parts[4][2] // width)
        if min(shape, default=0) < 0 or entries * each > size:
            raise ValueError(f"declares an array of {' x '.join(map(str, shape))} in {size:,} bytes")

    def _numbers(self, form: str, part: tuple[int, int, int]) -> tuple[int, ...]:
        return struct.unpack_from(f"{self._order}{part[2] // 4}{form}", self._content, part[1])
