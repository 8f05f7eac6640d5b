"""What the fields and parameters of the API mean, with examples and with the rules that their types do not tell.

A word is looked up by ``SHAPE.FIELD``, then by the shape without its ending (``Endpoint.url`` is that of EndpointOut
and of EndpointDraft), then by the field alone. Parameters of queries have a question mark in front. The rules are those
of ``ringback.drafts``, which has the code that keeps them.
"""

from __future__ import annotations

import re

from msgspec import UNSET

from ringback import drafts, ids, message_request, operational, policy, replays, source_drafts
from ringback.api_keys import MAX_NAME
from ringback.archive import MAX_EXPUNGED
from ringback.former_addresses import MAX_GRACE
from ringback.server.option_words import OPTIONS
from ringback.server.paging import MAX_LIMIT
from ringback.server.poller_words import POLLERS
from ringback.server.words import LATER, NAME, THEN, Word
from ringback.server.words import identifier as _id
from ringback.server.words import moment as _time
from ringback.server.words import names as _names
from ringback.server.words import plain as _word
from ringback.server.words import text as _text
from ringback.server.words import uid as _uid

_ENDING = re.compile(r"(Draft|In|Out|Patch|Request|Update)$")
_GENERIC = re.compile(r"_.*_$")
# Shapes that are others' in all but a few words.
_AS = {
    "Forward": "Endpoint",
    "Operational": "Endpoint",
    "EndpointMessage": "Message",
    "MessageEndpoint": "Endpoint",
    "EventTypeFromOpenApi": "EventType",
    "HeadersPatch": "Headers",
    "ApplicationReplay": "EndpointReplay",
    "PollerCreated": "Poller",
    "PollingEndpointMessage": "Message",
}


def word(shape: str, field: str) -> Word | None:
    """Return the word for a field of a shape, None where there is none."""
    return WORDS.get(key(shape, field))


def key(shape: str, field: str) -> str:
    """Return under what key the word for a field of a shape is."""
    shape = _GENERIC.sub("", shape)
    family = _ENDING.sub("", shape)
    keys = (f"{owner}.{field}" for owner in (shape, family, _AS.get(family), _AS.get(shape)))
    return next((name for name in keys if name in WORDS), field)


_METADATA_BYTES = f"{drafts.MAX_METADATA_BYTES:,}"

