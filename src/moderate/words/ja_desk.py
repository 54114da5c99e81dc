"""Japanese: the moderators' pages."""

from __future__ import annotations

DESK: dict[str, str] = {
    "Moderation": "コメント管理",
    "Skip to the content": "本文へ移動",
    "Signed in as {name}": "{name}としてログイン中",
    "Pending": "承認待ち",
    "Changed": "変更あり",
    "Approved": "承認済み",
    "Spam": "スパム",
    "Trash": "ゴミ箱",
    "All": "すべて",
    "Undo": "元に戻す",
    "Show them": "表示する",
    "Words": "キーワード",
    "Search": "検索",
    "Kind": "種類",
    "All kinds": "すべての種類",
    "Waiting for": "待ち先",
    "Whoever it waits for": "待ち先を問わない",
    "Waits for a moderator": "管理者待ち",
    "Waits for checks": "チェック待ち",
    "Show": "表示",
    "Download as CSV": "CSVでダウンロード",
    "Show everything": "すべて表示",
    "Decide on all of these…": "該当するものをまとめて処理…",
    "Decide on all of these": "まとめて処理",
    "The oldest has waited for {time}.": "最も古いものは{time}待っています。",
    "What is selected": "選択したもの",
    "All of this page": "このページすべて",
    "Selected:": "選択したものを：",
    "{n} selected": "{n}件を選択中",
    "Approve": "承認",
    "Hold": "保留",
    "{decision} what is selected": "選択したものを{decision}",
    "Older items": "以前のもの",
    "This page is done.": "このページは終わりました。",
    "Go on": "続ける",
    "Nothing further down.": "これより前のものはありません。",
    "Back to the newest": "最新に戻る",
    "No changed text is waiting.": "承認待ちの変更はありません。",
    "Words, numbers and symbols are searched, punctuation is not.": (
        "検索できるのは単語・数字・記号で、句読点は検索できません。"
    ),
    "Nothing matches.": "該当するものはありません。",
    "Try other words, or show everything.": "別のキーワードを試すか、すべて表示してください。",
    "Nothing is waiting.": "承認待ちはありません。",
    "New comments and pings will stand here until you decide.": (
        "新しいコメントやピンは、処理されるまでここに並びます。"
    ),
    "Nothing is public yet.": "公開中のものはまだありません。",
    "Empty.": "空です。",
    "What you or the checks take for spam comes here.": "スパムと判断されたものがここに入ります。",
    "What you throw away comes here.": "捨てたものがここに入ります。",
    "Article": "記事",
    "Author": "投稿者",
    "Address": "IPアドレス",
    "Host": "ホスト",
    "Text like that of item {id}": "{id}番に似た文章",
    "A whole number.": "整数を入れてください。",
    # Akismet's account.
    "{used} calls this month, without a limit": "今月の呼び出しは{used}回（上限なし）",
    "{used} calls this month, of {most} ({percent} %)": "今月の呼び出しは{most}回のうち{used}回（{percent} %）",
    "{what}; the service slows us down": "{what}。回数の制限がかかっています",
    "Warning {code}: {message}": "警告{code}：{message}",
    "The key is refused: {reason}. Items wait; check MODERATE_AKISMET_KEY.": (
        "キーが拒否されました：{reason}。投稿は保留されます。MODERATE_AKISMET_KEYを確認してください"
    ),
    # A card.
    "Show all of it": "全文を表示",
    "Show less": "折りたたむ",
    "Where its links lead": "リンク先",
    "Source": "リンク元",
    "Link": "リンク",
    "Link of the changed text": "変更後の文章のリンク",
    "“{text}”": "「{text}」",
    "Its words name another host: {host}": "表示は別のホスト{host}を名乗っています",
    "All of them in the queue": "すべてを一覧で見る",
    "Blatant spam": "明らかなスパム",
    "Look closely": "要確認",
    "Could not tell": "判定できず",
    "Note": "メモ",
    "Trusted": "信頼",
    "Checks are still running": "チェック中",
    "Waits for you": "あなたの判断待ち",
    "Everything from here": "ここからのものをすべて表示",
    "What the checks found": "チェックの結果",
    "Nothing found by: {names}": "問題なし：{names}",
    "Not asked: {names}": "未実施：{names}",
    "Decide on item {id}": "{id}番を処理",
    "Select item {id}": "{id}番を選択",
    "Everything like this…": "これに似たものすべて…",
    "With nearly the same text": "ほぼ同じ文章のもの",
    "By {name}": "投稿者が{name}のもの",
    "From the address {name}": "IPアドレスが{name}のもの",
    "From the host {name}": "ホストが{name}のもの",
    "Public now": "現在公開中",
    "Waiting": "確認待ち",
    "The change was dropped; the public text stays as it was.": "変更は破棄されました。公開中の文章はそのままです。",
    "Take the change": "変更を反映",
    "Keep the public text": "公開中の文章を残す",
    "Keep the public text of what is selected": "選択したものの公開中の文章を残す",
    "Take all changes": "変更をすべて反映",
    "Keep all public texts": "公開中の文章をすべて残す",
    "the public text stays": "公開中の文章を維持",
    "drop the change: the public text stays": "変更を破棄して公開中の文章を残す",
    "No changed text of item {id} is waiting.": "{id}番には確認待ちの変更がありません。",
    "As it was sent": "送信されたまま",
    "From": "送信元",
    "Decided by": "処理した人",
    "Item": "番号",
    "answers {id}": "{id}番への返信",
    # Everything like this.
    "{n} items match": "{n}件が該当します",
    "More than {n} items match": "{n}件を超えて該当します",
    "And {n} more.": "ほか{n}件。",
    "That is too many for one decision. Narrow the search first.": (
        "一度に処理するには多すぎます。先に絞り込んでください。"
    ),
    "Approve all": "すべて承認",
    "Hold all": "すべて保留",
    "All spam": "すべてスパム",
    "Trash all": "すべてゴミ箱へ",
    "One button takes all of it back afterwards.": "あとからボタン一つですべて元に戻せます。",
    "Back to the queue": "一覧に戻る",
    "Meanwhile other items match. Look again before you decide; nothing was changed.": (
        "その間に該当するものが変わりました。もう一度確認してください。何も変更していません。"
    ),
    # Keys.
    "Keys": "キー操作",
    "next item, item before": "次へ・前へ",
    "approve": "承認",
    "trash": "ゴミ箱",
    "put on hold": "保留",
    "select; what is selected is decided together": "選択（選択したものはまとめて処理）",
    "undo": "元に戻す",
    "open the article": "記事を開く",
    "search": "検索",
    "this list": "この一覧",
    "Keys are on": "キー操作を使う",
    "Close": "閉じる",
    # What was done.
    "approved": "承認",
    "on hold": "保留",
    "spam": "スパム",
    "put back": "元に戻しました",
    "somebody": "だれか",
    "Item {id}: {what}.": "{id}番：{what}。",
    "{n} items: {what}.": "{n}件：{what}。",
    "Item {id}: {by} has decided meanwhile: {what}.": "{id}番：その間に{by}さんが処理しました（{what}）。",
    "Item {id} is gone.": "{id}番はもうありません。",
    "Item {id} was left as it is.": "{id}番はそのままです。",
    "Item {id} stands there already.": "{id}番はすでにその状態です。",
    "Nothing was selected.": "何も選択されていません。",
    "There is nothing to undo.": "元に戻せるものはありません。",
    "The server cannot be reached. Nothing was decided; the items are back.": (
        "サーバーにつながりません。何も処理されず、一覧に戻しました。"
    ),
    "The server cannot be reached. Nothing was undone.": "サーバーにつながりません。元に戻していません。",
    "You are no longer signed in, or this page was open for too long. Reload it and try again.": (
        "ログインが切れたか、ページを長く開きすぎました。読み込み直してもう一度お試しください。"
    ),
    "That did not work. Nothing was decided; the items are back.": (
        "うまくいきませんでした。何も処理されず、一覧に戻しました。"
    ),
    "{n} new since you opened this page.": "このページを開いてから新着{n}件。",
    "That was the last item of this page.": "このページの最後です。",
    # Banners.
    "A spam wave is under way: everything is held until it is over.": (
        "スパムが押し寄せています。収まるまですべて保留します。"
    ),
    "Akismet: {note}": "Akismet：{note}",
    "Redis does not answer: rate limits hold for each process on its own.": (
        "Redisが応答しません。回数制限はプロセスごとに働いています。"
    ),
    "Checks are behind by {time}. Is a worker running?": "チェックが{time}遅れています。ワーカーは動いていますか。",
    "{n} tasks were given up. Whoever runs the site sees them with: flask moderate tasks dead": (
        "{n}件の処理を断念しました。サイトの運営者は flask moderate tasks dead で確認できます。"
    ),
    "key refused": "キーが拒否されました",
    "down": "応答なし",
    "Check MODERATE_AKISMET_KEY and the site's address.": "MODERATE_AKISMET_KEYとサイトのURLを確認してください。",
    "Items wait until it answers; nothing is published meanwhile.": (
        "応答があるまで保留され、その間は何も公開されません。"
    ),
    # The way in.
    "That did not work": "うまくいきませんでした",
    "For moderators": "管理者専用",
    "The queue is for this site's moderators. If you are one, sign in the way you always do on this site and open this page again.": (  # noqa: E501
        "このページはサイトの管理者専用です。管理者の方は、いつもの方法でこのサイトにログインしてから、もう一度このページを開いてください。"
    ),
    "If you have no login here, whoever runs the site can make you a link that signs you in once, within ten minutes, by this command:": (  # noqa: E501
        "ログインをお持ちでない場合は、サイトの運営者が次のコマンドで、10分以内に1回だけ使えるログイン用リンクを作れます："
    ),
    "The queue is for this site's moderators, and this site has no login for them. Whoever runs it makes you a link that signs you in once, within ten minutes, by this command:": (  # noqa: E501
        "このページはサイトの管理者専用ですが、このサイトには管理者用のログインがありません。サイトの運営者が次のコマンドで、10分以内に1回だけ使えるログイン用リンクを作れます："
    ),
    "NAME is yours, as the history will show it.": "NAMEには、履歴に表示されるあなたの名前を指定します。",
    "To the site": "サイトへ",
    "The link that led down the list is broken.": "一覧の続きへのリンクが正しくありません。",
    "The queue does not know what the address of this page asks for.": (
        "このページのアドレスが求めているものは、ここにはありません。"
    ),
    "One of {values}.": "次のいずれか：{values}",
    "At most 200 characters, and none of them NUL.": "200文字以内で、NUL文字は使えません。",
    "The number of an item.": "項目の番号",
    "The author is": "投稿者：",
    "signed in": "ログイン済み",
    "The author has a": "投稿者：",
    "confirmed e-mail": "メール確認済み",
    "Go to the queue": "一覧へ",
    "Sign in": "ログイン",
    "Sign out": "ログアウト",
    "Sign in as a moderator first.": "管理者としてログインしてください。",
    "This link signs you in as {name}, a moderator of this site. It works once.": (
        "このリンクで、このサイトの管理者{name}としてログインします。使えるのは一度だけです。"
    ),
    "Ask whoever runs this site for a new link (flask moderate token link NAME). It works once, within ten minutes.": (
        "サイトの運営者に新しいリンクを頼んでください（flask moderate token link NAME）。10分以内に一度だけ使えます。"
    ),
    "This browser keeps no cookies for this site. Allow them and open the link again: it still works.": (
        "このブラウザーはこのサイトのCookieを保存しません。許可してからリンクをもう一度開いてください。リンクはまだ使えます。"
    ),
    "This link has been used already, or is older than ten minutes.": (
        "このリンクはすでに使われたか、10分を過ぎています。"
    ),
    "The page was open for too long, or this came from elsewhere. Reload it and try again.": (
        "ページを長く開きすぎたか、別の場所から送信されました。読み込み直してもう一度お試しください。"
    ),
    "This request came from another site.": "別のサイトから送信されました。",
    "There is no such decision.": "その処理は見つかりません。",
    # Links in mails.
    "Mark as spam": "スパムにする",
    "Put into the trash": "ゴミ箱に入れる",
    "You decide as {name}. Nothing has happened yet.": "{name}として処理します。まだ何も変わっていません。",
    "Done.": "処理しました。",
    "This link is not valid any more. Links in mails last for seven days, and only whole: look whether yours was cut.": (  # noqa: E501
        "このリンクはもう無効です。メールのリンクは7日間有効です。途中で切れていないかもご確認ください。"
    ),
    "The item of this link has been deleted.": "このリンクの対象は削除されています。",
    "This link has been used already; each works once.": "このリンクはすでに使われています（一度だけ使えます）。",
    "{by} has decided meanwhile.": "その間に{by}さんが処理しました。",
    "Since this mail was written the text was changed. Decide on the new one in the queue, or from the newer mail.": (
        "メールの後に文章が変更されました。一覧か、新しいメールから処理してください。"
    ),
    "It still waits in the queue.": "まだ承認待ちです。",
    "It is approved and public.": "承認され、公開されています。",
    "It is in spam.": "スパムに入っています。",
    "It is in the trash.": "ゴミ箱に入っています。",
    "Mails about what waits": "承認待ちのお知らせメール",
    "Done: you get no more mails.": "メールを止めました。",
    "You get no mails.": "メールは届きません。",
    "Send me mails again": "メールを再開する",
    "Done: you get mails again.": "メールを再開しました。",
    "Get no more mails?": "メールを止めますか。",
    "They tell you when something waits for a moderator.": "承認待ちのものがあるときにお知らせするメールです。",
    "No more mails": "メールを止める",
}
