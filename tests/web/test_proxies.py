"""A site behind a proxy without ProxyFix is warned once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    import pytest

    from tests.sites import Host

FORWARDED = {"X-Forwarded-For": "203.0.113.9"}


def test_a_forwarded_request_without_proxyfix_is_warned_about_once(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        host.client.get("/discuss/counts?article=thaw", headers=FORWARDED)
    assert sum("ProxyFix" in record.message for record in caplog.records) == 1


def test_no_warning_is_logged_with_proxyfix(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.app.wsgi_app = ProxyFix(host.app.wsgi_app)  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        host.client.get("/discuss/counts?article=thaw", headers=FORWARDED)
    assert "ProxyFix" not in caplog.text


def test_a_forwarded_header_of_a_client_does_not_change_its_limit(tmp_path: object) -> None:
    from pathlib import Path

    from tests.sites import Host

    host = Host(Path(str(tmp_path)), MODERATE_LIMITS={"comments": ["1/hour per client"]})
    answers = [
        host.client.post(
            "/discuss/comments/thaw",
            json={"author": "M", "text": f"Text {n}"},
            headers={"X-Forwarded-For": f"203.0.113.{n}"},
        )
        for n in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert answers[1].headers["Retry-After"].isdigit()