COMMON = {
    "createdAt": _time("When it was created."),
    "updatedAt": _time("When it was last changed."),
    "metadata": _word(f"Yours to use; up to {_METADATA_BYTES} bytes as JSON.", {"plan": "gold"}),
    "throttleRate": _word(
        "At most so many messages a second; null for no bound.",
        100,
        minimum=1,
        maximum=drafts.MAX_THROTTLE_RATE,
    ),
    "rateLimit": _word("`throttleRate`, by the name that Svix clients before 2.0 look for.", None),
    "since": _time("The beginning."),
    "until": _time("The end; null for now.", THEN),
    "Refusal.code": _word("What is wrong, for programs. Codes do not change.", "not_found"),
    "Refusal.detail": _word("What is wrong, for people.", "there is no application acme"),
    "Faults.detail": _word("The fields at fault."),
    "FieldError.loc": _word(
        "Where it is: a path that begins with `body`, `query`, `header` or `path`.", ["body", "name"]
    ),
    "FieldError.msg": _word("What is wrong with it.", "has 1 to 256 characters, this one 0"),
    "FieldError.type": _word("What kind of fault it is.", "value_error"),
    "Listing.data": _word("The rows."),
    "Listing.iterator": _word(
        "Pass it as `iterator` for the rows that follow; null where the page is empty."
    ),
    "Listing.prevIterator": _word("Pass it as `iterator` for the rows before; null where the page is empty."),
    "Listing.done": _word("Whether nothing lies further in the direction that was asked for."),
    "DestinationListing.data": _word("The rows."),
    "DestinationListing.iterator": _word(
        "Pass it as `iterator` for the rows that follow; null where the page is empty."
    ),
    "DestinationListing.prevIterator": _word(
        "Pass it as `iterator` for the rows before; null where the page is empty."
    ),
    "DestinationListing.done": _word("Whether nothing lies further in the direction that was asked for."),
    "DestinationListing.skipped": _word("The endpoints that the message was not for."),
    "Rows.data": _word("The rows."),
    "Health.status": _word("Always `ok`."),
}
APPLICATIONS = {
    "Application.id": _id("Its id.", ids.APPLICATION),
    "Application.uid": _uid("Your own id for it.", "acme", ids.APPLICATION),
    "Application.throttleRate": _word(
        "At most so many messages a second over all of its endpoints together; null for no bound.",
        100,
        minimum=1,
        maximum=drafts.MAX_THROTTLE_RATE,
    ),
    "Application.name": _text("What people call it.", "Acme", 1, drafts.MAX_NAME),
}
ENDPOINTS = {
    "Endpoint.id": _id("Its id.", ids.ENDPOINT),
    "Endpoint.uid": _uid("Your own id for it.", "orders", ids.ENDPOINT),
    "Endpoint.url": _word(
        "Where messages go: `http` or `https`.", "https://example.com/hooks", pattern="^https?://."
    ),
    "Endpoint.description": _text("For people.", "The order service", 0, drafts.MAX_DESCRIPTION),
    "Endpoint.disabled": _word("Whether it gets nothing, and nothing is kept for it.", False),
    "Endpoint.eventTypes": _names(
        "Only messages of these event types go there, each of which must exist; null is all.",
        ["invoice.paid"],
        drafts.MAX_ENDPOINT_EVENT_TYPES,
    ),
    "Forward.eventTypes": _names(
        "Only what has such an event type goes there; `*` stands for any characters, null is all.",
        ["payment.*"],
        drafts.MAX_ENDPOINT_EVENT_TYPES,
        "^.{1,256}$",
    ),
    "Forward.channels": _word("Leave it out: what a source receives is in no channel.", None, enum=[None]),
    "Operational.eventTypes": _word(
        "Only operational webhooks of these types go there; null is all.",
        ["endpoint.disabled", "message.attempt.exhausted"],
        minItems=1,
        maxItems=drafts.MAX_ENDPOINT_EVENT_TYPES,
        uniqueItems=True,
        items={"type": "string", "enum": sorted(operational.EVENT_TYPES)},
    ),
    "Operational.channels": _word("Leave it out: operational webhooks are in no channel.", None, enum=[None]),
    "Endpoint.channels": _names(
        "Only messages that share one of these channels go there; null is all.",
        ["project-1"],
        drafts.MAX_ENDPOINT_CHANNELS,
    ),
    "Endpoint.filterTypes": _word("`eventTypes`, by the name that Svix clients before 2.0 look for.", None),
    "Endpoint.version": _word("1; Svix clients before 2.0 look for it.", 1),
    "Endpoint.headers": _word(
        "Sent with every request. Names that Ringback or HTTP needs are refused.",
        {"x-api-key": "s3cret"},
        maxProperties=drafts.MAX_HEADERS,
    ),
    "Endpoint.secret": _word(
        "What signs: `whsec_` (24 to 75 bytes in base64) or `whsk_` (an Ed25519 key pair). Null has one made."
    ),
    "Endpoint.retrySchedule": _word(
        "Seconds between attempts; null is the server's schedule, an empty list a single attempt.",
        [5, 300, 3600],
        maxItems=policy.MAX_DELAYS,
        items={"type": "number", "minimum": 0, "maximum": policy.MAX_DELAY / 1000},
    ),
    "Endpoint.headerFamily": _word(
        "The names of the signature's headers: `webhook-id` and so on, or `svix-id`.", "webhook"
    ),
    "Endpoint.ordered": _word(
        "Whether its messages go there one at a time, in the order of acceptance: one that fails holds up those behind"
        " it until it succeeds or is given up.",
        False,
    ),
    "EndpointOut.state": _word(
        "`enabled`, `paused` (deliveries wait) or `disabled` (nothing is kept).", "enabled"
    ),
    "EndpointOut.disabledReason": _word(
        "`manual`, `gone` (it answered 410), `failing` (for too long), or null."
    ),
    "EndpointOut.failingSince": _time("The first failure since the last success, or null."),
    "Secret.key": _word(
        "What a receiver verifies with: the `whsec_` secret, or of an Ed25519 pair the `whpk_` public key.",
        "whsec_cmluZ2JhY2sgaXMgYSB3ZWJob29rIHN5c3RlbQ==",
    ),
    "SecretRotation.key": _word("The new secret, as an endpoint's `secret`; null has one made."),
    "SecretRotation.gracePeriodSeconds": _word(
        "How long the secret before keeps signing as well; null is a day.",
        drafts.DEFAULT_GRACE_SECONDS,
        minimum=0,
        maximum=drafts.MAX_GRACE_SECONDS,
    ),
    "Headers.headers": _word(
        "The headers, by their names.", {"x-tenant": "acme"}, maxProperties=drafts.MAX_HEADERS
    ),
    "HeadersOut.headers": _word(
        "The headers and their values, without the sensitive ones.", {"x-tenant": "acme"}
    ),
    "HeadersPatch.headers": _word("Headers to set; null removes one.", {"x-tenant": "acme", "x-old": None}),
    "HeadersPatch.deleteHeaders": _word("Names of more headers to remove.", ["x-older"]),
    "HeadersOut.sensitive": _word("The names of those whose values are not shown.", ["authorization"]),
    "Recover.id": _id("The id of the task.", ids.TASK),
    "Recover.status": _word("`running` or `finished`.", "running"),
    "Recover.task": _word("What kind of task it is.", "endpoint.recover"),
    "EndpointStats.success": _word("Attempts that succeeded.", 120),
    "EndpointStats.pending": _word("Deliveries that have not been tried yet.", 3),
    "EndpointStats.fail": _word("Attempts that failed.", 4),
    "EndpointStats.sending": _word("Deliveries that are being tried, or will be again.", 1),
    "CancelOut.canceled": _word("How many deliveries were cancelled.", 1),
    "EndpointStats.canceled": _word("Deliveries that were cancelled.", 0),
}
TASKS = {
    "BackgroundTask.id": _id("Its id.", ids.TASK),
    "BackgroundTask.status": _word("`running`, also while it is paused, `finished` or `failed`.", "running"),
    "failure": _word("Why it has failed, or null."),
    "task": _word("What it does.", "endpoint.bulk-replay"),
    "BackgroundTask.data": _word("How far it has come."),
    "BackgroundTask.updatedAt": _time("When it last made progress."),
    "EndpointAttemptStats.success": _word("Attempts that succeeded.", 120),
    "EndpointAttemptStats.fail": _word("Attempts that failed.", 4),
    "EndpointAttemptStats.canceled": _word("Attempts that ended in wanting nothing more of the message.", 0),
    "steps": _word("Those steps of the window that had attempts; null where no `step` was asked for."),
    "AttemptSpell.since": _time("When the step begins."),
    "AttemptSpell.success": _word("Attempts that succeeded.", 12),
    "AttemptSpell.fail": _word("Attempts that failed.", 1),
    "AttemptSpell.canceled": _word("Attempts that ended in wanting nothing more of the message.", 0),
    "MessagePrecheck.eventType": _word("What would have happened.", "invoice.paid", pattern=NAME),
    "MessagePrecheck.channels": _names(
        "The channels it would be in; null is none.", ["project-1"], drafts.MAX_MESSAGE_CHANNELS
    ),
    "active": _word("Whether any endpoint would be sent such a message.", True),
    "BulkExpunge.ids": _word("The messages, by id or event id.", ["invoice-42"], maxItems=MAX_EXPUNGED),
    "results": _word("What became of each: `expunged` or `not-found`.", {"invoice-42": "expunged"}),
    "messagesPurged": _word("How many payloads were forgotten, where that is what it does.", UNSET),
    "messagesSent": _word("How many messages it has sent.", 120),
    "messagesWaiting": _word("How many it has made due that wait for their first attempt.", 3),
    "TaskData.state": _word("`running`, `paused`, `finished`, `cancelled` or `failed`.", "running"),
    "progress": _word("Which part of its window of time it has looked through, from 0 to 1.", 0.25),
    "TaskData.appId": _word(
        "The id of the application, or of the source, that it is about.", "app_2yZ1oq0NoLt7AbTqV6CV6FvyOfl"
    ),
    "endpoints": _word("How many endpoints it is about.", 1),
    "TaskData.limit": _word("How many messages to send at most; null for no bound.", None),
    "TaskData.rate": _word("How many messages it makes due per second, or null.", 20),
    "rate": _word(
        "How many messages per second, at all endpoints together; null: as fast as they are taken.",
        20,
        minimum=1,
        maximum=replays.MAX_RATE,
    ),
    "limit": _word("How many messages at most.", None, minimum=1, maximum=replays.MAX_LIMIT),
    "endpointIds": _word(
        "At these endpoints, by id or uid; null is all that are enabled.",
        ["orders"],
        minItems=1,
        maxItems=replays.MAX_NAMES,
    ),
    "EndpointReplay.missing": _word(
        "What was never attempted instead, and the endpoint wants as it is now.", False
    ),
    "EndpointReplay.tag": _word("What has this tag only.", None),
    "channel": _word("What is in this channel only.", None),
    "EndpointReplay.status": _word(
        "What stands so only: 0 success, 2 fail, 3 to be tried again, 4 canceled.", 2
    ),
    "statuses": _word("The same, for several.", [2, 4], minItems=1, maxItems=replays.MAX_NAMES),
    "statusCodeClass": _word("What was last answered so only; 0 is no answer.", 500),
    "outcomes": _word(
        "What the last attempt came to only.", ["timeout"], minItems=1, maxItems=replays.MAX_NAMES
    ),
    "EndpointReplay.eventTypes": _word(
        "Only messages of these types; `*` stands for any characters.",
        ["invoice.*"],
        minItems=1,
        maxItems=replays.MAX_NAMES,
    ),
    "EndpointReplay.preview": _word("Whether to tell only what would be sent.", False),
    "ReplayPreview.messages": _word("How many messages.", 120),
    "oldest": _time("When the oldest of them was accepted, or null."),
    "newest": _time("When the newest of them was accepted, or null.", THEN),
    "estimatedMinutes": _word(
        "How long that takes at the lowest of the rates that there are; null where there is none.",
        0.1,
    ),
    "complete": _word("Whether all were counted; of a million messages no more are looked at.", True),
}
EVENT_TYPES = {
    "EventType.name": _word(
        "What happened, in dotted words.", "invoice.paid", pattern=rf"^(?!\.{{1,2}}$){NAME[1:]}"
    ),
    "EventType.description": _text("For people.", "An invoice was paid", 0, drafts.MAX_DESCRIPTION),
    "archived": _word("Whether it is kept only for what was sent: no endpoint can choose it.", False),
    "deprecated": _word("Whether it should not be used any more.", False),
    "schemas": _word(
        "JSON Schemas of its payload, by version; null for none.",
        {"1": {"type": "object"}},
        additionalProperties={"type": "object"},
    ),
    "featureFlag": _word("A flag of yours that guards it, or null.", "beta", pattern=NAME),
    "EventType.featureFlags": _word(
        "Flags of yours that guard it; they take the place of `featureFlag`. Null is none.",
        ["beta"],
        items={"type": "string", "pattern": NAME},
    ),
    "spec": _word(
        "An OpenAPI document, as an object; null where `specRaw` has it.",
        {
            "openapi": "3.1.0",
            "info": {"title": "Acme", "version": "1"},
            "webhooks": {"invoice.paid": {"post": {"description": "An invoice was paid"}}},
        },
    ),
    "specRaw": _word("The same as a text, JSON or YAML; null where `spec` has it.", None),
    "dryRun": _word("Whether to change nothing, and only tell what would be.", True),
    "replaceAll": _word("Whether to archive all event types that are not in the document.", False),
    "Import.data": _word("What was done."),
    "ImportData.modified": _word("The names of all that were changed: none in a dry run.", ["invoice.paid"]),
    "to_modify": _word("In a dry run, the event types that would be created or updated; else null.", None),
    "created": _word("The names of new ones, made or to be made.", ["invoice.paid"]),
    "updated": _word("The names of changed ones.", []),
    "unchanged": _word("The names of those that are like that already.", []),
    "ImportData.archived": _word("The names of those that are not in the document, with `replaceAll`.", []),
    "groupName": _word("A name to sort event types by, or null.", "billing", pattern=NAME),
}
MESSAGES = {
    "Message.id": _id("Its id, which the receiver sees as well.", ids.MESSAGE),
    "eventId": _uid(
        "Your own id for the event; a second message with it is a conflict.", "invoice-42", ids.MESSAGE
    ),
    "eventType": _word("What happened; it need not be a known event type.", "invoice.paid", pattern=NAME),
    "Message.channels": _names(
        "Endpoints that listen to channels get it only if they share one of these; null is none.",
        ["project-1"],
        drafts.MAX_MESSAGE_CHANNELS,
    ),
    "payload": _word(
        "What is delivered, byte for byte.", {"invoice": "inv_42", "amount": 1200}, type="object"
    ),
    "MessageOut.payload": _word(
        'The payload; `{}` if content is not asked for, `{"expired": true}` once it has been removed.',
        {"invoice": "inv_42", "amount": 1200},
        type="object",
    ),
    "timestamp": _time("When it came."),
    "exampleIndex": _word(
        "Which of the examples in the event type's schema, from 0; null is the first.", 0, minimum=0
    ),
    "Example.payload": _word("A payload of your own instead; null takes one from the event type's schema."),
    "Message.application": _word("Created where there is none that the address names."),
    "transformationsParams": _word("How the payload is to be changed."),
    "payloadRetentionPeriod": _word(
        "After how many days the payload is forgotten; null for when the message is.",
        30,
        minimum=message_request.MIN_RETENTION_DAYS,
        maximum=message_request.MAX_RETENTION_DAYS,
    ),
    "payloadRetentionHours": _word(
        "After how many hours the payload is forgotten; takes the place of days.",
        None,
        minimum=1,
        maximum=message_request.MAX_RETENTION_HOURS,
    ),
    "Message.tags": _word(
        "Names to find the message by, or null.",
        ["project-1"],
        maxItems=message_request.MAX_TAGS,
        uniqueItems=True,
    ),
    "deliverAt": _word(
        "Nothing is delivered before this time, at most 90 days ahead; null is at once.",
        None,
        format="date-time",
    ),
    "MessageOut.deliverAt": _time("Nothing is delivered before this time; null where none was given.", THEN),
    "rawPayload": _word("What takes the payload's place, as a text of JSON.", '{"invoice":"inv_42"}'),
    "BatchIn.messages": _word("What to publish, all checked before any is stored.", minItems=1, maxItems=100),
    "status": _word(
        "0 success, 1 pending (not tried yet), 2 fail, 3 sending (or to be tried again), 4 canceled.", 0
    ),
    "statusText": _word("The same in a word.", "success"),
    "nextAttempt": _time("When the next attempt is due, or null."),
    "state": _word("`waiting`, `leased` (being sent), `succeeded`, `failed` or `cancelled`.", "succeeded"),
    "reason": _word("Why it is in that state, or null."),
    "attempts": _word("How many attempts were made, since the last resend if there was one.", 1),
    "endpointId": _id("The id of the endpoint.", ids.ENDPOINT),
    "Skipped.reason": _word("Why it was not sent there.", "channel"),
    "MessageAttempt.id": _id("Its id.", ids.ATTEMPT),
    "MessageAttempt.msg": _word("The message, if it was asked for."),
    "msgId": _id("The id of the message.", ids.MESSAGE),
    "MessageAttempt.url": _word("Where it was sent.", "https://example.com/hooks"),
    "MessageAttempt.status": _word("0 success, 2 fail.", 0),
    "response": _word("The start of the receiver's answer, as text.", "thanks"),
    "responseStatusCode": _word("The HTTP status, 0 without an answer.", 200),
    "responseDurationMs": _word("How long the attempt took, in milliseconds.", 41),
    "MessageAttempt.timestamp": _time("When it began."),
    "triggerType": _word("0 scheduled, 1 manual (a resend).", 0),
    "outcome": _word("What came of it, such as `success`, `refused` or `timeout`.", "success"),
    "MessageAttempt.detail": _word(
        "A refinement of `outcome` for programs, such as the phase of a timeout.", ""
    ),
    "number": _word("Which attempt it was, from 1.", 1),
    "phases": _word("How many microseconds each phase took; 0 where it did not happen."),
    "Phases.dns": _word("Resolving the name.", 900),
    "Phases.connect": _word("Connecting.", 8000),
    "Phases.tls": _word("The TLS handshake.", 12000),
    "Phases.write": _word("Sending the request.", 100),
    "Phases.wait": _word("Until the answer began.", 20000),
    "Phases.read": _word("Reading the answer.", 150),
}
SOURCES = {
    "Source.id": _id("Its id.", ids.SOURCE),
    "Source.uid": _uid("Your own id for it.", "payments", ids.SOURCE),
    "Source.name": _text("What people call it.", "Payments", 1, drafts.MAX_NAME),
    "Source.type": _word("The provider, by Ringback's name for it or by Svix's.", "xendit"),
    "Source.config": _word("How it verifies and answers."),
    "ingestUrl": _word(
        "The address to give to the provider.", "https://hooks.example.com/in/u3Zw2mCk9fQxT1aB"
    ),
    "provider": _word("The provider that `type` stands for.", "xendit"),
    "Config.secret": _word(
        "The secret that it verifies with.", "the callback token", maxLength=source_drafts.MAX_SECRET
    ),
    "Config.secrets": _word("More secrets: each is accepted.", UNSET, maxItems=source_drafts.MAX_SECRETS),
    "Config.verifyToken": _word("For `meta` and `whatsapp`: the token of the subscription."),
    "Config.url": _word(
        "The address as the provider has it; null: the one that was called.", pattern="^https?://."
    ),
    "SourceConfig.url": _word("The address as the provider has it, or null."),
    "options": _word(
        "Parameters of the provider's scheme.",
        {"header": "x-signature"},
        maxProperties=source_drafts.MAX_OPTIONS,
    ),
    "ack": _word("What to answer in place of the provider's usual acknowledgement; null for that."),
    "secretCount": _word("How many secrets are accepted. They are never shown.", 1),
    "Ack.status": _word("A status of success.", 200, minimum=200, maximum=299),
    "Ack.body": _word("The body.", "ok", maxLength=source_drafts.MAX_ACK_BODY),
    "Ack.contentType": _word(
        "Its media type, or null.", "text/plain", maxLength=source_drafts.MAX_CONTENT_TYPE
    ),
    "Received.id": _id("Its id.", ids.MESSAGE),
    "Received.eventType": _word("What happened, in the provider's words.", "payment.succeeded"),
    "Received.payload": _word("The body as it came where it is JSON, else null.", {"id": "pay_1"}),
    "payloadBase64": _word("The body in base64 where it is not JSON, else null."),
    "Received.headers": _word(
        "The request's headers, but for those that hold secrets.", {"user-agent": "Sender/1"}
    ),
    "Received.eventId": _word("The provider's id for the event, or null.", "evt_1"),
    "dedupeKey": _word("What all deliveries of one event share, or null."),
    "businessKey": _word("The thing and the state that it reached, whoever tells it, or null."),
    "sentAt": _time("When it was sent, where the signature says so."),
    "secretIndex": _word("Which of the source's secrets fitted, from 0.", 0),
    "isTest": _word("Whether the provider was trying the address out.", False),
    "understood": _word("Whether it is known what it is about.", True),
    "polled": _word("Whether it was found by asking the provider.", False),
    "held": _word("Why nothing handles it, or null."),
    "Received.skipped": _word("The ids of endpoints that it is not for, with why."),
    "Refusal.id": _id("Its id.", ids.REFUSAL),
    "Refusal.reason": _word("Why, for programs.", "token_mismatch"),
    "RefusalOut.detail": _word("Why, for people.", "the header holds another token"),
    "hints": _word("What could be done about it.", ["look the token up in the provider's settings"]),
    "method": _word("The request's method.", "POST"),
    "headerNames": _word("The names of its headers.", ["content-type"]),
    "size": _word("The length of its body in bytes.", 512),
    "more": _word("How many refusals before it were counted, but not kept.", 0),
    "DeadLetter.message": _word("What could not be delivered."),
    "rematch": _word(
        "Whether to deliver to the endpoints that want it now, rather than those that it was for."
    ),
    "doneToo": _word("Whether to deliver again also where it succeeded."),
    "preview": _word("Whether to count only.", True),
    "BulkReplayIn.eventTypes": _word("Only what has these event types; null is all.", minItems=1),
    "BulkReplayIn.iterator": _word("The iterator of an earlier answer, to go on."),
    "received": _word("What was received in the window; counting stops at 10,000.", 120),
    "refused": _word("Requests that were refused in the window, as far as they are kept.", 2),
    "waiting": _word("Deliveries that are not at rest now; at each endpoint counting stops at 10,000.", 3),
    "retrying": _word("Those of them that have failed before.", 1),
    "dead": _word("Deliveries that were given up, to 10,000.", 0),
    "quarantined": _word("Messages that are not understood, to 10,000.", 0),
    "unhandled": _word("Messages that nothing handles, to 10,000.", 0),
    "endpoints": _word("The endpoints where something waits."),
    "RotateTokenIn.gracePeriodSeconds": _word(
        "For how long the address it has stays good; null for 48 hours, 0 for not at all.",
        172_800,
        minimum=0,
        maximum=MAX_GRACE // 1000,
    ),
    "Replay.messages": _word("How many messages this is about.", 12),
    "deliveries": _word("How many deliveries were made due; 0 in a preview.", 12),
    "pruned": _word("How many messages are without their payload.", 0),
    "Replay.iterator": _word("Pass it as `iterator` to go on; null where nothing was found."),
    "Replay.done": _word("Whether there are no more messages."),
}
NODES = {
    "Node.id": _word("Its id, new with each start.", "node_1"),
    "Node.name": _word("The name of its machine.", "web-1"),
    "roles": _word("What it does.", ["api", "worker"]),
    "version": _word("Its version of Ringback.", "0.1.0"),
    "Node.state": _word("`alive`, `silent` (no sign of life for a while) or `stopped`.", "alive"),
    "startedAt": _time("When it started."),
    "seenAt": _time("Its last sign of life."),
}
AUTHENTICATION = {
    "ApiToken.id": _id("Its id.", ids.TOKEN),
    "ApiTokenCensored.id": _id("Its id.", ids.TOKEN),
    "ApiToken.name": _word("Who it is for.", "billing", minLength=1, maxLength=MAX_NAME),
    "ApiTokenCensored.name": _word("Who it is for.", "billing"),
    "scopes": _word("What it may do.", ["publish"], minItems=1),
    "appId": _word("The id or uid of the only application it may see; null for all.", None),
    "ApiToken.token": _word(
        "The token. It cannot be told again.", "ringback_cGxlYXNlLCBkbyBub3QgdXNlIHRoaXMgb25l"
    ),
    "expiresAt": _time("When it stops working; null for never.", LATER),
    "lastUsedAt": _time("When it was last used, to within a minute or two; null for never."),
    "AppPortalAccess.application": _word(
        "Created first, where there is none of its uid, which is that of the address; null for nothing.", None
    ),
    "featureFlags": _word(
        "The feature flags that the token has.",
        ["beta"],
    ),
    "capabilities": _word(
        "What the token may do, `ViewBase` always included; null for everything.", ["ViewBase"], minItems=1
    ),
    "readOnly": _word("Whether it may only look, whatever its capabilities.", False),
    "AppPortalAccess.expiry": _word("After how many seconds it stops working; null for a week.", 3600),
    "sessionId": _word("A name by which it can be ended together with others.", "session-1"),
    "AppPortalAccess.url": _word(
        "A link to the portal, good for one use until the token ends.",
        "https://hooks.example.com/portal/enter?link=cGxlYXNlLCBkbyBub3QgdXNlIHRoaXMgb25l",
    ),
    "AppPortalAccess.token": _word("The token.", "ringback_cGxlYXNlLCBkbyBub3QgdXNlIHRoaXMgb25l"),
    "ApplicationTokenExpire.expiry": _word("In how many seconds; null for at once.", 60),
    "sessionIds": _word("Only those of these sessions; null or none for all.", ["session-1"]),
}
PARAMETERS = {
    "?limit": _word(f"How many rows, at most {MAX_LIMIT}.", 10),
    "?iterator": _word("Where to go on: the `iterator` or `prevIterator` of an earlier page."),
    "?order": _word("Which way round."),
    "?before": _time("What happened before that time only.", THEN),
    "?after": _time("What happened after that time only."),
    "?channel": _word("What is in this channel only.", "project-1"),
    "?with_msg": _word("Whether to show the messages, too."),
    "?tag": _word("What has this tag only.", "project-1"),
    "?event_types": _word("What has these event types only.", ["invoice.paid"]),
    "?with_content": _word("Whether to show contents: payloads, answers, schemas."),
    "?validate": _word("Whether to refuse payloads that do not obey the newest schema of their event type."),
    "?endpoint_id": _word("What is about this endpoint only: its id or your uid."),
    "?expanded_statuses": _word("Whether to tell cancelled deliveries (4) from failed ones (2)."),
    "?task": _word("What does this only."),
    "?app_id": _word("What is about this application or source only: its id or your uid."),
    "?status": _word("What has this status only."),
    "?status_code_class": _word("Attempts with such an answer only; 0 is none."),
    "?exclude_apps_with_no_endpoints": _word("Whether to leave out applications without any endpoint."),
    "?exclude_apps_with_disabled_endpoints": _word(
        "Whether to leave out applications all of whose endpoints are disabled."
    ),
    "?exclude_apps_with_svix_play_endpoints": _word(
        "Taken from clients of Svix; there are no such endpoints here, so it does nothing."
    ),
    "?get_if_exists": _word(
        "Whether one that has the uid already is answered, rather than being a conflict."
    ),
    "?include_archived": _word("Whether to list archived ones as well."),
    "?expunge": _word("Whether to delete it for good."),
    "?reason": _word("What is held for this reason only."),
    "?step": _word("To count each so many seconds of the window by themselves; at most 1,000 times.", 3600),
    "?since": _time("The beginning of the window; without it, 28 days before the end."),
    "?until": _time("The end of the window; without it, now.", THEN),
}
WORDS = (
    COMMON
    | APPLICATIONS
    | ENDPOINTS
    | TASKS
    | OPTIONS
    | POLLERS
    | EVENT_TYPES
    | MESSAGES
    | SOURCES
    | NODES
    | AUTHENTICATION
    | PARAMETERS
)
