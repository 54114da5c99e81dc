"""Japanese: confirming an e-mail address, on article pages, behind links and in the mail."""

from __future__ import annotations

CONFIRMING = {
    # Article pages.
    "If you confirm your e-mail address, your comments need not wait once some of them were approved. You get one mail with a link.": (  # noqa: E501
        "メールアドレスを確認すると、コメントが何件か承認された後は、承認を待たずに表示されます。リンクを記載したメールが1通届きます。"
    ),
    "Confirm my e-mail address": "メールアドレスを確認する",
    "You have confirmed an e-mail address in this browser. Comments that you send with it count as yours.": (
        "このブラウザーで確認済みのメールアドレスがあります。そのアドレスで送るコメントは、あなたのものとして扱われます。"
    ),
    "Forget the address here": "このブラウザーでの確認を取り消す",
    # Behind the buttons.
    "This did not work.": "処理できませんでした。",
    "Look into your mailbox": "メールをご覧ください",
    "A mail is on its way to the address that you gave. Open the link in it in this browser, within 24 hours.": (
        "入力されたアドレスにメールをお送りします。24時間以内に、メール内のリンクをこのブラウザーで開いてください。"
    ),
    "Each address gets one such mail a day, and none if its owner wants none.": (
        "このメールは1つのアドレスにつき1日1通までで、受け取りを断った方には送られません。"
    ),
    "Confirm your e-mail address": "メールアドレスの確認",
    "Press the button if you read the mails of this address and have commented with it.": (
        "このアドレスのメールを読んでいるのがあなたで、このアドレスでコメントした場合は、ボタンを押してください。"
    ),
    "This browser has sent the comment, so it will count as yours.": (
        "コメントはこのブラウザーから送られたので、あなたのものとして扱われます。"
    ),
    "The comment came from another browser, so it will not count as yours, but what you send from here will.": (
        "コメントは別のブラウザーから送られたため、あなたのものとしては扱われません。今後このブラウザーから送るものは、あなたのものとして扱われます。"
    ),
    "A cookie keeps this in mind here for 180 days.": "確認したことは、このブラウザーのCookieに180日間保存されます。",
    "Your e-mail address is confirmed.": "メールアドレスを確認しました。",
    "What you send from this browser with this address counts as yours from now on.": (
        "今後このブラウザーからこのアドレスで送るコメントは、あなたのものとして扱われます。"
    ),
    "This link is not valid any more. It lasts for 24 hours, and only whole: look whether yours was cut.": (
        "このリンクは無効です。有効期間は24時間です。リンクが途中で切れていないかもご確認ください。"
    ),
    "This link has been used already; each works once.": "このリンクは使用済みです。リンクは1回だけ使えます。",
    "This browser has forgotten your address.": "このブラウザーでの確認を取り消しました。",
    "What you have sent stays yours. To be known again, have the address confirmed again.": (
        "これまでに送ったコメントはそのままです。もう一度有効にするには、アドレスを確認し直してください。"
    ),
    # No more of it.
    "Get no more of these mails?": "このメールの受け取りをやめますか。",
    "They go out when somebody comments with your address and asks for one.": (
        "あなたのアドレスでコメントした人が確認を求めると送られます。"
    ),
    "No more of these mails": "このメールを受け取らない",
    "You get no mails from this site.": "このサイトからのメールは届きません。",
    "Done: you get no more mails from this site.": "設定しました。今後このサイトからのメールは届きません。",
    "Allow these mails again": "もう一度受け取れるようにする",
    "Done: you get these mails again when you ask for one.": (
        "設定しました。確認を求めると、再びメールが届くようになります。"
    ),
    # The mail.
    "Confirm your e-mail address on {site}": "{site}でのメールアドレスの確認",
    "Somebody has commented on {site} and gave this e-mail address.": (
        "{site}でのコメントに、このメールアドレスが入力されました。"
    ),
    "Was it you? Then confirm that the address is yours:": (
        "ご本人の場合は、次のリンクからアドレスを確認してください。"
    ),
    "The link leads to a page with one button. It works once, and for 24 hours.": (
        "リンク先のページにボタンが1つあります。リンクは24時間以内に1回だけ使えます。"
    ),
    "Open it in the browser in which you have commented, so that the comment counts as yours.": (
        "コメントしたときと同じブラウザーで開くと、そのコメントはあなたのものとして扱われます。"
    ),
    "Was it not you? Then do nothing, and nothing happens.": "心当たりがない場合は、何もする必要はありません。",
    "To get no more mails of this kind from this site:": "このサイトからの同様のメールを今後受け取らない場合：",
}
