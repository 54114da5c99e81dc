"""Moderators' decisions, queue page, JSON endpoints and sign-in."""
