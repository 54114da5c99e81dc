"""Links with a token in their address: all pages behind them keep the address secret, with any token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate.moderation.access import SIGN_IN
from moderate.notices.confirmation_views import CONFIRMATION, STOP
from moderate.notices.views import DECISION, UNSUBSCRIBE
from tests.web.mail_sites import a_site

if TYPE_CHECKING:
    from pathlib import Path

    from moderate.http.signing import SignedLink
    from tests.sites import Host

SECRET = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}

#: Each kind of link with a value as its tokens hold it.
KINDS = [
    (DECISION, lambda site: [1, 1, "approve", site.state.settings.mail_to[0].key]),
    (UNSUBSCRIBE, lambda site: site.state.settings.mail_to[0].key),
    (CONFIRMATION, lambda _: [1, "confirm-1-1"]),
    (STOP, lambda _: "a-mailbox"),
    (SIGN_IN, lambda _: ["mori", "a-nonce"]),
]


@pytest.fixture
def site(tmp_path: Path) -> Host:
    site = a_site(tmp_path, 1, MODERATE_CONFIRM_EMAIL=True)
    site.comment(email="mika@mail.example")
    return site


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("link", "value"), KINDS, ids=lambda kind: getattr(kind, "purpose", ""))
@pytest.mark.parametrize("is_valid", [True, False])
def test_every_page_behind_a_link_has_the_header_fields_for_secret_addresses(
    site: Host, link: SignedLink, value: Any, method: str, is_valid: bool
) -> None:
    address = link.issue(site.state.signer, "/discuss", value(site))
    answer = site.client.open(address if is_valid else f"{address}x", method=method)
    assert (answer.status_code < 400) == is_valid
    assert {name: answer.headers.get(name) for name in SECRET} == SECRET
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("link", "value"), KINDS, ids=lambda kind: getattr(kind, "purpose", ""))
def test_opening_a_link_changes_nothing_and_the_button_works_after_it(site: Host, link: SignedLink, value: Any) -> None:
    address = link.issue(site.state.signer, "/discuss", value(site))
    pages = {site.client.get(address).text for _ in range(3)}
    assert len(pages) == 1
    assert site.client.post(address).status_code < 400
    again = site.app.test_client().post(address)
    assert (again.status_code < 400) == (link.lifetime is None)
