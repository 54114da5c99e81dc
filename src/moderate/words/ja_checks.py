"""Japanese: what checks say of an item, and the names under which they say it."""

from __future__ import annotations

CHECKS: dict[str, str] = {
    "{count} links, where up to {most} pass": "リンクが{count}個（{most}個まで可）",
    "links in forum code ([url=…]), as programs post them": (
        "掲示板用のリンク記法（[url=…]）。プログラムの投稿によく見られます"
    ),
    "the field that people cannot see was filled in": "人には見えない欄に記入されています",
    "the form came without a valid token: made by a script, or the page was very old": (
        "フォームの有効な印がありません。プログラムによるものか、ページがとても古いためです"
    ),
    "how long the form was open is unknown: the clock was changed meanwhile": (
        "フォームを開いていた時間は不明です：その間に時計が変更されました"
    ),
    "sent {age} seconds after the form was opened; for this length we expect {least} or more": (
        "フォームを開いて{age}秒で送信（この長さなら{least}秒以上が普通）"
    ),
    "the form had been open for {days} days": "フォームが{days}日間開かれていました",
    "signed in, with {approved} approved comments and no spam within {days} days": (
        "ログイン済み。{days}日以内に承認{approved}件、スパムなし"
    ),
    "confirmed e-mail address, with {approved} approved comments and no spam within {days} days": (
        "メールアドレス確認済み。{days}日以内に承認{approved}件、スパムなし"
    ),
    "not asked yet": "まだ確認していません",
    "the page was not looked at yet": "リンク元のページをまだ確認していません",
    "the page could not be read: {why}": "リンク元のページを読めません：{why}",
    "the host name {host} could not be found (DNS)": "ホスト名{host}が見つかりません（DNS）",
    "the host name {host} could not be looked up (DNS)": "ホスト名{host}を調べられません（DNS）",
    "looking up {host} took too long": "ホスト名{host}の確認に時間がかかりすぎました",
    "{host} has an address that is not public": "{host}のアドレスは公開されていません",
    "it answered {status}": "応答は{status}でした",
    "the source took too long": "応答に時間がかかりすぎました",
    "the source cannot be reached: {why}": "接続できません：{why}",
    "its certificate has expired, or this machine's clock is wrong": (
        "証明書の期限が切れているか、このサーバーの時計が狂っています"
    ),
    "its certificate is not valid yet, or this machine's clock is wrong": (
        "証明書がまだ有効でないか、このサーバーの時計が狂っています"
    ),
    "its certificate is for another host name": "証明書が別のホスト名のものです",
    "its certificate is self-signed, which is not trusted here": "証明書が自己署名で、信頼されていません",
    "its certificate is not from an authority that is trusted here": "証明書の発行元が信頼されていません",
    "its certificate is not valid": "証明書が無効です",
    "it does not speak TLS at this port": "このポートではTLSが使えません",
    "it offers no version of TLS that is accepted here": "対応するTLSのバージョンがありません",
    "it does not answer in TLS: does it speak TLS at this port?": "TLSでの応答がありません（ポートは正しいですか）",
    "a file or socket that its address names is not there": "アドレスにあるファイルかソケットがありません",
    "a file or socket that its address names may not be opened": "アドレスにあるファイルかソケットを開けません",
    "it wants a client certificate": "クライアント証明書が求められました",
    "it offers no secure connection that can be used": "安全な接続ができません",
    "it refuses connections": "接続が拒否されました",
    "it does not answer in time": "時間内に応答がありません",
    "it broke the connection off": "接続が切られました",
    "there is no way to it": "経路がありません",
    "the source broke off, or does not keep to the rules of HTTP": "接続が途中で切れたか、HTTPの規則に従っていません",
    "the source could not be decompressed": "圧縮された内容を展開できません",
    "the source is larger than is accepted": "ページが大きすぎます",
    "the source sent more than is accepted": "送られた量が多すぎます",
    "the source redirects more than {n} times": "転送が{n}回を超えました",
    "the page says that it was deleted": "リンク元のページは削除されています",
    "the page does not link to the article": "リンク元のページに記事へのリンクがありません",
    "Akismet says: spam": "Akismetの判定：スパム",
    "Akismet says: spam beyond doubt": "Akismetの判定：明らかなスパム",
    "more came in than usual ({names})": "普段より多く届いています（{names}）",
    "{what} came on {n} articles within a day": "{what}が1日のうちに{n}件の記事に届きました",
    "{what} came {times} before within a day": "{what}が1日のうちに以前{times}届きました",
    "{what} came {times} before within a day, {spam} of them spam": (
        "{what}が1日のうちに以前{times}届きました（うち{spam}件はスパム）"
    ),
    "once": "1回",
    "{n} times": "{n}回",
    "the same text": "同じ文章",
    "nearly the same text": "ほぼ同じ文章",
    "the blog's name is the post's title": "ブログ名が記事の題名と同じです",
    "the excerpt is a stock phrase of trackback programs": "抜粋が送信プログラムの決まり文句です",
    "the excerpt carries links of its own": "抜粋にリンクが含まれています",
    "the source's name is strung together from keywords ({host})": "送信元の名前がキーワードの羅列です（{host}）",
    "the site is under a spam wave: {why}": "スパムが押し寄せています：{why}",
    "a moderator's rule: {rule}": "管理者のルール：{rule}",
    "the check failed ({error})": "チェックが失敗しました（{error}）",
    "{check} was certain ({lean})": "{check}が確定（{lean}）",
    # The filter that learns.
    "{share} like spam, going by {seen}; for spam: {for_list}; against: {against_list}": (
        "スパムらしさ{share}（{seen}から）。スパム寄り：{for_list}。正常寄り：{against_list}"
    ),
    "{spam} spam and {good} good ones that moderators decided on": "管理者が処理したスパム{spam}件と正常{good}件",
    ", ": "、",
    "nothing": "なし",
    "a link to {host}": "{host}へのリンク",
    "{word} in an address": "URLの中の{word}",
    "kind: {kind}": "種類：{kind}",
    "links: {n}": "リンク{n}個",
    "size: {n}": "長さ：段階{n}",
    "lines: {n}": "改行{n}個",
    "exclamation marks: {n}": "感嘆符{n}個",
    "digits: {n}": "数字の多さ：段階{n}",
    "capitals: {n} of 4": "大文字の多さ：4段階の{n}",
    "author's site: {host}": "投稿者のサイト：{host}",
    "author's mail: {host}": "投稿者のメール：{host}",
    # A wave.
    "{n} items that look like spam came on one article {minutes}": "{minutes}、1つの記事にスパムらしいものが{n}件",
    "nearly the same text came {n} times {minutes}": "{minutes}、ほぼ同じ文章が{n}回",
    "{n} different senders brought what looks like spam {minutes}": "{minutes}、スパムらしいものの送信元が{n}か所",
    "{n} of {all} items {minutes} look like spam": "{minutes}に届いた{all}件のうち{n}件がスパムらしいもの",
    "within {n} minutes": "{n}分以内",
    # Akismet.
    "Akismet says: not spam": "Akismetの判定：スパムではない",
    "Akismet is not sure yet and wants to be asked again in {n} seconds": (
        "Akismetはまだ判定できず、{n}秒後に再確認します"
    ),
    "{said}; it also warns (code {code}): {message}": "{said}。警告あり（コード{code}）：{message}",
    "no message": "説明なし",
    "akismet: {why}": "Akismet：{why}",
    "the key is not valid for this site": "キーがこのサイトでは無効です",
    "no complete answer in time": "時間内に応答がありません",
    "it answered with status {n}": "ステータス{n}が返りました",
    "it cannot be reached: {why}": "接続できません：{why}",
    "its answer is none that we know": "応答を解釈できません",
    "it reports an error: {said}": "エラーの報告：{said}",
    "The key is refused: {why}. Items wait; check MODERATE_AKISMET_KEY.": (
        "キーが拒否されました（{why}）。届いたものは保留中です。MODERATE_AKISMET_KEYを確認してください。"
    ),
    "Warning {code}: {message}": "警告{code}：{message}",
    # Rules.
    "a moderator's rule: {rule} – {note}": "管理者のルール：{rule} – {note}",
    "{rule} (here: “{found}”)": "{rule}（ここでは“{found}”）",
    "the word “{value}”": "言葉“{value}”",
    "an address at “{value}”": "“{value}”のアドレス",
    "the e-mail “{value}”": "メールアドレス“{value}”",
    "the network “{value}”": "ネットワーク“{value}”",
    # What could not be done.
    "the article is gone": "記事がもうありません",
    "a worker process crashed, hung or was killed during the {task} task (times: {number})": (
        "処理（{task}）の途中でワーカープロセスが異常終了したか、応答しなくなったか、強制終了されました（{number}回）"
    ),
    "this version does not know the {task} task, which a newer one wrote": (
        "処理（{task}）は新しいバージョンのもので、このバージョンでは実行できません"
    ),
    "the {task} task failed ({error})": "処理（{task}）が失敗しました（{error}）",
    "trust": "信頼",
    "discard": "明らかなスパム",
}

#: What the checks are called.
NAMES: dict[str, str] = {
    "akismet": "Akismet",
    "article": "記事",
    "crowd": "混雑",
    "honeypot": "隠し欄",
    "learned": "学習フィルター",
    "links": "リンク数",
    "ping-signals": "ピンの特徴",
    "repeat": "繰り返し",
    "rules": "ルール",
    "source-link": "リンク元の確認",
    "task": "処理",
    "timing": "送信までの時間",
    "trust-rules": "信頼ルール",
    "trusted-author": "信頼された投稿者",
    "wave": "スパムの波",
}
