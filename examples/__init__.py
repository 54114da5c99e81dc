"""Sites that show how moderate is built in; each uses its public names only."""
