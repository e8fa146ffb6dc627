"""SCIM over HTTP: routes, parsing, answers."""
