"""Articles, tokens, secrets, single uses and samples, on every store."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from moderate.database.engine import Database
from moderate.database.schema import articles, tokens
from moderate.ports import Overrides, Sample
from moderate.ports.stored import RetentionKind
from moderate.store.sql_store import SqlStore
from tests.factories import HELD, NOON, a_comment, an_article

LATER = NOON + timedelta(days=1)


def written_at(store: SqlStore, key: str) -> object:
    with store.database.read() as conn:
        return conn.execute(select(articles.c.updated_at).where(articles.c.key == key)).scalar()


# --- articles --------------------------------------------------------------------------------------


def test_an_article_is_found_by_each_of_its_addresses(store: SqlStore) -> None:
    store.remember_article(an_article("a"), {"k1": "https://news.example/a", "k2": "https://news.example/old"}, NOON)
    assert [store.article_by_url(key) for key in ("k1", "k2", "k3")] == ["a", "a", None]


def test_an_address_that_moved_leads_to_its_new_article(store: SqlStore) -> None:
    store.remember_article(an_article("a"), {"k1": "https://news.example/a"}, NOON)
    store.remember_article(an_article("b"), {"k1": "https://news.example/a"}, NOON)
    assert store.article_by_url("k1") == "b"


def test_what_is_known_already_is_not_written_again(store: SqlStore, database_url: str) -> None:
    store.remember_article(an_article("a"), {"k1": "u"}, NOON)
    another = SqlStore(Database(database_url))
    for each in (store, another):
        each.remember_article(an_article("a"), {"k1": "u"}, LATER)
    another.database.dispose()
    assert written_at(store, "a") == NOON
    store.remember_article(an_article("a", title="New"), {"k1": "u"}, LATER)
    assert written_at(store, "a") == LATER


def test_comments_note_their_article_once(store: SqlStore) -> None:
    store.record(a_comment(), HELD, [], NOON)
    store.record(a_comment(), HELD, [], LATER)
    assert written_at(store, "2026/thaw") == NOON


def test_moderators_overrule_the_host_for_one_article(store: SqlStore) -> None:
    assert store.overrides("a") == Overrides()
    closed = Overrides(comments_open=False, premoderation="strangers")
    store.set_overrides("a", closed, NOON)
    assert store.overrides("a") == closed
    assert store.overrides("b") == Overrides()
    store.set_overrides("a", Overrides(pings_open=True), NOON)
    assert store.overrides("a") == Overrides(pings_open=True)


def test_overrides_and_titles_leave_each_other_alone(store: SqlStore) -> None:
    item = store.record(a_comment(), HELD, [], NOON).item
    store.set_overrides("2026/thaw", Overrides(comments_open=False), NOON)
    store.record(a_comment("x", an_article(title="New")), HELD, [], NOON)
    assert store.overrides("2026/thaw").comments_open is False
    kept = store.item(item.id)
    assert kept is not None
    assert kept.article_title == "New"


# --- tokens ----------------------------------------------------------------------------------------


def test_a_token_leads_to_its_owner_and_is_kept_only_as_a_digest(store: SqlStore) -> None:
    token = store.create_token("mo", NOON)
    prefix, token_id, secret = token.split("_", 2)
    assert prefix == "mod"
    assert len(secret) >= 43
    assert store.token_owner(token, NOON) == "mo"
    with store.database.read() as conn:
        row = conn.execute(select(tokens)).one()
    assert row.id == token_id
    assert secret not in "".join(str(value) for value in row)


def test_anything_but_the_token_itself_leads_nowhere(store: SqlStore) -> None:
    token = store.create_token("mo", NOON)
    other = store.create_token("other", NOON)
    crossed = token.rsplit("_", 1)[0].split("_")[1] + "_" + other.split("_", 2)[2]
    for wrong in (
        "",
        "mod",
        "mod__",
        "mod_x",
        token[:-1],
        token + "x",
        token.upper(),
        f"mod_{crossed}",
        "é" * 40,
        "\x00",
    ):
        assert store.token_owner(wrong, NOON) is None


def test_tokens_are_listed_and_revoked_by_name_or_id(store: SqlStore) -> None:
    first, second, third = (store.create_token(name, NOON) for name in ("mo", "mo", "other"))
    assert [info.name for info in store.tokens()].count("mo") == 2
    assert store.revoke_token("mo", LATER) == 2
    assert store.revoke_token("mo", LATER) == 0
    assert store.token_owner(first, LATER) is store.token_owner(second, LATER) is None
    assert store.token_owner(third, LATER) == "other"
    assert store.revoke_token(third.split("_")[1], LATER) == 1
    assert store.token_owner(third, LATER) is None
    assert {info.revoked_at for info in store.tokens()} == {LATER}


def test_the_last_use_is_noted_at_most_once_a_minute(store: SqlStore) -> None:
    token = store.create_token("mo", NOON)
    assert store.tokens()[0].last_used_at is None
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60)):
        store.token_owner(token, NOON + timedelta(seconds=seconds))
        assert store.tokens()[0].last_used_at == NOON + timedelta(seconds=noted)


# --- small things ----------------------------------------------------------------------------------


def test_a_secret_is_made_once_and_is_the_same_for_everybody(store: SqlStore, database_url: str) -> None:
    another = SqlStore(Database(database_url))
    assert store.secret("cookies") == another.secret("cookies") == store.secret("cookies")
    assert len(store.secret("cookies")) == 32
    assert store.secret("mails") != store.secret("cookies")
    another.database.dispose()


def test_what_may_be_used_once_is_used_once(store: SqlStore) -> None:
    name = "link " * 100
    assert store.use_once(name, LATER, NOON)
    assert not store.use_once(name, LATER, NOON)
    assert store.use_once("other", LATER, NOON)


def test_single_uses_are_forgotten_after_they_have_expired(store: SqlStore) -> None:
    store.use_once("a", NOON, NOON)
    store.use_once("b", LATER + timedelta(days=1), LATER)
    assert store.use_once("a", LATER + timedelta(days=1), LATER)


def test_the_sample_that_was_sent_last_is_kept_field_by_field(store: SqlStore) -> None:
    store.save_sample(7, {"user_ip": "192.0.2.1"}, "ham", None, NOON)
    store.save_sample(7, {"user_ip": "192.0.2.7", "comment_context": ["a", "b"]}, "spam", "guid-1", LATER)
    kept = Sample({"user_ip": "192.0.2.7", "comment_context": ["a", "b"]}, "spam", "guid-1", LATER)
    assert store.sample(7) == kept
    assert store.sample(8) is None


def test_samples_expire(store: SqlStore) -> None:
    store.save_sample(1, {}, "ham", None, NOON)
    store.save_sample(2, {}, "ham", None, LATER)
    assert store.forget(RetentionKind.SAMPLES, LATER, LATER).count == 1
    assert store.sample(1) is None
    assert store.sample(2) is not None
