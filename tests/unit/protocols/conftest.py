"""The stand-in site and its test client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.protocols.stand_in import Site, make_site, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient


@pytest.fixture
def site() -> Site:
    return make_site()


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.app.test_client()


@pytest.fixture
def port(site: Site) -> Iterator[int]:
    """A real server of the site."""
    with serving(site.app) as port:
        yield port
