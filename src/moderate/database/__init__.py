"""Connections, schema, migrations, backup and checks of the database."""
