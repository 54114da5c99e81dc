"""Rules that moderators write: matching and the checks, the store, the endpoints."""
