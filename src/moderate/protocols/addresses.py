"""Addresses in pings: which are taken at all, and when two of them are one page. Nothing is looked up here."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

from moderate.errors import Invalid

#: Longer addresses are not stored, and nobody's permalink needs them.
MAX_ADDRESS = 2048

DEFAULT_PORTS = {"http": 80, "https": 443}

#: What no address may hold: white space, controls and the characters that begin or end one in a text.
NOT_IN_ADDRESS = re.compile(r"[\s\x00-\x20\x7f-\x9f<>\"\\^`{|}\ud800-\udfff\ufffd]")


def address(field: str, value: str) -> str:
    """An absolute http or https address with a host and no user name, as it was sent but for the blanks around it.

    Raises `Invalid` for *field* where it is none. Whether the host may be asked is for the fetcher to say.
    """
    value = value.strip()
    if not value:
        raise Invalid.field(field, f"The parameter {field} is missing.")
    if len(value) > MAX_ADDRESS:
        raise Invalid.field(field, f"The address in {field} is longer than {MAX_ADDRESS} characters.")
    parts = split(value)
    if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise Invalid.field(field, f"The parameter {field} is not an absolute http or https address.")
    if "@" in parts.netloc:
        raise Invalid.field(field, f"The address in {field} must not hold a user name.")
    return value


def split(value: str) -> SplitResult | None:
    """The parts of an address, or None where it cannot be one."""
    if NOT_IN_ADDRESS.search(value):
        return None
    try:
        parts = urlsplit(value)
        # The port is only looked at when asked for, and a wrong one raises then.
        _ = parts.port
    except ValueError:
        return None
    return parts


def same_page(one: str, other: str) -> bool:
    """Whether two addresses differ at most in scheme, spelling, a closing slash or the fragment."""
    return spelling(one) == spelling(other)


def spelling(value: str) -> tuple[str, int | None, str, str]:
    """An address in one spelling, for comparing only: a scheme or a closing slash makes no other page of it."""
    parts = split(value.strip())
    if parts is None:
        return ("", None, value, "")
    host = (parts.hostname or "").rstrip(".")
    port = None if parts.port in {None, 80, 443} else parts.port
    return (host, port, unquote(parts.path).rstrip("/"), parts.query)
