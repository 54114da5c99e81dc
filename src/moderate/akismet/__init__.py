"""Akismet: the client, the check, feedback on decisions and the state of the account."""
