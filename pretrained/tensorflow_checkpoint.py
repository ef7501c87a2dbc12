"""Tensors of a TensorFlow checkpoint, read without TensorFlow.

A checkpoint is a table of names (``.index``, an SSTable as in LevelDB) and the bytes of the tensors (``.data-…``). Each
value of the table is a ``BundleEntryProto``: type (field 1), shape (2), shard (3), offset (4) and size (5) in the data.

References
----------
TensorFlow, ``core/util/tensor_bundle`` and ``core/protobuf/tensor_bundle.proto``; LevelDB, ``doc/table_format.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_FLOAT32 = 1


def read_checkpoint(index: bytes, data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Read the float32 tensors of a checkpoint with one shard.

    Parameters
    ----------
    index, data : bytes
        Content of the two files.

    Returns
    -------
    dict of str to ndarray
        Tensors by name. Those of other types, such as counters of steps, are left out.

    Raises
    ------
    ValueError
        If the files are not a checkpoint, or do not belong together.
    """
    if len(index) < _FOOTER or struct.unpack_from("<Q", index, len(index) - 8)[0] != _MAGIC:
        raise ValueError("expected an index file of a TensorFlow checkpoint")
    _, at = _block_handle(index, len(index) - _FOOTER)
    (place, size), _ = _block_handle(index, at)
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    for _, handle in _entries(index, place, size):
        (block, length), _ = _block_handle(handle, 0)
        for name, value in _entries(index, block, length):
            fields = dict(_fields(value)) if name else {}
            if fields.get(1) != _FLOAT32:
                continue
            shape = [int(dict(_fields(each)).get(1, 0)) for number, each in _fields(fields.get(2, b"")) if number == 2]
            offset, count = int(fields.get(4, 0)), prod(shape)
            if int(fields.get(5, 0)) != 4 * count or offset + 4 * count > len(data):
                raise ValueError(f"tensor {name.decode()}: expected {4 * count} bytes at {offset} of the data")
            tensors[name.decode()] = np.frombuffer(data, "<f4", count, offset).reshape(shape)
    return tensors


def _entries(table: bytes, place: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of a block; keys share prefixes with those before them."""
    if table[place + size] != 0:
        raise ValueError("expected an index without compression")
    end = place + size - 4 * (1 + struct.unpack_from("<I", table, place + size - 4)[0])
    at, key = place, b""
    while at < end:
        shared, at = _varint(table, at)
        new, at = _varint(table, at)
        length, at = _varint(table, at)
        key = key[:shared] + table[at : at + new]
        yield key, table[at + new : at + new + length]
        at += new + length


def _block_handle(table: bytes, at: int) -> tuple[tuple[int, int], int]:
    place, at = _varint(table, at)
    size, at = _varint(table, at)
    return (place, size), at


def _varint(text: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = text[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield numbers and values of the fields of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif kind == 5:
            value, at = message[at : at + 4], at + 4
        else:
            raise ValueError(f"expected no field of wire type {kind}")
        yield tag >> 3, value
