"""Redis and MariaDB over TLS, with certificates of the tests' own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import trustme
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from moderate.database.outages import reason
from moderate.errors import ServiceDown
from moderate.limits.rates import Bucket, Rate
from moderate.redis import RedisLimiter, connect
from tests.mariadb_servers import MariaDB
from tests.redis_servers import PATIENT
from tests.servers import Redis, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The port of a redis-server that speaks TLS, and the file of its certificate authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    port = free_port()
    files = {"tls-cert-file": "cert.pem", "tls-key-file": "key.pem", "tls-ca-cert-file": "ca.pem"}
    options = [part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))]
    with Redis("--tls-port", str(port), "--tls-auth-clients", "no", *options):
        yield f"rediss://127.0.0.1:{port}/0", tmp_path / "ca.pem"


BUCKET = Bucket("client", "somebody", Rate(2, 3600))


def test_a_server_with_a_trusted_certificate_is_used(secured: tuple[str, Path]) -> None:
    url, authority = secured
    limiter = RedisLimiter(connect(f"{url}{PATIENT}&ssl_ca_certs={quote(str(authority))}"))
    assert [limiter.take([BUCKET]).passed for _ in range(3)] == [True, True, False]
    limiter.close()


def test_a_server_with_an_untrusted_certificate_is_an_outage(secured: tuple[str, Path]) -> None:
    limiter = RedisLimiter(connect(secured[0] + PATIENT))
    with pytest.raises(ServiceDown, match="its certificate is not from an authority that is trusted here"):
        limiter.take([BUCKET])
    limiter.close()


def test_a_database_with_an_untrusted_certificate_is_reported_as_such(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = trustme.CA().issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with MariaDB() as server:
        server.stop()
        for name, part in {"cert": certificate.cert_chain_pems[0], "key": certificate.private_key_pem}.items():
            part.write_to_path(str(server.data / f"{name}.pem"))
            server.options = (*server.options, f"--ssl-{name}={server.data}/{name}.pem")
        server.start()
        url = f"{server.url()}&ssl_ca={tmp_path}/ca.pem&ssl_check_hostname=true"
        engine = create_engine(url)
        with pytest.raises(OperationalError) as told:
            engine.connect()
    assert reason(told.value, engine.url) == "its certificate is not from an authority that is trusted here"
    engine.dispose()
