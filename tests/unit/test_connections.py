"""Why there is no connection is told to moderators and operators in words, never as the system's codes."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from moderate.connections import trouble

RAW = ("Errno", "_ssl.c", "Error", "gaierror")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its host name could not be found (DNS)"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "it refuses connections"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed (_ssl.c:1006)"), "its certificate is not valid"),
        (ssl.SSLError(1, "wrong version number (_ssl.c:1006)"), "it offers no secure connection"),
        (TimeoutError("timed out"), "it does not answer in time"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "it broke the connection off"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "there is no way to it"),
    ],
)
def test_each_trouble_has_its_words_also_as_the_cause_of_another_error(error: OSError, words: str) -> None:
    wrapped = RuntimeError("a library's own")
    wrapped.__cause__ = error
    for each in (error, wrapped):
        assert trouble(each).startswith(words)
        assert not [raw for raw in RAW if raw in trouble(each)]
