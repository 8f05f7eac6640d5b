"""What the fields mean that say how endpoints are sent to; see ``vocabulary``."""

from __future__ import annotations

from ringback import client_certificate, drafts, option_drafts, transforming
from ringback.server.words import LATER
from ringback.server.words import moment as _time
from ringback.server.words import names as _names
from ringback.server.words import plain as _word
from ringback.server.words import text as _text

OPTIONS = {
    "Auth.kind": _word("`basic` (a name and a password) or `bearer` (a token).", "basic"),
    "AuthOut.kind": _word("`basic`, `bearer`, or `oauth2`: see `/oauth`.", "basic"),
    "Auth.username": _word(
        "For `basic`: the name, without a colon.",
        "acme",
        maxLength=option_drafts.MAX_SECRET,
        pattern="^[^:]*$",
    ),
    "AuthOut.username": _word("The name of `basic`; null of others.", "acme"),
    "Auth.password": _word("For `basic`: the password.", "s3cret", maxLength=option_drafts.MAX_SECRET),
    "Auth.token": _word(
        "For `bearer`: the token.",
        None,
        pattern=r"^[!-~]+$",
        minLength=1,
        maxLength=option_drafts.MAX_TOKEN,
    ),
    "OAuth.tokenUrl": _word(
        "Where tokens are asked for.", "https://auth.example.com/oauth/token", pattern="^https?://."
    ),
    "OAuth.clientId": _word("The client's id.", "ringback", minLength=1, maxLength=option_drafts.MAX_SECRET),
    "OAuth.clientSecret": _word(
        "The client's secret, which is never shown.",
        "s3cret",
        minLength=1,
        maxLength=option_drafts.MAX_SECRET,
    ),
    "OAuth.grantType": _word("Always `clientCredentials`.", "clientCredentials"),
    "OAuth.authMethod": _word(
        "How the secret is shown: `clientSecretBasic` (in a header, the default) or `clientSecretPost` (in the form).",
        "clientSecretBasic",
    ),
    "OAuth.scopes": _word(
        "What tokens are to be good for.",
        ["webhooks:write"],
        maxItems=option_drafts.MAX_SCOPES,
        items={"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[!#-\[\]-~]+$"},
    ),
    "OAuth.extraParams": _word(
        "What is sent along when a token is asked for.",
        {"audience": "https://api.example.com"},
        maxProperties=option_drafts.MAX_EXTRA_PARAMS,
        propertyNames={"pattern": "^[!-~]{1,256}$"},
    ),
    "Certificate.identity": _word(
        "A private key (RSA, EC or Ed25519) and its certificates, as PEM.",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n...",
        maxLength=client_certificate.MAX_PEM,
    ),
    "Certificate.serverCaCert": _word(
        "Certificates, as PEM, of the authorities that alone may vouch for the receiver; null for the usual ones.",
        None,
        maxLength=client_certificate.MAX_PEM,
    ),
    "CertificateOut.subject": _word("Whom the certificate names.", "CN=acme"),
    "CertificateOut.fingerprint": _word("The certificate's SHA-256 digest.", "AB:CD:EF"),
    "CertificateOut.notAfter": _time("When it ends, or the first of those that it came with.", LATER),
    "Transformation.code": _word(
        "An expression in JMESPath, whose result is sent in place of the payload.",
        "{text: join(' ', [eventType, payload.id])}",
        maxLength=transforming.MAX_CODE,
    ),
    "Transformation.enabled": _word("Whether it is used.", True),
    "Transformation.variables": _word(
        "Values that the expression may use as `variables.NAME`.",
        {"team": "billing"},
        maxProperties=option_drafts.MAX_VARIABLES,
        propertyNames={"pattern": "^[a-zA-Z_][a-zA-Z0-9_]{0,255}$"},
    ),
    "TransformationOut.updatedAt": _time("When it was last changed, or null."),
    "Simulation.code": _word(
        "The expression to try, in place of the endpoint's own.",
        "{id: payload.id}",
        maxLength=transforming.MAX_CODE,
    ),
    "Simulation.eventType": _text("The event type.", "invoice.paid", 1, 256),
    "Simulation.payload": _word("The payload.", {"id": "inv_1"}),
    "Simulation.channels": _names("The channels.", ["project-1"], drafts.MAX_MESSAGE_CHANNELS),
    "SimulationOut.method": _word("Always `POST`.", "POST"),
    "SimulationOut.url": _word("Where it would be sent.", "https://example.com/hooks"),
    "SimulationOut.payload": _word("What would be sent, as a text of JSON.", '{"id":"inv_1"}'),
    "SimulationOut.canceled": _word(
        "Whether the expression makes null of the message, so that nothing is sent.", False
    ),
    "DryRun.eventType": _text("The event type.", "invoice.paid", 1, 256),
    "DryRun.payload": _word("The payload.", {"id": "inv_1"}),
    "DryRun.channels": _names("The channels.", ["project-1"], drafts.MAX_MESSAGE_CHANNELS),
    "DryRunOut.delivered": _word("Whether it would be sent now.", True),
    "DryRunOut.reason": _word(
        "Why not, as a word: `event_type`, `channel`, `disabled`, `paused`, `transformation` (it fails),"
        " `transformed_to_null` (it makes null of the message); `handler` where a function is called. Or null.",
        None,
    ),
    "DryRunOut.detail": _word("Why not, for people; or null.", None),
    "DryRunOut.request": _word("What would be sent; null where nothing would be."),
    "Letter.method": _word("Always `POST`.", "POST"),
    "Letter.url": _word("Where it would be sent; a password in it is masked.", "https://example.com/hooks"),
    "Letter.headers": _word(
        "The headers, but for those that HTTP itself needs; secrets and signatures are masked.",
        {"Content-Type": "application/json", "Authorization": "Bearer ********"},
    ),
    "Letter.body": _word("The body.", '{"id":"inv_1"}'),
}
