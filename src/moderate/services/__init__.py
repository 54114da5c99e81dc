"""Adapters to the world outside: time, other sites' pages, spam services, mail."""
