"""One host, however its name is written: budgets, rules, and repeated pings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

ZWJ, CGJ, VS16 = "\u200d", "\u034f", "\ufe0f"

#: Spellings of hosts under which a browser, a fetcher or a resolver would find the first one of each row.
SPELLINGS = [
    (
        "blog.example.org",
        *("BLOG.Example.ORG", "blog.example.org.", "blog.example.org:443", "blog.example.org:0443"),
        *(
            "ｂlog.example.org",
            "ｂｌｏｇ．ｅｘａｍｐｌｅ．ｏｒｇ",
            "ⓑlog.example.org",
            "blog\u2024example.org",
            "𝐛log.example.org",
        ),
        *(
            f"blog{CGJ}.example.org",
            f"blog.example{VS16}.org",
            "blog。example。org",
            "blog｡example.org",
            "%62log.example.org",
        ),
        *("blog.example.org:8080", "u:p@blog.example.org", "blog.example.ⓞrg"),
    ),
    (
        "bücher.example",
        *(
            "xn--bcher-kva.example",
            "XN--BCHER-KVA.example",
            "BÜCHER.example",
            "bu\u0308cher.example",
            "ｂücher.example",
        ),
        *("bücher。example", "bücher.example.", f"bü{CGJ}cher.example", "ｘn--bcher-kva.example"),
    ),
    ("straße.example", "xn--strae-oqa.example", "STRAẞE.example", "XN--Strae-OQA.example"),
    ("[2001:db8::7]", "[2001:DB8::7]", "[2001:db8:0:0:0:0:0:7]", "[2001:0db8::0007]", "[2001:db8::0.0.0.7]"),
    (
        "203.0.113.7",
        "203.0.113.7.",
        "２０３.0.113.7",
        "[::ffff:203.0.113.7]",
        "[::ffff:cb00:7107]",
        f"203.0.113.7{VS16}",
    ),
]

#: Pairs of different hosts that look similar, or that older rules fold to one.
APART = [
    ("straße.example", "strasse.example"),
    ("faß.example", "fass.example"),
    ("bücher.example", "buecher.example"),
    ("βόλος.example", "βόλοσ.example"),
    ("blog.example.org", "blog.example.org.uk"),
    ("blog.example.org", "notblog.example.org"),
    ("раypal.example", "paypal.example"),
]


def trackback(host: Host, source: str, **place: str) -> str:
    """Send a ping and return ``taken``, ``limited`` or ``refused``."""
    sent = {"url": source, "title": "On ice", "excerpt": "See."}
    answer = host.client.post("/discuss/trackback/thaw", data=sent, environ_base=place)
    if answer.status_code == 429:
        return "limited"
    return "taken" if b"<error>0</error>" in answer.data else "refused"


def add(host: Host, kind: str, value: str, effect: str = "spam") -> Any:
    body = {"kind": kind, "value": value, "effect": effect}
    return host.client.post("/discuss/moderation/rules", json=body, headers=host.token())


def last(host: Host) -> Any:
    items = host.client.get("/discuss/moderation/items?status=", headers=host.token()).json["items"]
    return items[0]


@pytest.mark.parametrize("names", SPELLINGS, ids=lambda names: names[0])
def test_another_spelling_of_a_source_host_gives_no_new_budget(tmp_path: Path, names: tuple[str, ...]) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["1/hour per source-host"]}, MODERATE_VERIFY_PINGS="off")
    assert trackback(host, f"https://{names[0]}/a") == "taken"
    for number, name in enumerate(names):
        assert trackback(host, f"https://{name}/{number}") in {"limited", "refused"}, name
    assert host.total() == 1


@pytest.mark.parametrize("names", SPELLINGS, ids=lambda names: names[0])
def test_another_spelling_gives_no_new_budget_over_all_clients(tmp_path: Path, names: tuple[str, ...]) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["1/hour per source-host"]}, MODERATE_VERIFY_PINGS="off")
    taken = [
        trackback(host, f"https://{names[number % len(names)]}/{number}", REMOTE_ADDR=f"198.51.100.{number}")
        for number in range(40)
    ]
    assert taken.count("taken") <= 4


@pytest.mark.parametrize(("one", "other"), APART)
def test_another_host_has_a_budget_of_its_own(tmp_path: Path, one: str, other: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["1/hour per source-host"]}, MODERATE_VERIFY_PINGS="off")
    assert trackback(host, f"https://{one}/a") == "taken"
    assert trackback(host, f"https://{other}/a") == "taken"


@pytest.mark.parametrize("protocol", ["webmention", "pingback"])
def test_the_budget_applies_to_every_kind_of_ping(tmp_path: Path, protocol: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["1/hour per source-host"]}, MODERATE_VERIFY_PINGS="off")
    assert trackback(host, "https://bücher.example/a") == "taken"
    source, target = "https://xn--bcher-kva.example/b", "http://localhost/thaw"
    host.client.get("/thaw")
    if protocol == "webmention":
        assert host.client.post("/discuss/webmention", data={"source": source, "target": target}).status_code == 429
    else:
        values = "".join(f"<param><value>{value}</value></param>" for value in (source, target))
        call = f"<methodCall><methodName>pingback.ping</methodName><params>{values}</params></methodCall>"
        assert b"49" in host.client.post("/discuss/pingback", data=call, content_type="text/xml").data
    assert host.total() == 1


@pytest.mark.parametrize("names", SPELLINGS, ids=lambda names: names[0])
def test_a_host_rule_matches_every_accepted_spelling(tmp_path: Path, names: tuple[str, ...]) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_VERIFY_PINGS="off")
    assert add(host, "host", names[-1] if "@" not in names[-1] else names[0]).status_code == 201
    met = 0
    for number, name in enumerate(names):
        if trackback(host, f"https://{name}/{number}") == "taken":
            met += 1
            assert last(host)["status"] == "spam", name
        website = host.comment(f"Number {number} is about rivers.", url=f"https://{name}/{number}")
        if website.status_code == 202:
            assert last(host)["status"] == "spam", name
    assert met


@pytest.mark.parametrize(("one", "other"), APART)
def test_a_host_rule_does_not_match_another_host(tmp_path: Path, one: str, other: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_VERIFY_PINGS="off")
    add(host, "host", one)
    for meant, status in ((one, "spam"), (other, "pending")):
        host.comment(f"See my page on {meant} rivers", url=f"https://{meant}/")
        assert last(host)["status"] == status, meant
        trackback(host, f"https://{meant}/{status}")
        assert last(host)["status"] == status, meant


def test_a_host_rule_is_stored_in_its_dns_form(host: Host) -> None:
    stored = [add(host, "host", value).json["value"] for value in ("straße.example", "https://Bücher.example./x")]
    assert stored == ["xn--strae-oqa.example", "xn--bcher-kva.example"]


def test_a_rule_stored_in_the_old_spelling_still_matches(host: Host) -> None:
    assert add(host, "host", "strasse.example").json["value"] == "strasse.example"
    host.comment("About rivers", url="https://strasse.example/")
    assert last(host)["status"] == "spam"


@pytest.mark.parametrize(("one", "other"), APART[:3])
def test_a_mail_domain_rule_does_not_match_another_domain(host: Host, one: str, other: str) -> None:
    add(host, "email", f"@{one}")
    add(host, "email", f"jo@sub.{one}")
    for name, domain, status in (
        ("a", one, "spam"),
        ("b", other, "pending"),
        ("jo", f"sub.{one}", "spam"),
        ("jo", f"sub.{other}", "pending"),
    ):
        host.comment(f"{name} writes about rivers at {status}", email=f"{name}@{domain}")
        assert last(host)["status"] == status, domain


def test_a_mail_domain_rule_matches_in_unicode_and_in_ascii(host: Host) -> None:
    add(host, "email", "@xn--bcher-kva.example")
    host.comment("About rivers", email="jo@BÜCHER.example")
    assert last(host)["status"] == "spam"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("https://[2001:db8::7]/a", "https://[2001:DB8:0:0::7]/a"),
        ("https://blog.example/a", "https://blog.example:0443/a"),
        ("https://bücher.example/a", "http://XN--bcher-kva.example./a#top"),
        ("https://blog.example/a", "https://ｂlog.example/a"),
    ],
)
def test_a_repeated_ping_is_one_item_in_all_spellings_of_its_address(tmp_path: Path, first: str, again: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_VERIFY_PINGS="off")
    assert [trackback(host, first), trackback(host, again)] == ["taken", "taken"]
    assert host.total() == 1


@pytest.mark.parametrize("url", ["httpſ://blog.example/", "HTTPſ://blog.example/"])
def test_a_scheme_that_only_folds_to_https_is_refused(host: Host, url: str) -> None:
    assert host.comment(url=url).status_code == 422
    host.comment(f"see {url} now")
    assert "<a " not in last(host)["html"]
