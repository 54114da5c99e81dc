"""Confirmation of a commenter's e-mail address."""
