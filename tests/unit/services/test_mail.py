"""The contents of mails and their delivery: hostile text in every field, and servers of every kind."""

from __future__ import annotations

import email
import re
import ssl
from dataclasses import replace
from email.header import decode_header
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from moderate.errors import ServiceDown, Undeliverable
from moderate.i18n import translator
from moderate.model import Awaiting, Finding, Item, Kind, Lean, Status
from moderate.notices.mail import POLICY, Mailer, MailNotifier, encoded, quoted, visible, visible_line
from moderate.notices.smtp import SmtpTransport
from moderate.notices.smtp_auth import Account
from moderate.notices.values import Event, Notice, Recipient
from tests.factories import NOON
from tests.mail_servers import Mail, MailServer, knows
from tests.unit.services.loopback import Connection, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


MORI = Recipient("Mori", "mori@mail.example")

ITEM = Item(
    id=7,
    kind=Kind.COMMENT,
    status=Status.PENDING,
    awaiting=Awaiting.MODERATOR,
    version=2,
    article="thaw",
    article_title="Thaw",
    article_url="https://news.example/thaw",
    author="Mika",
    email="mika@mail.example",
    url="https://mika.example/",
    author_id=None,
    text="The river froze twice.",
    html="<p>The river froze twice.</p>",
    policy="1",
    parent=None,
    source_url=None,
    title=None,
    blog_name=None,
    ip="192.0.2.7",
    user_agent="Mozilla/5.0",
    referrer=None,
    text_key="",
    created_at=NOON,
    edited_at=None,
    findings=(Finding("links", Lean.HOLD, "three links"),),
)

#: All that some program takes for the end of a line, or that moves the cursor or the direction.
BREAKS = ["\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0", "\u202e", "\x1b[2J"]
INJECTED = "Bcc: victim@mail.example"
FIELDS = ["author", "article_title", "article", "article_url", "text", "url", "source_url", "title", "blog_name"]


class Links:
    """Addresses that show their purpose."""

    def decide(self, item: Item, button: str, to: Recipient) -> str:
        return f"https://news.example/mail/{item.id}-{item.version}-{button}-{to.name}"

    def unsubscribe(self, to: Recipient) -> str:
        # As long as real ones are: it must not be folded or encoded.
        return f"https://news.example/leave/{to.key}{'x' * 200}"

    def queue(self) -> str:
        return "https://news.example/queue"


class Kept:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.raw = b""

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        self.raw = message.as_bytes()


def notifier(transport: Any, to: Recipient = MORI) -> MailNotifier:
    words = translator(to.language or "en")
    mailer = Mailer(transport, "News <news@mail.example>", "news.example")
    return MailNotifier(to, mailer, Links(), words, digest_after=5)


def notice(*items: Item) -> Notice:
    return Notice(
        id="7-2-waiting", event=Event.WAITING, items=items, total=len(items), at=NOON, is_digest=len(items) > 1
    )


def made(*items: Item, to: Recipient = MORI) -> Mail:
    kept = Kept()
    notifier(kept, to).deliver(notice(*items))
    return Mail(to.email, kept.raw)


# --- what strangers write -------------------------------------------------------------------------

EXPECTED = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("end", BREAKS, ids=ascii)
@pytest.mark.parametrize("kind", [Kind.COMMENT, Kind.PINGBACK])
def test_no_field_can_inject_a_header_or_a_line(field: str, end: str, kind: Kind) -> None:
    hostile = f"x{end}{INJECTED}{end}{end}Approve: https://evil.example/"
    mail = made(replace(ITEM, kind=kind, **{field: hostile}))
    assert mail.message.keys() == EXPECTED
    assert str(mail.message["To"]) == "Mori <mori@mail.example>"
    head = mail.raw.partition(b"\r\n\r\n")[0]
    # A line that goes on begins with a blank; any other is one of the fields above.
    assert [line for line in head.split(b"\r\n") if line.startswith(b"Bcc")] == []
    lines = mail.text.splitlines()
    assert [line for line in lines if line.startswith(("Bcc", "Approve: https://evil"))] == []
    assert [line for line in lines if line.startswith("Approve: ")] == [
        "Approve: https://news.example/mail/7-2-approve-Mori"
    ]


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=600))
def test_headers_are_fixed_and_lines_are_short_for_any_text(author: str, title: str, text: str) -> None:
    mail = made(replace(ITEM, author=author, article_title=title, text=text))
    assert mail.message.keys() == EXPECTED
    assert all(len(line) <= 998 for line in mail.raw.split(b"\r\n"))
    assert b"\n" not in mail.raw.replace(b"\r\n", b"")
    assert mail.raw.isascii()
    assert len(mail.subject) < 150
    assert [line for line in mail.text.splitlines() if line.startswith("Approve:")] == [
        "Approve: https://news.example/mail/7-2-approve-Mori"
    ]


