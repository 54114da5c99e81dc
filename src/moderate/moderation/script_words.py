"""The words that ``static/desk.js`` says, in the page's language; it has none of its own."""

from __future__ import annotations

from moderate.http.words import say


def script_words() -> dict[str, str]:
    """Words by the script's names for them. Places are filled in by the script, so they stay as they are."""
    return {
        "approve": say("approved"),
        "hold": say("on hold"),
        "keep": say("the public text stays"),
        "spam": say("spam"),
        "trash": say("trash"),
        "one": say("Item {id}: {what}."),
        "some": say("{n} items: {what}."),
        "clash": say("Item {id}: {by} has decided meanwhile: {what}."),
        "somebody": say("somebody"),
        "gone": say("Item {id} is gone."),
        "left": say("Item {id} was left as it is."),
        "undo": say("Undo"),
        "undone": say("put back"),
        "nothingToUndo": say("There is nothing to undo."),
        "unchanged": say("No changed text of item {id} is waiting."),
        "already": say("Item {id} stands there already."),
        "chosen": say("{n} selected"),
        "unreachable": say("The server cannot be reached. Nothing was decided; the items are back."),
        "notUndone": say("The server cannot be reached. Nothing was undone."),
        "signedOut": say("You are no longer signed in, or this page was open for too long. Reload it and try again."),
        "refused": say("That did not work. Nothing was decided; the items are back."),
        "new": say("{n} new since you opened this page."),
        "last": say("That was the last item of this page."),
    }
