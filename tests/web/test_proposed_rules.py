"""Rules that the queue proposes after three like decisions: when, what moderators see of them, and their answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Author, Moderator
from tests.sites import Host
from tests.tasks import run_due

if TYPE_CHECKING:
    from pathlib import Path

RULES = "/discuss/moderation/rules"
PROPOSALS = f"{RULES}/proposals"
QUEUE = "/discuss/moderation/"
CASINO = {"kind": "host", "value": "casino.example", "effect": "spam"}


def sent(host: Host, text: str = "Look here.", ip: str = "127.0.0.1", **fields: Any) -> int:
    """Post a comment from an address, and return its number."""
    body = {"author": "Mika", "text": f"{text} ({host.total()})", **fields}
    answer = host.client.post("/discuss/comments/thaw", json=body, environ_overrides={"REMOTE_ADDR": ip})
    number: int = answer.json["id"]
    return number


def decided(host: Host, numbers: list[int], decision: str = "spam", by: str = "mori") -> None:
    for number in numbers:
        version = host.client.get(f"/discuss/moderation/items/{number}", headers=host.token(by)).json["version"]
        assert host.decide(number, decision, version, **host.token(by)).status_code == 200
    run_tasks(host)


def run_tasks(host: Host) -> None:
    with host.app.app_context():
        while run_due(host.state.desk):
            pass


def proposals(host: Host) -> list[dict[str, Any]]:
    answer = host.client.get(PROPOSALS, headers=host.token())
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    found: list[dict[str, Any]] = answer.json["proposals"]
    return found


def rules_proposed(host: Host) -> list[dict[str, str]]:
    return [proposal["rule"] for proposal in proposals(host)]


def casinos(host: Host, number: int = 3, url: str = "https://www.casino.example/win") -> list[int]:
    return [sent(host, url=f"{url}?{count}") for count in range(number)]


def answered(host: Host, answer: str, proposal: str | None = None) -> Any:
    """Press a button of the proposal on the queue page."""
    host.moderator = Moderator("mori")
    page = host.client.get(QUEUE).text
    token = re.search(r'data-csrf="([^"]+)"', page)
    shown = re.findall(r'name="proposal" value="([^"]+)"', page)
    assert token
    data = {"csrf_token": token[1], "proposal": proposal or shown[0], "answer": answer, "filter_status": "spam"}
    return host.client.post(f"{QUEUE}queue/proposals", data=data)


def test_three_like_decisions_on_a_host_by_any_moderators_propose_a_rule_with_its_dry_run(host: Host) -> None:
    waiting = sent(host, "See http://casino.example/now")
    numbers = casinos(host)
    decided(host, numbers[:2])
    assert proposals(host) == []
    decided(host, numbers[2:], by="other")
    (found,) = proposals(host)
    assert found["rule"] == CASINO
    assert (found["decided"], found["by_status"]) == (3, {"spam": 3, "pending": 1})
    assert found["examples"] == numbers[::-1]
    # What programs send to make it a rule.
    made = host.client.post(RULES, json=found["rule"], headers=host.token())
    assert (made.status_code, proposals(host)) == (201, [])
    assert host.client.get(f"/discuss/moderation/items/{waiting}", headers=host.token()).json["status"] == "pending"


def test_the_queue_page_shows_it_with_links_to_the_lists_and_adds_it_without_a_script(host: Host) -> None:
    sent(host, "See http://casino.example/now")
    decided(host, casinos(host))
    host.moderator = Moderator("mori")
    page = host.client.get(QUEUE).text
    assert "Moderators have marked 3 items with an address at “casino.example” as spam." in page
    links = re.findall(r'<a href="([^"]+)">(Pending|Spam)</a> (\d)', page.partition('id="proposal"')[2])
    assert [(label, number) for _, label, number in links] == [("Pending", "1"), ("Spam", "3")]
    for address, _, number in links:
        assert host.client.get(address.replace("&amp;", "&")).text.count('<article class="card"') == int(number)
    back = answered(host, "add")
    assert back.status_code == 303
    assert "status=spam" in back.headers["Location"]
    page = host.client.get(back.headers["Location"]).text
    assert "The rule was added." in page
    assert 'id="proposal"' not in page
    (rule,) = host.client.get(RULES, headers=host.token()).json["rules"]
    assert (rule["kind"], rule["value"], rule["effect"], rule["created_by"]) == (*CASINO.values(), "mori")
    number = sent(host, url="http://casino.example/again")
    assert host.client.get(f"/discuss/moderation/items/{number}", headers=host.token()).json["status"] == "spam"


def test_a_rule_takes_back_proposals_that_it_covers_below_the_listed_ones_too(host: Host) -> None:
    decided(host, casinos(host))
    (found,) = proposals(host)
    stored = host.state.desk.store.proposals
    host.clock.advance(seconds=1)
    others = [f"{number:020x}" for number in range(20)]
    for key in others:
        stored.put(key, {**stored.get(found["key"]), "key": key, "value": f"{key}.example"}, host.clock.now())
    assert [proposal["key"] for proposal in proposals(host)] == others
    assert host.client.post(RULES, json=CASINO, headers=host.token()).status_code == 201
    for key in others:
        host.client.delete(f"{PROPOSALS}/{key}", headers=host.token())
    assert proposals(host) == []


@pytest.mark.parametrize("by_program", [False, True])
def test_what_was_dismissed_is_not_proposed_again(host: Host, by_program: bool) -> None:
    decided(host, casinos(host))
    (found,) = proposals(host)
    if by_program:
        answer = host.client.delete(f"{PROPOSALS}/{found['key']}", headers=host.token())
        assert (answer.status_code, answer.data) == (204, b"")
    else:
        page = host.client.get(answered(host, "dismiss").headers["Location"]).text
        assert "will not be proposed again" in page
    host.clock.advance(hours=1)
    decided(host, casinos(host))
    assert proposals(host) == []
    answer = host.client.delete(f"{PROPOSALS}/{found['key']}", headers=host.token())
    assert (answer.status_code, answer.json["code"]) == (404, "unknown-rule")
    # What is left names nothing.
    with host.state.desk.store.database.read() as conn:
        left = conn.exec_driver_sql("SELECT name, value FROM moderate_states WHERE name LIKE 'dismissed:%'").all()
    assert len(left) == 1
    assert "casino" not in str(left)


def test_an_answer_to_what_is_no_longer_proposed_changes_nothing(host: Host) -> None:
    decided(host, casinos(host))
    (found,) = proposals(host)
    host.client.post(RULES, json={**CASINO, "effect": "hold"}, headers=host.token())
    page = host.client.get(answered(host, "add", found["key"]).headers["Location"]).text
    assert "That rule is no longer proposed." in page
    assert [rule["effect"] for rule in host.client.get(RULES, headers=host.token()).json["rules"]] == ["hold"]


@pytest.mark.parametrize(("field", "value"), [("answer", "burn"), ("proposal", "../7"), ("csrf_token", "x")])
def test_a_malformed_answer_is_refused(host: Host, field: str, value: str) -> None:
    decided(host, casinos(host))
    (found,) = proposals(host)
    host.moderator = Moderator("mori")
    token = re.search(r'data-csrf="([^"]+)"', host.client.get(QUEUE).text)
    data = {"csrf_token": token and token[1], "proposal": found["key"], "answer": "add", field: value}
    assert host.client.post(f"{QUEUE}queue/proposals", data=data).status_code in {403, 404, 422}
    assert proposals(host) == [found]


def test_an_undo_or_a_decision_to_the_contrary_withdraws_it(host: Host) -> None:
    numbers = casinos(host)
    decided(host, numbers)
    assert rules_proposed(host) == [CASINO]
    decided(host, numbers[:1], "hold")
    assert proposals(host) == []
    decided(host, numbers[:1])
    assert rules_proposed(host) == [CASINO]
    decided(host, casinos(host, 1), "approve")
    assert proposals(host) == []
    host.clock.advance(hours=1)
    decided(host, casinos(host, 3))
    assert proposals(host) == []


def searches(host: Host, numbers: list[int], decision: str = "spam") -> int:
    """Decide on items, and return how often others of the host were searched for."""
    asked = host.statements()
    decided(host, numbers, decision)
    return sum("MATCH" in statement and "casino" in statement for statement in asked)


def test_what_stands_against_a_rule_is_searched_for_once_in_many_decisions(host: Host) -> None:
    numbers = casinos(host, 8)
    decided(host, numbers[:1], "approve")
    one = searches(host, numbers[1:2])
    assert one > 0
    assert searches(host, numbers[2:7]) == 0
    assert proposals(host) == []
    # The one that stood against it says the same now.
    assert searches(host, numbers[:1]) == one
    assert rules_proposed(host) == [CASINO]


@pytest.mark.parametrize("decision", ["hold", "trash"])
def test_a_rule_is_proposed_at_once_where_nothing_stands_against_it_any_more(host: Host, decision: str) -> None:
    numbers = casinos(host, 5)
    decided(host, numbers[:1], "approve")
    decided(host, numbers[1:4])
    decided(host, numbers[:1], decision)
    assert proposals(host) == []
    decided(host, numbers[4:])
    assert rules_proposed(host) == [CASINO]


def test_further_decisions_renew_a_proposal_after_ten_minutes(host: Host) -> None:
    numbers = casinos(host, 7)
    one = searches(host, numbers[:1])
    decided(host, numbers[1:3])
    assert searches(host, numbers[3:5]) == 0
    assert proposals(host)[0]["decided"] == 3
    host.clock.advance(minutes=10)
    assert searches(host, numbers[5:]) == one > 0
    (found,) = proposals(host)
    assert (found["decided"], found["examples"]) == (7, numbers[:-4:-1])


def test_what_was_searched_for_in_vain_is_searched_for_again_after_a_minute(host: Host) -> None:
    numbers = casinos(host, 7)
    decided(host, numbers[:1], "approve")
    one = searches(host, numbers[1:4])
    host.clock.advance(seconds=61)
    assert searches(host, numbers[4:]) == one > 0


def test_decisions_on_items_that_are_too_old_to_count_are_not_searched_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moderate.rules.proposals.LOOKED_AT", 4)
    numbers = casinos(host, 9)
    one = searches(host, numbers[:1])
    assert one > 0
    assert searches(host, numbers[1:4]) == 0
    decided(host, numbers[6:])
    assert rules_proposed(host) == [CASINO]


def test_a_rule_that_covers_it_leaves_nothing_to_propose(host: Host) -> None:
    host.client.post(RULES, json={"kind": "host", "value": "casino.example", "effect": "hold"}, headers=host.token())
    decided(host, casinos(host, url="https://win.casino.example/"))
    assert proposals(host) == []
    # Labels are whole.
    decided(host, casinos(host, url="https://notcasino.example/"))
    assert rules_proposed(host) == [{**CASINO, "value": "notcasino.example"}]


def test_a_rule_about_one_address_does_not_cover_its_network(host: Host) -> None:
    network = {"kind": "ip", "value": "2a0e:5700:0:1::/64", "effect": "spam"}
    host.client.post(RULES, json={**network, "value": "2a0e:5700:0:1::", "effect": "hold"}, headers=host.token())
    addresses = [f"2a0e:5700:0:1::{last}" for last in ("a", "b", "c")]
    decided(host, [sent(host, ip=ip) for ip in addresses])
    assert rules_proposed(host) == [network]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/thaw",
        "https://www.youtube.com/watch",
        "https://en.wikipedia.org/wiki/Thaw",
        "https://github.io/",
        "https://www.blogspot.com/",
        "https://news.example/x",
        "https://blog.news.example/x",
    ],
)
def test_hosts_of_many_people_and_the_sites_own_are_not_proposed(tmp_path: Path, url: str) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example")
    decided(host, casinos(host, url=url))
    assert proposals(host) == []


def test_a_host_above_the_sites_own_is_not_proposed(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://talk.news.example")
    decided(host, casinos(host, url="https://news.example/"))
    assert proposals(host) == []


def test_of_many_hosts_in_an_item_the_first_are_proposed(host: Host) -> None:
    text = "See https://one.example https://two.example https://three.example"
    decided(host, [sent(host, text, url="https://casino.example/") for _ in range(3)])
    assert {rule["value"] for rule in rules_proposed(host)} == {"casino.example", "one.example", "two.example"}


@pytest.mark.parametrize("value", ["spammer.github.io", "notyoutube.com", "youtube.com.evil.example"])
def test_customers_of_a_hosting_company_and_names_that_only_resemble_are_proposed(host: Host, value: str) -> None:
    decided(host, casinos(host, url=f"https://{value}/"))
    assert rules_proposed(host) == [{**CASINO, "value": value}]


def test_a_host_that_as_many_public_items_have_is_not_proposed(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    numbers = casinos(host, 6)
    decided(host, numbers[:3])
    assert proposals(host) == []
    decided(host, numbers[3:4])
    (found,) = proposals(host)
    assert found["by_status"] == {"spam": 4, "approved": 2}


def test_a_host_is_proposed_by_the_decision_that_makes_its_spam_more_than_its_public_items(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    numbers = casinos(host, 9)
    decided(host, numbers[:5], "hold")
    decided(host, numbers[:3])
    assert searches(host, numbers[3:4]) == 0
    assert proposals(host) == []
    decided(host, numbers[4:5])
    (found,) = proposals(host)
    assert found["by_status"] == {"spam": 5, "approved": 4}


def test_an_address_is_proposed_alone_and_an_ipv6_client_by_its_64(host: Host) -> None:
    decided(host, [sent(host, ip="45.9.148.7") for _ in range(3)])
    assert rules_proposed(host) == [{"kind": "ip", "value": "45.9.148.7", "effect": "spam"}]
    host.clock.advance(minutes=1)
    decided(host, [sent(host, ip=f"2a0e:5700:0:1:{last}") for last in ("a::1", "b::2", ":3")])
    assert rules_proposed(host)[0] == {"kind": "ip", "value": "2a0e:5700:0:1::/64", "effect": "spam"}
    host.moderator = Moderator("mori")
    assert "the network “2a0e:5700:0:1::/64”" in host.client.get(QUEUE).text


def test_what_checks_have_marked_counts_for_nothing(host: Host) -> None:
    for number in range(3):
        marked = host.trapped(f"Win {number}.", url="https://casino.example/")
        assert (
            host.client.get(f"/discuss/moderation/items/{marked.json['id']}", headers=host.token()).json["status"]
            == "spam"
        )
    decided(host, casinos(host, 2))
    assert proposals(host) == []


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.0.0.7", "100.64.0.1", "fd00::1"])
def test_an_address_that_is_no_clients_own_is_not_proposed(host: Host, ip: str) -> None:
    decided(host, [sent(host, ip=ip) for _ in range(3)])
    assert proposals(host) == []


def test_an_address_from_which_something_is_public_is_not_proposed(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    numbers = [sent(host, ip="45.9.148.7") for _ in range(4)]
    decided(host, numbers[:3])
    assert proposals(host) == []


def test_a_name_that_nobody_else_uses_is_proposed_to_be_held(host: Host) -> None:
    decided(host, [sent(host, author="Cheap Pills24") for _ in range(3)])
    assert rules_proposed(host) == [{"kind": "word", "value": "Cheap Pills24", "effect": "hold"}]
    decided(host, [sent(host, author="Anna") for _ in range(3)])
    decided(host, [sent(host, author="Wild cards*") for _ in range(3)])
    decided(host, [sent(host, "Thank you, Anna Berg!")], "approve")
    decided(host, [sent(host, author="Anna Berg") for _ in range(3)])
    assert len(proposals(host)) == 1


@pytest.mark.parametrize("author", ["casino.example", "WWW.Casino.example"])
def test_a_name_that_is_the_host_of_the_item_is_proposed_as_a_host_alone(host: Host, author: str) -> None:
    decided(host, [sent(host, author=author, url="https://www.casino.example/win") for _ in range(3)])
    assert rules_proposed(host) == [CASINO]


def test_neither_names_of_signed_in_authors_nor_those_that_others_mention_count(host: Host) -> None:
    host.author = Author("Cheap Pills24", id="7")
    decided(host, [sent(host) for _ in range(3)])
    host.author = None
    named = [sent(host, author="Other Pills24") for _ in range(2)]
    decided(host, [*named, sent(host, "As Other Pills24 says.", author="Berta B")])
    assert proposals(host) == []


def test_approvals_propose_trust_in_nothing_that_anyone_can_type(host: Host) -> None:
    fields = {"author": "Anna Berg", "url": "https://anna.example/", "ip": "45.9.148.7"}
    decided(host, [sent(host, **fields) for _ in range(3)], "approve")
    assert proposals(host) == []


@pytest.fixture
def pinged(tmp_path: Path) -> Host:
    """Three pings of a host that wait."""
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_VERIFY_PINGS="off")
    for number in range(3):
        data = {"url": f"https://blog.example/{number}", "excerpt": f"About it, part {number}."}
        assert host.client.post("/discuss/trackback/thaw", data=data).status_code == 200
    run_tasks(host)
    return host


def test_pings_of_a_host_that_were_called_spam_propose_to_mark_it(pinged: Host) -> None:
    decided(pinged, [1, 2, 3])
    assert {**CASINO, "value": "blog.example"} in rules_proposed(pinged)


def test_comments_with_the_address_of_a_host_speak_neither_for_trust_in_it_nor_against(pinged: Host) -> None:
    # Anyone can type an address; only a ping shows that the host sent it.
    pinged.trapped(url="https://blog.example/")
    decided(pinged, [sent(pinged, url="https://blog.example/") for _ in range(2)], "approve")
    decided(pinged, [1], "approve")
    assert proposals(pinged) == []
    pinged.clock.advance(minutes=2)
    decided(pinged, [2, 3], "approve")
    (found,) = proposals(pinged)
    assert (found["rule"]["effect"], found["by_status"]) == ("trust", {"approved": 3})


def test_approved_pings_of_a_host_propose_to_trust_it(pinged: Host) -> None:
    host = pinged
    decided(host, [1, 2, 3], "approve")
    assert rules_proposed(host) == [{"kind": "host", "value": "blog.example", "effect": "trust"}]
    host.moderator = Moderator("mori")
    assert "Moderators have approved 3 pings with an address at “blog.example”." in host.client.get(QUEUE).text


def test_a_decision_itself_asks_nothing_about_proposals(host: Host) -> None:
    numbers = casinos(host)
    token = host.token()
    asked = host.statements()
    for number in numbers:
        host.decide(number, "spam", **token)
    assert not [statement for statement in asked if "proposal:" in statement]


def test_an_unanswered_proposal_is_forgotten_with_addresses(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_RETENTION={"ip": 7})
    decided(host, casinos(host))
    for days, left in ((6, 1), (2, 0)):
        host.clock.advance(days=days)
        with host.app.app_context():
            host.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])
        assert len(proposals(host)) == left


def test_strangers_neither_see_nor_answer_proposals(host: Host) -> None:
    decided(host, casinos(host))
    (found,) = proposals(host)
    assert host.client.get(PROPOSALS).status_code == 401
    assert host.client.delete(f"{PROPOSALS}/{found['key']}").status_code == 401
    assert host.client.post(f"{QUEUE}queue/proposals", data={"proposal": found["key"]}).status_code == 401
    assert proposals(host) == [found]
