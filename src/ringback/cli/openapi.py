"""``ringback openapi``: the API as an OpenAPI document."""

from __future__ import annotations

import click

from ringback.cli.output import print_json
from ringback.server.openapi import document
from ringback.server.routes import routes


@click.command("openapi", short_help="Print the OpenAPI document of the API.")
def command() -> None:
    """Print the OpenAPI 3.1 document of the HTTP API as JSON, for generators of clients and other tools.

    A server shows the same at /api/v1/openapi.json, and as a page at /docs.
    """
    print_json(document(routes()))
