"""Japanese: mails to moderators."""

from __future__ import annotations

MAILS = {
    "{kind} by {name} on {title}": "「{title}」への{kind}：{name}",
    "Changed: {subject}": "変更：{subject}",
    "{n} items wait for a moderator": "{n}件が承認を待っています",
    "{n} items wait for a moderator. The newest:": "{n}件が承認を待っています。新しいもの：",
    "somebody without a name": "名前のない人",
    "{id} by {name}": "{id}番、{name}",
    "Found": "チェックの結果",
    "Keep the old text": "元の文章を残す",
    "The whole queue": "一覧",
    "The whole queue: {address}": "一覧： {address}",
    "You get this because you moderate this site.": "このサイトの管理者の方にお送りしています。",
    "To get no more of these: {address}": "メールを止める： {address}",
    "Get no more of these": "メールを止める",
}
