"""Rules that moderators write: matching, the check, the store and the endpoints."""
