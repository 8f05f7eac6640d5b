"""Calls an official Svix SDK on behalf of a test: this runs in a process of its own, where one version can be imported.

Every line of standard input is a call in JSON, every line of standard output what came of it. A call names a method,
such as ``endpoint.create``; dictionaries among its arguments become the models that the method is annotated with.
"""

import dataclasses
import inspect
import json
import sys
import typing
from datetime import datetime

import svix
from pydantic import BaseModel
from svix.api import Svix, SvixOptions
from svix.api.errors.http_error import HttpError
from svix.api.errors.http_validation_error import HTTPValidationError


def main():
    """Serve calls to the server at the address given, until standard input ends."""
    url = sys.argv[1]
    clients = {}
    print(json.dumps({"version": getattr(svix, "__version__", "")}), flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        token = call["token"]
        if token not in clients:
            clients[token] = Svix(token, SvixOptions(server_url=url, timeout=60))
        print(json.dumps(outcome(clients[token], call)), flush=True)


def outcome(client, call):
    """Make one call; return its value, or the error that the SDK raised."""
    try:
        if call["method"] == "verify":
            return {"value": verified(*call["arguments"])}
        return {"value": plain(called(client, call))}
    except HttpError as error:
        return {"status": error.status_code, "code": error.code, "detail": error.detail}
    except HTTPValidationError as error:
        faults = [{"loc": fault.loc, "msg": fault.msg, "type": fault.type} for fault in error.detail]
        return {"status": error.status_code, "detail": faults}
    except Exception as error:  # noqa: BLE001 - what else the SDK stumbles over is what a test wants to know
        return {"raised": f"{type(error).__name__}: {error}"}


def called(client, call):
    """Call the method with what its annotations ask for."""
    target = client
    for name in call["method"].split("."):
        target = getattr(target, name)
    parameters = list(inspect.signature(target).parameters)
    hints = typing.get_type_hints(target)
    arguments = [
        hints[name].model_validate(given) if isinstance(given, dict) else given
        for name, given in zip(parameters, call["arguments"], strict=False)
    ]
    if call["options"]:
        arguments.append(options(hints["options"], call["options"]))
    return target(*arguments)


def options(kind, given):
    """Return the options of a method; times are written in ISO 8601."""
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}
    unknown = given.keys() - known
    if unknown:
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(
        **{
            name: datetime.fromisoformat(value) if datetime in typing.get_args(hints[name]) else value
            for name, value in given.items()
        }
    )


def verified(secret, body, headers):
    """Verify a delivery as a receiver does."""
    svix.Webhook(secret).verify(body, headers)
    return True


def plain(value):
    """Return what a method returned as JSON has it."""
    return value.model_dump(by_alias=True, mode="json") if isinstance(value, BaseModel) else value


main()
