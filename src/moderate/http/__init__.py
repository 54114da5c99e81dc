"""HTTP: the blueprint, routing, OpenAPI, errors, signing, templates and static files."""