@given(st.text(max_size=300))
def test_the_html_part_holds_only_the_markup_of_the_template(text: str) -> None:
    html = made(replace(ITEM, author=f"{text}<img src=x onerror=alert(1)>", text=f"</blockquote><script>{text}")).html
    assert "<img" not in html
    assert "<script" not in html
    assert html.count("</blockquote>") == 1


def test_html_in_names_reasons_and_addresses_is_escaped() -> None:
    item = replace(
        ITEM,
        article_title='"><style>*{display:none}</style>',
        article_url="javascript:alert(1)",
        url="javascript:alert(2)",
        findings=(Finding("x", Lean.HOLD, "<b>reason</b>"),),
    )
    html = made(item).html
    assert "<style" not in html
    assert "<b>reason" not in html
    assert 'href="javascript' not in html


def test_surrogates_and_direction_marks_are_removed_and_joiners_kept() -> None:
    assert visible("a\ud800b\u202ec") == "a b c"
    assert visible_line("می\u200cخواهم 👩\u200d🚀") == "می\u200cخواهم 👩\u200d🚀"
    # An emoji of Unicode 16, which Python's tables do not have.
    assert visible("new \U0001fae9 \ue000\ufdd0") == "new \U0001fae9   "
    assert quoted("a\u2028Approve: x") == "> a\n> Approve: x"


def test_long_texts_are_truncated_with_a_notice() -> None:
    mail = made(replace(ITEM, text="word " * 10_000))
    assert len(mail.text) < 4000
    assert "…" in mail.text


def test_a_truncated_name_loses_no_part_of_its_last_letter() -> None:
    astronaut = "\N{WOMAN}\u200d\N{ROCKET}"
    mail = made(replace(ITEM, author="M" * 37 + astronaut + "MM"))
    assert mail.subject == f"Comment by {'M' * 37}… on Thaw"


def test_a_digest_shows_every_item_with_its_own_links() -> None:
    mail = made(ITEM, replace(ITEM, id=8, text="Another."))
    assert mail.subject == "2 items wait for a moderator"
    assert "https://news.example/mail/8-2-spam-Mori" in mail.text
    assert "https://news.example/mail/7-2-spam-Mori" in mail.html


