"""Signed values: their format is that of `itsdangerous`, by which older versions signed, and which opens new ones."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from moderate.http.signing import Signer
from moderate.testing import ManualClock

CLOCK = ManualClock()
NOW = int(CLOCK.now().timestamp())
DATABASE = b"database"

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.one_of(texts, st.integers(), st.lists(st.integers(), max_size=30), st.tuples(texts, texts).map(list))


def signer(key: str | bytes = "secret", *former: str | bytes) -> Signer:
    app = Flask(__name__)
    app.config.update(SECRET_KEY=key, SECRET_KEY_FALLBACKS=list(former))
    return Signer(app, CLOCK, database=lambda: DATABASE)


def theirs(purpose: str = "own", *keys: str | bytes) -> URLSafeSerializer:
    salt = f"moderate.{purpose}.v2.".encode() + DATABASE
    ways = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer([*keys] or "secret", salt=salt, signer_kwargs=ways)


@given(values)
def test_itsdangerous_opens_what_is_signed(value: Any) -> None:
    assert theirs().loads(signer().sign("own", value)) == [NOW, value]


@given(values)
def test_what_itsdangerous_has_signed_is_opened(value: Any) -> None:
    assert signer().open("own", theirs().dumps([NOW - 5, value])) == (value, pytest.approx(5, abs=1))


def test_a_compressed_value_is_opened() -> None:
    token = theirs().dumps([NOW, "same " * 99])
    assert str(token).startswith(".")
    assert signer().open("own", str(token)) is not None


def test_former_keys_open_and_the_last_one_signs() -> None:
    token = signer("old").sign("own", 1)
    assert signer("new", "older", b"old").open("own", token) is not None
    assert signer("new", "older").open("own", token) is None
    assert signer("new").open("own", signer("new", "old").sign("own", 1)) is not None


TOKEN = signer().sign("own", [1, 2])


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("aB3_-.=\n é\udcff"))
def test_a_token_with_another_character_is_not_opened(place: int, other: str) -> None:
    changed = TOKEN[:place] + other + TOKEN[place + 1 :]
    assert (signer().open("own", changed) is None) == (changed != TOKEN)
    assert signer().open("own", TOKEN[:place] + other + TOKEN[place:]) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a", "a.b", TOKEN.partition(".")[0], f"{TOKEN}=", "x" * 5000])
def test_what_is_no_token_is_not_opened(token: str) -> None:
    assert signer().open("own", token) is None


def test_a_token_is_valid_for_one_purpose_alone() -> None:
    assert signer().open("edit", TOKEN) is None
