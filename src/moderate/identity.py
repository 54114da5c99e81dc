"""Verified identities as they are stored: whom the host's login vouches for, and who has confirmed an e-mail address.

Both stand in one column, so each must be unable to pose as the other. Ids of the host's stay as they are,
but for those that begin like one of ours.
"""

from __future__ import annotations

#: What the id of a confirmed address begins with; a keyed hash of the address follows.
CONFIRMED = "email:"

#: What an id of the host's gets in front of it that would otherwise look like one of ours.
LOGIN = "login:"


def id_of_login(given: str | None) -> str | None:
    """Return the host's id as it is stored. Different ids stay different."""
    return f"{LOGIN}{given}" if given is not None and given.startswith((CONFIRMED, LOGIN)) else given


def is_confirmed(author_id: str) -> bool:
    """Whether the identity is a confirmed e-mail address, and not a login of the host's."""
    return author_id.startswith(CONFIRMED)
