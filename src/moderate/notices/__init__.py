"""Notifications about items: mail to moderators and webhooks."""
