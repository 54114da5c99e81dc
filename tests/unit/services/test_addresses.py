"""The addresses and URLs that the fetcher accepts."""

from __future__ import annotations

import ipaddress

import pytest

from moderate.errors import FetchFailed
from moderate.outbound.client import may_connect, networks
from moderate.outbound.fetch import fetchable, redirected
from moderate.web_address import MAX_ADDRESS

PORTS = (80, 443)


def allowed(text: str, *allow: str) -> bool:
    return may_connect(ipaddress.ip_address(text), networks(allow))


def refused(url: str, *allow: str) -> bool:
    try:
        fetchable(url, ports=PORTS, allow=networks(allow))
    except FetchFailed as failure:
        return failure.kind == "blocked" and not failure.is_temporary
    return False


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "9.255.255.255", "172.32.0.1", "2606:2800:21f::1", "2620:fe::fe"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert allowed(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "192.0.0.8"),
        *("192.88.99.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff0e::1", "100::1", "2001:db8::1", "3fff::1"),
        *("5f00::1", "2001:0:7f00:1::", "2001:10::1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:808:808::1"),
        *("::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:10.0.0.1", "2606:2800:21f::1%eth0"),
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not allowed(address)


def test_a_mapped_public_address_is_judged_by_the_address_inside() -> None:
    assert allowed("::ffff:8.8.8.8")
    assert allowed("::ffff:10.1.2.3", "10.0.0.0/8")


def test_allowed_networks_may_be_reached_although_they_are_not_public() -> None:
    assert allowed("10.1.2.3", "10.0.0.0/8")
    assert allowed("fd12::1", "fd00::/8")
    assert not allowed("192.168.0.1", "10.0.0.0/8")


@pytest.mark.parametrize(
    "address", ["168.63.129.16", "169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]
)
def test_metadata_addresses_of_clouds_are_always_refused(address: str) -> None:
    assert not allowed(address, "0.0.0.0/0", "::/0")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://a.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "//a.example/",
            "a.example/",
            "http:/a.example",
        ),
        *("http://", "http:///x", "http://:80/", "http://?x", "http://u@a.example/", "http://@a.example/"),
        *("http://a.example:22/", "http://a.example:080/", "http://a.example:99999/", "http://a.example:8 0/"),
        *("http://a.example\\@b.example/", "http://a.example/ b", "http://a.example/\n", "http://a\t.example/"),
        *("http://a..example/", "http://-a.example/", "http://a-.example/", f"http://{'a' * 64}.example/"),
        *("http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://017700000001/", "http://1.2.3.04/"),
        *(
            "http://①②⑦.⓪.⓪.①/",
            "http://127。0。0。1/",
            "http://ｌocalhost/",
            "http://lo\u00adcalhost/",
            "http://१२७.०.०.१/",
        ),
        *("http://8.8.8.8/", "http://[2606:2800:21f::1]/", "http://[::1%25lo]/", "http://[localhost]/", "http://[::1"),
        *("http://a.example/%0d%0aX:1", "http://a.example/%00", "http://a.example/\ud800", "http://%61.example/"),
    ],
)
def test_unclear_web_addresses_are_refused(url: str) -> None:
    assert refused(url)


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("HTTPS://BLOG.example", "https://blog.example/"),
        ("http://blog.example:80/a#c1", "http://blog.example/a"),
        ("http://blog.example:/a", "http://blog.example/a"),
        ("https://blog.example./a;b=c,d?x=1&y=%20'", "https://blog.example/a;b=c,d?x=1&y=%20'"),
        ("https://blog.example/日本語?q=é", "https://blog.example/%E6%97%A5%E6%9C%AC%E8%AA%9E?q=%C3%A9"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://_x.blog.example//a//b?u=http://127.0.0.1/", "https://_x.blog.example//a//b?u=http://127.0.0.1/"),
        ("https://127.0.0.1.blog.example/", "https://127.0.0.1.blog.example/"),
    ],
)
def test_web_addresses_are_normalized_for_the_request(url: str, wire: str) -> None:
    assert fetchable(url, ports=PORTS).url == wire


def test_an_address_literal_is_accepted_as_host_only_where_it_is_allowed() -> None:
    allow = networks(["127.0.0.0/8", "::1/128"])
    assert fetchable("http://127.0.0.1:80/", ports=PORTS, allow=allow).host == "127.0.0.1"
    assert fetchable("http://[::1]/x", ports=PORTS, allow=allow).url == "http://[::1]/x"
    assert refused("http://169.254.169.254/", "169.254.0.0/16")


def test_only_the_configured_ports_are_allowed() -> None:
    assert fetchable("http://a.example:8080/", ports=(8080,)).authority == "a.example:8080"
    with pytest.raises(FetchFailed):
        fetchable("http://a.example/", ports=(8080,))


def test_the_length_of_an_address_is_limited() -> None:
    url = "https://a.example/".ljust(MAX_ADDRESS, "x")
    assert fetchable(url, ports=PORTS)
    assert refused(url + "x")


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/final", "http://a.example/final"),
        ("next?x=1", "http://a.example/dir/next?x=1"),
        ("//b.example/x", "http://b.example/x"),
        ("https://b.example:443/x#y", "https://b.example/x"),
    ],
)
def test_redirects_are_resolved_as_relative_references(location: str, leads_to: str) -> None:
    base = fetchable("http://a.example/dir/page", ports=PORTS)
    assert redirected(base, location, ports=PORTS, allow=()).url == leads_to


@pytest.mark.parametrize(
    "location",
    [
        "http:127.0.0.1",
        "javascript:alert(1)",
        "gopher://a.example/",
        "\\\\127.0.0.1\\",
        "//10.0.0.1/",
        "/a b",
        "http://a:b@c/",
    ],
)
def test_redirects_obey_the_same_address_rules(location: str) -> None:
    base = fetchable("http://a.example/", ports=PORTS)
    with pytest.raises(FetchFailed):
        redirected(base, location, ports=PORTS, allow=())


def test_a_redirect_from_https_to_http_is_refused() -> None:
    base = fetchable("https://a.example/", ports=PORTS)
    with pytest.raises(FetchFailed) as failure:
        redirected(base, "http://a.example/", ports=PORTS, allow=())
    assert failure.value.kind == "redirects"
