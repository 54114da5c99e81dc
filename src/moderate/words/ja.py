"""Japanese: threads, forms, and what is refused there."""

from __future__ import annotations

from moderate.words.ja_checks import CHECKS
from moderate.words.ja_confirming import CONFIRMING
from moderate.words.ja_desk import DESK
from moderate.words.ja_mails import MAILS

READERS = {
    # The thread.
    "Comments ({n})": "コメント（{n}）",
    "Trackbacks ({n})": "トラックバック（{n}）",
    "Comment by {name}": "{name}さんのコメント",
    "Reply to {name}": "{name}さんに返信",
    "in reply to {name}": "{name}さんへの返信",
    "Anonymous": "匿名",
    "Untitled": "無題",
    "edited": "編集済み",
    "Later comments": "続きのコメント",
    "Your comment has arrived. A moderator will look at it before others can read it.": (
        "コメントを受け付けました。管理者が確認するまで、ほかの人には表示されません。"
    ),
    "Earlier comments": "前のコメント",
    "Later trackbacks": "続きのトラックバック",
    "Earlier trackbacks": "前のトラックバック",
    "This comment was removed.": "このコメントは削除されました。",
    "Nobody has commented yet. Yours would be the first.": "コメントはまだありません。最初のコメントをどうぞ。",
    "There are no comments.": "コメントはありません。",
    "Comments are closed.": "コメントの受付は終了しました。",
    "No other site has linked here yet.": "ほかのサイトからのリンクはまだありません。",
    "The comments cannot be shown right now.": "ただいまコメントを表示できません。",
    "Waiting for a moderator. Only you can see this.": "承認待ちです。あなただけに表示されています。",
    "{comment} is waiting for a moderator. Until then nobody else can read it.": (
        "{comment}は承認待ちです。承認されるまで、ほかの人には表示されません。"
    ),
    "{n} of your comments are waiting for a moderator. Until then nobody else can read them.": (
        "あなたのコメント{n}件が承認待ちです。承認されるまで、ほかの人には表示されません。"
    ),
    "{kind} from {source}, {time}": "{kind}：{source}、{time}",
    "Comment": "コメント",
    "Trackback": "トラックバック",
    "Pingback": "ピンバック",
    "Webmention": "Webmention",
    # The form.
    "Your comment": "あなたのコメント",
    "Your reply": "あなたの返信",
    "Your comment was not sent": "コメントは送信されませんでした",
    "Back to “{title}”": "「{title}」に戻る",
    "You are replying to {name}.": "{name}さんに返信します。",
    "Comment on the article instead": "返信をやめて記事にコメントする",
    "You comment as {name}.": "{name}としてコメントします。",
    "Name": "お名前",
    "E-mail": "メールアドレス",
    "Website": "ウェブサイト",
    "(optional)": "（任意）",
    "Never shown. Only the moderators can see it.": "公開されません。管理者だけが見られます。",
    "Reply": "返信",
    "Post comment": "コメントする",
    "Post reply": "返信する",
    "Preview": "プレビュー",
    "Sending…": "送信中…",
    "The preview cannot be reached. What you wrote is still here.": (
        "プレビューを表示できません。書いた内容は残っています。"
    ),
    "Allowed:": "使えるタグ：",
    "A tag that is not closed is shown as typed.": "閉じていないタグは入力したとおりに表示されます。",
    "Markdown works:": "Markdownが使えます：",
    "Plain text.": "書式なしのテキストです。",
    "Blank lines make paragraphs, addresses become links.": "空行で段落が分かれ、URLはリンクになります。",
    "At most {n} characters.": "{n}文字まで。",
    "Leave this field empty": "この欄は空のままにしてください",
    "You can send it again in {time}. What you wrote is still here.": (
        "{time}後にもう一度送信できます。書いた内容は残っています。"
    ),
    # What is refused.
    "Some of the fields need another look.": "入力内容をご確認ください。",
    "This is larger than what is accepted here.": "送信できる大きさを超えています。",
    "There is no such article.": "記事が見つかりません。",
    "There is no such item.": "見つかりません。",
    "Comments on this article are closed.": "この記事へのコメントの受付は終了しました。",
    "That was a little fast.": "送信の間隔が短すぎます。",
    "This is not allowed.": "許可されていません。",
    "This form was sent from another site.": "このフォームは別のサイトから送信されました。",
    "This is not available right now. Please try again soon.": (
        "ただいまご利用になれません。しばらくしてからもう一度お試しください。"
    ),
    "Tell us your name.": "お名前を入力してください。",
    "Write something first.": "本文を入力してください。",
    "Use at most {limit} characters.": "{limit}文字以内で入力してください。",
    "Use at most {limit} characters; this has {length}.": "{limit}文字以内で入力してください（現在{length}文字）。",
    "This does not look like an e-mail address.": "メールアドレスの形式ではないようです。",
    "Use a full web address that starts with http:// or https://.": (
        "http:// または https:// で始まるURLを入力してください。"
    ),
    "Leave the user name and the password out of the address.": (
        "URLにはユーザー名とパスワードを含めないでください。"
    ),
    "This holds characters that cannot be stored. Type it again without them.": (
        "保存できない文字が含まれています。取り除いて入力し直してください。"
    ),
    "There is no such comment to answer.": "返信先のコメントが見つかりません。",
    "The comment that this answers is not there.": "返信先のコメントが見つかりません。",
    "The comment that you answered is not there any more.": "返信先のコメントはもうありません。",
    "What you wrote is still here. You can send it as a comment on the article.": (
        "入力した内容はそのまま残っています。記事へのコメントとして送信できます。"
    ),
    "This is not the number of a comment.": "コメントの番号ではありません。",
    "The form is not UTF-8.": "フォームの文字コードがUTF-8ではありません。",
    "The form has too many fields.": "フォームの項目が多すぎます。",
    "The form cannot be read.": "フォームを読み取れません。",
    "Another comment was sent with this Idempotency-Key. Use a new one for each comment.": (
        "このIdempotency-Keyでは別のコメントがすでに送信されています。コメントごとに新しいキーを使ってください。"
    ),
    # Webmention.
    "See what became of it": "結果を見る",
    "Status": "状態",
    "Source": "リンク元",
    "Target": "リンク先",
    "Have you written about an article of this site? Tell us the address of your page.": (
        "このサイトの記事について書かれましたか。あなたのページのURLをお知らせください。"
    ),
    "Your page": "あなたのページ",
    "Our article": "このサイトの記事",
    "Send": "送信",
    "The mention waits for its source to be checked.": "リンク元の確認を待っています。",
    "The mention waits for a moderator.": "承認を待っています。",
    "The mention is shown.": "表示されています。",
    "The mention is not shown any more.": "表示されなくなりました。",
    # Times.
    "{day} {month} {year}, {time} UTC": "{year}年{month}{day}日 {time} UTC",
    **{
        name: f"{number}月"
        for number, name in enumerate(
            (
                "January", "February", "March", "April", "May", "June",
                "July", "August", "September", "October", "November", "December",
            ),
            1,
        )
    },
    "just now": "たった今",
    "{time} ago": "{time}前",
    "less than a minute": "1分未満",
    "a second": "1秒",
    "{n} seconds": "{n}秒",
    "{n} minutes": "{n}分",
    "{n} hours": "{n}時間",
    "{n} days": "{n}日",
}  # fmt: skip

JAPANESE: dict[str, str] = {**READERS, **CONFIRMING, **DESK, **CHECKS, **MAILS}
