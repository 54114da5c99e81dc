"""Mail to moderators, webhooks, and the mail that confirms a commenter's address."""
