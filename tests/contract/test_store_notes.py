"""Articles, tokens, secrets, single uses and samples, on every store."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, text

from moderate.database.engine import Database
from moderate.database.schema import articles, tokens
from moderate.lifecycle import Overrides, RetentionKind
from moderate.store.store import Store
from moderate.store.tokens import Sample
from moderate.text.similarity import near_text
from tests.factories import HELD, NOON, a_comment, an_article

LATER = NOON + timedelta(days=1)


def written_at(store: Store, key: str) -> object:
    with store.database.read() as conn:
        return conn.execute(select(articles.c.updated_at).where(articles.c.key == key)).scalar()


# --- articles --------------------------------------------------------------------------------------


def test_an_article_is_found_by_each_of_its_addresses(store: Store) -> None:
    store.articles.remember(an_article("a"), {"k1": "https://news.example/a", "k2": "https://news.example/old"}, NOON)
    assert [store.articles.by_url(key) for key in ("k1", "k2", "k3")] == ["a", "a", None]


def test_an_address_that_moved_leads_to_its_new_article(store: Store) -> None:
    store.articles.remember(an_article("a"), {"k1": "https://news.example/a"}, NOON)
    store.articles.remember(an_article("b"), {"k1": "https://news.example/a"}, NOON)
    assert store.articles.by_url("k1") == "b"


def test_known_addresses_are_not_written_again(store: Store, database_url: str) -> None:
    store.articles.remember(an_article("a"), {"k1": "u"}, NOON)
    another = Store(Database(database_url))
    for each in (store, another):
        each.articles.remember(an_article("a"), {"k1": "u"}, LATER)
    another.database.dispose()
    assert written_at(store, "a") == NOON
    store.articles.remember(an_article("a", title="New"), {"k1": "u"}, LATER)
    assert written_at(store, "a") == LATER


def test_comments_note_their_article_once(store: Store) -> None:
    store.items.record(a_comment(), HELD, [], NOON)
    store.items.record(a_comment(), HELD, [], LATER)
    assert written_at(store, "2026/thaw") == NOON


def test_moderators_overrule_the_host_for_one_article(store: Store) -> None:
    assert store.articles.overrides("a") == Overrides()
    closed = Overrides(comments_open=False, premoderation="strangers")
    store.articles.set_overrides("a", closed, NOON)
    assert store.articles.overrides("a") == closed
    assert store.articles.overrides("b") == Overrides()
    store.articles.set_overrides("a", Overrides(pings_open=True), NOON)
    assert store.articles.overrides("a") == Overrides(pings_open=True)


def test_code_of_earlier_versions_reads_a_stricter_premoderation_where_it_knows_no_other(store: Store) -> None:
    links = Overrides(premoderation="links")
    store.items.record(a_comment(article=an_article(published_at=NOON)), HELD, [], NOON)
    store.articles.set_overrides("2026/thaw", links, NOON)
    with store.database.read() as conn:
        assert conn.execute(text("SELECT premoderation FROM moderate_articles")).scalar() == "strangers"
    near = near_text("The river froze twice this winter, said everybody along the harbour road.")
    assert near is not None
    known, _ = store.earlier.known("2026/thaw", "", near, NOON)
    assert known == store.articles.overrides("2026/thaw") == store.articles.snapshot("2026/thaw").overrides == links
    for other in ("strangers", "links", "all", None):
        store.articles.override_older(LATER, {"premoderation": other}, NOON)
        assert store.articles.overrides("2026/thaw").premoderation == other
    store.articles.override_older(LATER, {"premoderation": "links"}, NOON)
    store.articles.override_older(LATER, {"comments_open": False}, NOON)
    assert store.articles.overrides("2026/thaw") == links._replace(comments_open=False)


def test_overrides_and_titles_leave_each_other_alone(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    store.articles.set_overrides("2026/thaw", Overrides(comments_open=False), NOON)
    store.items.record(a_comment("x", an_article(title="New")), HELD, [], NOON)
    assert store.articles.overrides("2026/thaw").comments_open is False
    kept = store.items.get(item.id)
    assert kept is not None
    assert kept.article_title == "New"


# --- tokens ----------------------------------------------------------------------------------------


def test_a_token_leads_to_its_owner_and_is_kept_only_as_a_digest(store: Store) -> None:
    token = store.tokens.create("mo", NOON)
    prefix, token_id, secret = token.split("_", 2)
    assert prefix == "mod"
    assert len(secret) >= 43
    assert store.tokens.owner(token, NOON) == "mo"
    with store.database.read() as conn:
        row = conn.execute(select(tokens)).one()
    assert row.id == token_id
    assert secret not in "".join(str(value) for value in row)


def test_only_the_exact_token_is_accepted(store: Store) -> None:
    token = store.tokens.create("mo", NOON)
    other = store.tokens.create("other", NOON)
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
        assert store.tokens.owner(wrong, NOON) is None


def test_tokens_that_have_expired_are_deleted_when_another_is_made(store: Store) -> None:
    store.tokens.create("mo", NOON, expires_at=NOON + timedelta(hours=1))
    for name, expires_at in (("for ever", None), ("until tomorrow", LATER + timedelta(days=1))):
        store.tokens.create(name, LATER, expires_at=expires_at)
    assert {info.name for info in store.tokens.all()} == {"for ever", "until tomorrow"}


def test_tokens_are_listed_and_revoked_by_name_or_id(store: Store) -> None:
    first, second, third = (store.tokens.create(name, NOON) for name in ("mo", "mo", "other"))
    assert [info.name for info in store.tokens.all()].count("mo") == 2
    assert store.tokens.revoke("mo", LATER) == 2
    assert store.tokens.revoke("mo", LATER) == 0
    assert store.tokens.owner(first, LATER) is store.tokens.owner(second, LATER) is None
    assert store.tokens.owner(third, LATER) == "other"
    assert store.tokens.revoke(third.split("_")[1], LATER) == 1
    assert store.tokens.owner(third, LATER) is None
    assert {info.revoked_at for info in store.tokens.all()} == {LATER}


def test_the_last_use_is_noted_at_most_once_a_minute(store: Store) -> None:
    token = store.tokens.create("mo", NOON)
    assert store.tokens.all()[0].last_used_at is None
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60)):
        store.tokens.owner(token, NOON + timedelta(seconds=seconds))
        assert store.tokens.all()[0].last_used_at == NOON + timedelta(seconds=noted)


# --- small things ----------------------------------------------------------------------------------


def test_a_secret_is_created_once_and_shared_by_all_stores(store: Store, database_url: str) -> None:
    another = Store(Database(database_url))
    assert store.secrets.get("cookies") == another.secrets.get("cookies") == store.secrets.get("cookies")
    assert len(store.secrets.get("cookies")) == 32
    assert store.secrets.get("mails") != store.secrets.get("cookies")
    another.database.dispose()


def test_a_single_use_is_granted_once(store: Store) -> None:
    name = "link " * 100
    assert store.nonces.use_once(name, LATER, NOON)
    assert not store.nonces.use_once(name, LATER, NOON)
    assert store.nonces.use_once("other", LATER, NOON)


def test_a_single_use_is_granted_again_after_it_has_expired(store: Store) -> None:
    store.nonces.use_once("a", NOON, NOON)
    store.nonces.use_once("b", LATER + timedelta(days=1), LATER)
    assert store.nonces.use_once("a", LATER + timedelta(days=1), LATER)


def test_the_sample_that_was_sent_last_is_kept_field_by_field(store: Store) -> None:
    store.samples.save(7, {"user_ip": "192.0.2.1"}, "ham", None, NOON)
    store.samples.save(7, {"user_ip": "192.0.2.7", "comment_context": ["a", "b"]}, "spam", "guid-1", LATER)
    kept = Sample({"user_ip": "192.0.2.7", "comment_context": ["a", "b"]}, "spam", "guid-1", LATER)
    assert store.samples.get(7) == kept
    assert store.samples.get(8) is None


def test_samples_expire(store: Store) -> None:
    store.samples.save(1, {}, "ham", None, NOON)
    store.samples.save(2, {}, "ham", None, LATER)
    assert store.retention.forget(RetentionKind.SAMPLES, LATER, LATER).count == 1
    assert store.samples.get(1) is None
    assert store.samples.get(2) is not None