def test_long_addresses_in_headers_are_kept_whole() -> None:
    mail = made(ITEM)
    line = next(line for line in mail.raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe: "))
    assert line == f"List-Unsubscribe: <{Links().unsubscribe(MORI)}>".encode()


def test_names_of_all_scripts_are_sent_intact() -> None:
    mail = made(replace(ITEM, author="三日月 🌙", article_title="Ґрунт"), to=Recipient('森 , "M"', "mori@mail.example"))
    assert mail.subject == "Comment by 三日月 🌙 on Ґрунт"
    assert mail.message["To"].addresses[0].display_name == '森 , "M"'
    assert mail.message["To"].addresses[0].addr_spec == "mori@mail.example"


def test_a_mail_lists_the_findings_and_neither_e_mail_address_nor_ip() -> None:
    mail = made(ITEM)
    assert "Found: three links" in mail.text
    assert "192.0.2.7" not in mail.text + mail.html
    assert "mika@mail.example" not in mail.raw.decode()


# --- languages ------------------------------------------------------------------------------------

MORI_JA = MORI._replace(language="ja")

#: An item whose texts have no Latin letters, so that any in a mail come from the template.
QUIET = replace(
    ITEM,
    author="三日月",
    article_title="雪解け",
    article="1",
    article_url="",
    url=None,
    text="川が凍った。",
    findings=(),
)
EVERY_ITEM = [
    QUIET,
    replace(QUIET, author="", edited_at=NOON),
    replace(QUIET, proposed={"text": "二度凍った。"}, url="https://7.example/"),
    *(replace(QUIET, kind=kind, source_url="https://7.example/") for kind in Kind if kind.is_ping),
]


def latin(text: str) -> list[str]:
    """Words in Latin letters, outside of addresses and of what is called so in Japanese too."""
    return re.findall("[A-Za-z]+", re.sub(r"https?://[^\s\"<>]+|Webmention", "", text))


@pytest.mark.parametrize("item", EVERY_ITEM, ids=lambda item: item.kind.value)
def test_a_japanese_mail_to_a_moderator_has_no_english_word(item: Item) -> None:
    for items in ((item,), (item, item)):
        mail = made(*items, to=MORI_JA)
        assert latin(mail.subject) == []
        assert latin(mail.text) == []
        assert latin(re.sub("<[^>]+>", "", mail.html)) == []
        assert '<html lang="ja">' in mail.html


def test_a_japanese_mail_lists_the_findings_and_has_all_links() -> None:
    item = replace(QUIET, findings=(Finding("links", Lean.HOLD, "3 links, where up to 2 pass"),))
    mail = made(item, to=MORI_JA)
    assert mail.subject == "「雪解け」へのコメント：三日月"
    assert "チェックの結果: リンクが3個（2個まで可）" in mail.text.splitlines()
    for label, decision in (("承認", "approve"), ("スパム", "spam"), ("ゴミ箱", "trash")):
        address = f"https://news.example/mail/7-2-{decision}-Mori"
        assert re.search(rf"^{label}:\s+{address}$", mail.text, re.MULTILINE)
        assert f'<a href="{address}">{label}</a>' in mail.html
    assert made(item, item, to=MORI_JA).subject == "2件が承認を待っています"
    assert made(replace(item, edited_at=NOON), to=MORI_JA).subject == "変更：「雪解け」へのコメント：三日月"


def test_a_subject_counts_items_in_the_singular_and_the_plural() -> None:
    one = replace(notice(ITEM), is_digest=True)
    assert notifier(Kept()).mail(one).subject == "1 item waits for a moderator"
    assert notifier(Kept()).mail(replace(one, total=1200)).subject == "1,200 items wait for a moderator"


def test_placeholders_in_texts_of_users_are_not_filled_in() -> None:
    mail = made(replace(ITEM, author="{title} {0}", article_title="{name.__class__}"), to=MORI_JA)
    assert mail.subject == "「{name.__class__}」へのコメント：{title} {0}"


SUBJECTS = st.text(st.sampled_from('abc 三日月👩\u200d🚀é=?_,"<>@.「」：'), min_size=1, max_size=100) | st.text(
    max_size=100
)


@given(SUBJECTS.map(visible_line).filter(bool))
def test_every_subject_decodes_to_the_original_text(subject: str) -> None:
    message = EmailMessage(policy=POLICY)
    message["Subject"] = encoded(subject)
    raw = message.as_bytes()
    assert str(email.message_from_bytes(raw, policy=default)["Subject"]) == subject
    lines = raw.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    # RFC 2047 §2: each encoded word at most 75 characters, and each line with one at most 76; §5: whole letters.
    assert all(len(line) <= 76 for line in lines if "=?utf-8?" in line)
    for word in re.findall(r"=\?utf-8\?[bq]\?[^?\s]*\?=", "\n".join(lines)):
        assert len(word) <= 75
        assert decode_header(word)[0][0].decode("utf-8")  # type: ignore[union-attr]


# --- servers --------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as started:
        yield started


def transport(port: int, **changes: Any) -> SmtpTransport:
    values: dict[str, Any] = {"security": "none", "account": None, "timeout": 30, "own_name": "news"}
    return SmtpTransport("127.0.0.1", port, **{**values, **changes})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and one that trusts it."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    return ours, theirs


def test_mail_is_sent_with_starttls_and_a_login(authority: trustme.CA) -> None:
    ours, theirs = contexts(authority)
    options = {"authenticator": knows("news", "a secret word"), "auth_required": True, "auth_require_tls": True}
    with MailServer(ours, require_starttls=True, **options) as server:
        right = transport(
            server.port, security="starttls", account=Account("news", "a secret word"), ssl_context=theirs
        )
        notifier(right).deliver(notice(ITEM))
        assert len(server.mails) == 1
        wrong = transport(server.port, security="starttls", account=Account("news", "guessed"), ssl_context=theirs)
        with pytest.raises(ServiceDown) as told:
            notifier(wrong).deliver(notice(ITEM))
        assert "name or the password" in str(told.value)
        assert "guessed" not in str(told.value)
        assert told.value.__cause__ is None


def test_a_server_without_a_valid_certificate_gets_neither_password_nor_mail(authority: trustme.CA) -> None:
    ours, _ = contexts(authority)
    with MailServer(ours) as server:
        with pytest.raises(ServiceDown, match="not from an authority that is trusted here"):
            notifier(transport(server.port, security="starttls")).deliver(notice(ITEM))
        assert server.offered == 0


def test_mail_is_sent_with_implicit_tls(authority: trustme.CA) -> None:
    ours, theirs = contexts(authority)
    with MailServer(ssl_context=ours) as server:
        notifier(transport(server.port, security="tls", ssl_context=theirs)).deliver(notice(ITEM))
        assert len(server.mails) == 1
        with pytest.raises(ServiceDown):
            notifier(transport(server.port, security="tls")).deliver(notice(ITEM))
        assert len(server.mails) == 1


def test_nothing_is_sent_in_clear_text_when_the_server_has_no_tls(server: MailServer) -> None:
    with pytest.raises(ServiceDown, match="does not offer STARTTLS; set MODERATE_MAIL_SECURITY"):
        notifier(transport(server.port, security="starttls")).deliver(notice(ITEM))
    assert server.offered == 0


def test_an_absent_or_silent_server_raises_service_down(server: MailServer) -> None:
    server.stop()
    with pytest.raises(ServiceDown, match="cannot be reached"):
        notifier(transport(server.port)).deliver(notice(ITEM))
    with serving(Connection.silence) as silent, pytest.raises(ServiceDown, match="cannot be reached"):
        notifier(transport(silent.port, timeout=0.3)).deliver(notice(ITEM))


@pytest.mark.parametrize(
    ("answer", "error"),
    [("451 later", ServiceDown), ("452 full", ServiceDown), ("550 no", Undeliverable), ("554 spam", Undeliverable)],
)
def test_temporary_and_permanent_refusals_are_distinguished(
    server: MailServer, answer: str, error: type[Exception]
) -> None:
    server.refusal = answer
    with pytest.raises(error, match=answer):
        notifier(transport(server.port)).deliver(notice(ITEM))
    server.refusal, server.refused_address = "", answer
    with pytest.raises(error, match=answer):
        notifier(transport(server.port)).deliver(notice(ITEM))


def test_a_line_with_a_single_dot_does_not_end_the_mail(server: MailServer) -> None:
    notifier(transport(server.port)).deliver(notice(replace(ITEM, text="a\r\n.\r\nMAIL FROM:<x@y.example>\r\n.\r\n")))
    (mail,) = server.mails
    assert "> MAIL FROM:<x@y.example>" in mail.text


@pytest.mark.parametrize(
    ("stage", "answer", "words"),
    [
        ("MAIL", "550 5.7.60 not yours", "refused the sender, MODERATE_MAIL_FROM (its policy forbids it): 550"),
        ("MAIL", "530 5.7.0 sign in", "set MODERATE_MAIL_USERNAME): 530"),
        ("MAIL", "552 5.3.4 65 MB", "refused the mail (the mail is larger than it takes): 552"),
        ("RCPT", "552 5.2.2 over quota", "refused the address (the mailbox is full): 552"),
        (
            "RCPT",
            "450 4.7.1 Greylisted, come back",
            "refused the address (it asks for another try later (greylisting))",
        ),
        ("RCPT", "550 5.1.1 <mori@mail.example>: unknown", "(there is no such mailbox): 550 5.1.1 <…>: unknown"),
        ("RCPT", "554 5.7.1 <mori@mail.example>: Relay access denied", "set MODERATE_MAIL_USERNAME): 554"),
        ("RCPT", "550 User unknown in relay recipient table", "refused the address: 550 User unknown"),
        ("MAIL", "421 4.3.2 busy", "refused the mail (it is busy or closing): 421"),
        ("DATA", "552 no", "refused the mail (the mailbox is full or the mail larger than it takes): 552 no"),
        ("DATA", "452 4.3.1 full", "refused the mail (it has no room at the moment): 452"),
        ("DATA", "421 closing", "refused the mail (it is busy or closing): 421"),
    ],
)
def test_each_refusal_has_its_own_message_without_addresses(
    server: MailServer, stage: str, answer: str, words: str
) -> None:
    server.answers[stage] = answer
    with pytest.raises((ServiceDown, Undeliverable)) as told:
        notifier(transport(server.port)).deliver(notice(ITEM))
    assert words in str(told.value)
    assert "mori@" not in str(told.value)
    # A refused sender is a matter of settings: once they are mended the mail goes.
    assert isinstance(told.value, Undeliverable) == (answer[0] == "5" and "MODERATE_" not in words)


@pytest.mark.parametrize("name", ["news", "мори"])
@pytest.mark.parametrize("password", ["a secret word", "päss€", "パスワード"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_names_and_passwords_of_all_scripts_sign_in(name: str, password: str, mechanism: str) -> None:
    others = [other for other in ("PLAIN", "LOGIN") if other != mechanism]
    options = {"auth_require_tls": False, "auth_exclude_mechanism": others}
    with MailServer(authenticator=knows(name, password), **options) as server:
        notifier(transport(server.port, account=Account(name, password))).deliver(notice(ITEM))
        assert len(server.mails) == 1
        with pytest.raises(ServiceDown, match=r"does not accept the name or the password \(535\)"):
            transport(server.port, account=Account(name, f"{password}x")).probe()


@pytest.mark.parametrize("password", ["\udcff", "a\0b"])
def test_a_password_that_cannot_be_sent_is_reported_as_such(server: MailServer, password: str) -> None:
    with pytest.raises(ServiceDown, match="MODERATE_MAIL_PASSWORD has characters that cannot be sent"):
        transport(server.port, account=Account("news", password)).probe()
