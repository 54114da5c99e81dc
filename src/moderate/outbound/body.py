"""The body of an answer: which types are taken, and decompression that stops at a size."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from moderate.errors import FetchFailed
from moderate.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TEXTUAL = frozenset({"text/html", "application/xhtml+xml", "application/xml", "text/xml", "text/plain"})
_JSON = "application/json"
#: zlib's numbers for "a gzip wrapper" and "a zlib wrapper", RFC 1952 and RFC 1950.
_WRAPPERS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def check_type(content_type: str) -> None:
    """Raise `FetchFailed` for what holds no readable links; an answer without a type is none either."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence not in _TEXTUAL and essence != _JSON and not essence.endswith("+json"):
        raise FetchFailed(
            "content-type",
            Message("the source is {type}", type=essence) if essence else "the source is of no named type",
        )


def read_body(chunks: Iterable[bytes], fields: Mapping[str, str], max_bytes: int) -> bytes:
    """The whole body, decompressed. Raises `FetchFailed` past `max_bytes`, and keeps nothing of it then.

    A small answer may unfold a thousandfold, so decompression is asked for no more than is still
    accepted, instead of looking at the size afterwards.
    """
    if int(fields.get("content-length", "0")) > max_bytes:
        raise _too_large()
    encoding = fields.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return _plain(chunks, max_bytes)
    if encoding not in _WRAPPERS:
        raise FetchFailed("bad-response", "the source is compressed in a way that was not asked for")
    return _inflated(chunks, zlib.decompressobj(_WRAPPERS[encoding]), max_bytes)


def _too_large() -> FetchFailed:
    return FetchFailed("too-large", "the source is larger than is accepted")


def _plain(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise _too_large()
    return bytes(body)


def _inflated(chunks: Iterable[bytes], inflater: zlib._Decompress, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        for chunk in chunks:
            # One byte more than accepted shows that there is too much; what is left over stays packed.
            body += inflater.decompress(chunk, max_bytes + 1 - len(body))
            if len(body) > max_bytes:
                raise _too_large()
            if inflater.eof:
                return bytes(body)
    except zlib.error:
        raise FetchFailed("bad-response", "the source could not be decompressed") from None
    if body or not inflater.eof:
        raise FetchFailed("bad-response", "the compressed source ended early")
    return b""
