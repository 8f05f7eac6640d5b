"""The code that pages show for verifying is run, in each language that this machine has, on what is really signed."""

import base64
import hashlib
import json
import shutil
import subprocess

import pytest

from ringback.model import HeaderFamily
from ringback.outbox import system_clock
from ringback.server.pages.snippets import snippets
from ringback.signing import standard

BODY = b'{"order": "kopi \xe2\x98\x95"}'
OLD = 400_000


def secret_of(name):
    """Return the secret of that name, as endpoints have it."""
    return "whsec_" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def signed(family, *names, age=0):
    """Return the headers that BODY is sent with, signed with the secrets of these names."""
    keys = [standard.parse_signing_key(secret_of(name)) for name in names]
    return standard.signature_headers(keys, family, "msg_1", system_clock() - age, BODY)


def cases(family):
    """Return what comes, with which headers and body, and whether it is to be believed."""
    return [
        (signed(family, "ours"), BODY, True),
        (signed(family, "older", "ours"), BODY, True),
        (signed(family, "ours"), BODY + b" ", False),
        (signed(family, "other"), BODY, False),
        (signed(family, "ours", age=OLD), BODY, False),
    ]


def in_python(code, come, _folder):
    """Run it here."""
    names = {}
    exec(code, names)
    return [names["verified"](secret_of("ours"), headers, body) for headers, body in come]


def in_node(code, come, folder):
    """Run it with Node.js, which gives headers as an object."""
    given = [[headers, body.decode()] for headers, body in come]
    (folder / "verify.js").write_text(
        f"{code}\nfor (const [headers, body] of {json.dumps(given)})\n"
        f"  console.log(verified({secret_of('ours')!r}, headers, Buffer.from(body)));\n"
    )
    return printed(["node", folder / "verify.js"])


def in_java(code, come, folder):
    """Run it with Java, as a class with a main method of its own."""
    given = [json.dumps([*(part for pair in headers.items() for part in pair)])[1:-1] for headers, _ in come]
    calls = "".join(
        f"    tell(new String[]{{{headers}}}, {json.dumps(body.decode())});\n"
        for headers, (_, body) in zip(given, come, strict=True)
    )
    main = f"""
    public static void main(String[] none) throws Exception {{\n{calls}    }}
    static void tell(String[] headers, String body) throws Exception {{
        var given = new java.util.HashMap<String, String>();
        for (int at = 0; at < headers.length; at += 2) given.put(headers[at], headers[at + 1]);
        System.out.println(verified("{secret_of("ours")}", given::get, body.getBytes(StandardCharsets.UTF_8)));
    }}
"""
    start = "final class Webhooks {"
    (folder / "Webhooks.java").write_text(code.replace(start, start + main))
    return printed(["java", "-XX:TieredStopAtLevel=1", folder / "Webhooks.java"])


def printed(command):
    """Return the truths that a program prints."""
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return [line == "true" for line in run.stdout.split()]


RUN = {"Python": in_python}
RUN |= {"Node.js": in_node} if shutil.which("node") else {}
RUN |= {"Java": in_java} if shutil.which("javac") else {}


def code_of(language, family):
    """Return the code in a language."""
    (code,) = [one.code for one in snippets(family) if one.language == language]
    return code


@pytest.mark.parametrize("language", RUN)
def test_it_believes_what_is_signed_and_nothing_else(language, tmp_path):
    """Also beside an older secret's signature; but nothing changed, old, or signed with another secret."""
    come = cases(HeaderFamily.SVIX)
    found = RUN[language](
        code_of(language, HeaderFamily.SVIX), [(headers, body) for headers, body, _ in come], tmp_path
    )
    assert found == [good for _, _, good in come]


@pytest.mark.parametrize("family", list(HeaderFamily))
def test_it_is_right_for_every_family_of_headers(family, tmp_path):
    """With the names that the endpoint's messages have."""
    come = cases(family)
    found = in_python(code_of("Python", family), [(headers, body) for headers, body, _ in come], tmp_path)
    assert found == [good for _, _, good in come]


@pytest.mark.parametrize("family", list(HeaderFamily))
def test_every_language_names_the_headers_that_are_sent(family):
    """Seven languages, and no placeholder is left."""
    made = snippets(family)
    assert [one.language for one in made] == ["Python", "Node.js", "PHP", "Java", "C#", "Ruby", "Go"]
    for one in made:
        for part in ("id", "timestamp", "signature"):
            assert f"{family}-{part}" in one.code
            assert f'{{{part}}}"' not in one.code
