"""The rooms of the house and who may enter: imports, clocks, SQL, frameworks and sizes, proved with ``ast``.

Imports run one way: kernel <- edges, line <- faces <- customers. Every module below ``src/ringback``
belongs to a room by its first name after ``ringback``; a new one must be listed here, in the room it belongs
to, and is held to the line's rules until then.
"""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"
PACKAGE = "ringback"

# Pure: no clock, no randomness, no I/O, no framework.
KERNEL = {
    "errors",
    "model",
    "ids",
    "policy",
    "operational",
    "pacing",
    "selection",
    "vault",
    "target",
    "signing",
    "providers",
    "drafts",
    "message_request",
    "schemas",
    "schema_work",
    "references",
    "specification",
    "yaml_text",
    "source_drafts",
    "declared_sources",
    "tokens",
    "secrecy",
    "credentials",
    "client_certificate",
    "transforming",
    "option_drafts",
    "access",
    "signed_tokens",
}
# What pages look like, whoever shows them.
DESIGN = {"design"}
# Told by all, tells all.
OBSERVE = {"observe"}
# The outside world behind a protocol each.
EDGES = {"store", "destinations", "reconcilers", "origins"}
# What Ringback does. It sees the edges' protocols only.
LINE = {
    "archive",
    "audience",
    "intake",
    "last_look",
    "opening",
    "entrance",
    "event_type_import",
    "former_addresses",
    "examples",
    "entropy",
    "gateway",
    "refusals",
    "declarations",
    "diagnosis",
    "inspection",
    "recipients",
    "reconciler",
    "redelivery",
    "replays",
    "rehearsal",
    "repetition",
    "search",
    "handlers",
    "crew",
    "letters",
    "courier",
    "probing",
    "canary",
    "certificates",
    "delivery_options",
    "grants",
    "changes",
    "migration",
    "moving",
    "outbox",
    "polling",
    "publication",
    "sources",
    "api_keys",
    "sessions",
    "provisioning",
    "worker",
    "job",
    "alarms",
    "quotas",
    "lanes",
    "desk",
    "clocks",
    "fleet",
    "duties",
    "housekeeping",
}
# The environment.
SETTINGS = {"config", "setting_values"}
# Doors for people and frameworks. They see the line.
FACES = {
    "inbox",
    "publisher",
    "engine",
    "keyring",
    "adapters",
    "server",
    "cli",
    "testing",
    "pytest_plugin",
    "demo",
    "__main__",
}
# Users of the doors, like any user's program.
CUSTOMERS = {"sandbox"}
ROOMS = {
    "KERNEL": KERNEL,
    "DESIGN": DESIGN,
    "OBSERVE": OBSERVE,
    "EDGES": EDGES,
    "LINE": LINE,
    "SETTINGS": SETTINGS,
    "FACES": FACES,
    "CUSTOMERS": CUSTOMERS,
}

# Where the public names live.
PUBLIC = {"inbox", "publisher", "handlers", "entrance", "signing"}
# What programs that use Ringback from Python see: its doors, and the values that go through them.
DOORS = PUBLIC | {"outbox", "drafts", "errors", "model", "policy", "providers", "letters"}
# Of the edges, what others may see. Implementations are chosen in composition roots alone.
PROTOCOLS = {
    "ringback.store",
    "ringback.store.commit",
    "ringback.store.survey",
    "ringback.destinations",
    "ringback.origins",
    "ringback.store.effects",
}
COMPOSITION_ROOTS = {
    "ringback.engine",
    "ringback.inbox",
    "ringback.server.node",
    "ringback.testing",
    "ringback.cli",
    "ringback.demo",
}
# Faces that may use other faces.
USES = {
    "__main__": {"cli"},
    "cli": {"inbox", "engine", "keyring", "server", "adapters", "demo", "sandbox"},
    "demo": {"server", "sandbox", "engine", "inbox", "adapters"},
    "server": {"adapters", "engine", "keyring"},
    "engine": {"keyring"},
    "inbox": {"engine", "server"},
    "publisher": {"engine"},
    "adapters": {"inbox"},
    "testing": {"inbox", "server", "demo", "sandbox"},
    "pytest_plugin": {"inbox", "testing"},
}

# Who may import what from outside the standard library. A new dependency is listed with its rooms.
THIRD_PARTY = {
    "msgspec": set().union(*ROOMS.values()),
    "cryptography": KERNEL | {"testing", "origins"},
    "apsw": {"store"},
    "psycopg": {"store", "origins"},
    "httptools": {"destinations"},
    "jmespath": {"transforming"},
    "jsonschema_rs": {"schemas"},
    "yaml": {"yaml_text"},
    "uvloop": {"server", "cli"},
    "falcon": {"server", "adapters", "cli"},
    "uvicorn": {"server", "adapters", "cli"},
    "jinja2": {"server", "sandbox", "design"},
    "markupsafe": {"server", "sandbox", "design"},
    "resvg_py": {"sandbox"},
    "segno": {"sandbox"},
    "click": {"cli"},
    "rich": {"cli", "demo"},
    "asgiref": {"adapters"},
    "django": {"adapters"},
    "flask": {"adapters"},
    "azure": {"adapters"},
    "pytest": {"pytest_plugin"},
}

# Standard modules that tell the time, roll dice or touch the world: nothing for the kernel.
IMPURE = {
    "asyncio",
    "concurrent",
    "http",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
    "uuid",
}
IMPURE_CALLS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "urandom", "token_bytes", "getenv"}
IMPURE_BUILTINS = {"open", "input", "print"}

SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(\w+\s+)?(TABLE|INDEX)"
    r"|ALTER\s+TABLE|DROP\s+TABLE|PRAGMA\s+\w+|BEGIN\s+IMMEDIATE)\b",
    re.DOTALL,
)
MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 600


# --- Reading the source ------------------------------------------------------------------------------------


def module_name(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted((SOURCE / PACKAGE).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8"), str(path)) for name, path in FILES.items()}


def home(module):
    """Return the first name after the package: what decides a module's room."""
    return module.split(".")[1] if "." in module else ""


def inside(module, packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


def imports_of(module, tree):
    """Yield the full name of each module that *tree* imports, at any depth, with its line."""
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                own = base == PACKAGE or base.startswith(PACKAGE + ".")
                yield (base if own and full not in FILES else full), node.lineno


IMPORTS = {module: list(imports_of(module, tree)) for module, tree in TREES.items()}


def own_imports(module):
    return [(name, line) for name, line in IMPORTS[module] if inside(name, {PACKAGE})]


def foreign_imports(module):
    return [(name, line) for name, line in IMPORTS[module] if not inside(name, {PACKAGE})]


def modules_of(room):
    return [module for module in FILES if home(module) in room]


# --- Who may import whom -----------------------------------------------------------------------------------


def may_import(importer, imported):
    """Tell whether the design lets module *importer* import the Ringback module *imported*."""
    room, target = home(importer), home(imported)
    if imported == PACKAGE:
        return room in SETTINGS | FACES | CUSTOMERS
    if importer == PACKAGE or room in KERNEL:
        return target in (PUBLIC if importer == PACKAGE else KERNEL)
    if room in CUSTOMERS:
        return target in DOORS | DESIGN | {room} or imported == "ringback.store"
    if room in DESIGN | OBSERVE | SETTINGS | EDGES:
        return target in KERNEL | OBSERVE | {room} | (SETTINGS if room in SETTINGS else set())
    if room in FACES and target in SETTINGS | DESIGN | {room} | USES.get(room, set()):
        return True
    composes = inside(importer, COMPOSITION_ROOTS) and target in EDGES
    unlisted = target not in set().union(*ROOMS.values())
    return composes or unlisted or target in KERNEL | OBSERVE | LINE | {room} or imported in PROTOCOLS


def test_every_module_has_one_room():
    """No module is outside the rules: each top-level name is listed in exactly one room."""
    listed = [name for room in ROOMS.values() for name in room]
    assert len(listed) == len(set(listed))
    homeless = sorted({home(module) for module in FILES if home(module)} - set(listed))
    assert not homeless, (
        f"ringback.{', ringback.'.join(homeless)} has no room yet: add it to one of {', '.join(ROOMS)} "
        "at the top of tests/test_architecture.py"
    )


@pytest.mark.parametrize("module", FILES)
def test_imports_run_one_way(module):
    """A module imports only from rooms below its own, and of the edges only their protocols."""
    wrong = [f"line {line}: {name}" for name, line in own_imports(module) if not may_import(module, name)]
    assert not wrong, f"{module} may not import {'; '.join(wrong)}"


@pytest.mark.parametrize("module", FILES)
def test_dependencies_stay_in_their_rooms(module):
    """A third-party package is imported only in the rooms listed for it; frameworks stay with the faces."""
    third_party = [(name.split(".")[0], line) for name, line in foreign_imports(module)]
    wrong = [
        f"line {line}: {name}"
        for name, line in third_party
        if name not in sys.stdlib_module_names | {"__future__"}
        and home(module) not in THIRD_PARTY.get(name, set())
    ]
    assert not wrong, (
        f"{module} may not import {'; '.join(wrong)}; see THIRD_PARTY in tests/test_architecture.py"
    )


@pytest.mark.parametrize("module", modules_of(KERNEL))
def test_the_kernel_is_pure(module):
    """The kernel asks no clock, rolls no dice and touches nothing outside: all of that is an argument."""
    wrong = [f"line {line}: import {name}" for name, line in foreign_imports(module) if inside(name, IMPURE)]
    for node in ast.walk(TREES[module]):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_CALLS:
            wrong.append(f"line {node.lineno}: .{node.func.attr}()")
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_BUILTINS:
            wrong.append(f"line {node.lineno}: {node.func.id}()")
    assert not wrong, f"{module} is kernel, but has {'; '.join(wrong)}"


def test_the_kernel_has_no_cycles():
    """Each kernel module can be read with only those it imports in mind: none imports itself by a detour."""
    graph = {module: {name for name, _ in own_imports(module)} - {module} for module in modules_of(KERNEL)}
    while graph:
        leaves = {module for module, needs in graph.items() if not needs & graph.keys()}
        assert leaves, f"these import each other: {', '.join(sorted(graph))}"
        graph = {module: needs for module, needs in graph.items() if module not in leaves}


# --- What may be written where -----------------------------------------------------------------------------


def docstrings(tree):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and node.body and isinstance(node.body[0], ast.Expr):
            yield node.body[0].value


@pytest.mark.parametrize("module", [module for module in FILES if home(module) not in {"store", "origins"}])
def test_sql_lives_in_the_store(module):
    """No string outside the store holds an SQL statement, but for those that read another product's database."""
    prose = set(map(id, docstrings(TREES[module])))
    wrong = [
        f"line {node.lineno}: {node.value[:40]!r}"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and SQL.search(node.value)
    ]
    assert not wrong, f"{module} writes SQL, which belongs in ringback.store: {'; '.join(wrong)}"


@pytest.mark.parametrize("module", FILES)
def test_files_and_functions_are_short(module):
    """A file has at most 600 lines and a function at most 70, so that either can be read at one sitting."""
    lines = len(FILES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, (
        f"{module} has {lines} lines; give a part of it a name and a file of its own"
    )
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not long, f"{module} has functions too long to read at once: {', '.join(long)}"


# --- The rules themselves ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("ringback.policy", "ringback.model", True),
        ("ringback.policy", "ringback.observe", False),
        ("ringback.providers.xendit", "ringback.signing", True),
        ("ringback.signing.standard", "ringback.store", False),
        ("ringback.observe", "ringback.model", True),
        ("ringback.observe", "ringback.worker", False),
        ("ringback.design.writing", "ringback.model", True),
        ("ringback.design.writing", "ringback.outbox", False),
        ("ringback.server.pages.site", "ringback.design.assets", True),
        ("ringback.sandbox.xendit.pages.assets", "ringback.design.assets", True),
        ("ringback.store.sqlite", "ringback.policy", True),
        ("ringback.store.sqlite", "ringback.store", True),
        ("ringback.store.sqlite", "ringback.observe", True),
        ("ringback.store.sqlite", "ringback.destinations", False),
        ("ringback.destinations.http", "ringback.store", False),
        ("ringback.worker", "ringback.store", True),
        ("ringback.worker", "ringback.store.commit", True),
        ("ringback.worker", "ringback.store.sqlite", False),
        ("ringback.worker", "ringback.destinations", True),
        ("ringback.worker", "ringback.destinations.http", False),
        ("ringback.worker", "ringback.server.app", False),
        ("ringback.worker", "ringback.config", False),
        ("ringback.outbox", "ringback.drafts", True),
        ("ringback.outbox", "ringback", False),
        ("ringback.config", "ringback.policy", True),
        ("ringback.config", "ringback.outbox", False),
        ("ringback.server.node", "ringback.destinations.http", True),
        ("ringback.server.app", "ringback.destinations.http", False),
        ("ringback.server.api.endpoints", "ringback.outbox", True),
        ("ringback.server.api.endpoints", "ringback.destinations.http", False),
        ("ringback.server.api.endpoints", "ringback.store.sqlite", False),
        ("ringback.server.api.endpoints", "ringback.cli.serve", False),
        ("ringback.adapters.asgi", "ringback.inbox", True),
        ("ringback.adapters.asgi", "ringback.server.app", False),
        ("ringback.cli.serve", "ringback.server.app", True),
        ("ringback", "ringback.inbox", True),
        ("ringback", "ringback.outbox", False),
        ("ringback", "ringback.server.app", False),
        ("ringback.sandbox.xendit.api", "ringback", True),
        ("ringback.sandbox.xendit.api", "ringback.sandbox.xendit.ledger", True),
        ("ringback.sandbox.xendit.api", "ringback.outbox", True),
        ("ringback.sandbox.xendit.api", "ringback.store", True),
        ("ringback.sandbox.xendit.api", "ringback.store.commit", False),
        ("ringback.sandbox.xendit.api", "ringback.worker", False),
        ("ringback.sandbox.xendit.api", "ringback.server.app", False),
    ],
)
def test_the_rules_say_what_the_design_says(importer, imported, allowed):
    """The rules decide these cases of the design as it does, whether or not the modules exist yet."""
    assert may_import(importer, imported) is allowed


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("SELECT id FROM message", True),
        ("INSERT OR IGNORE INTO x VALUES (1)", True),
        ("PRAGMA synchronous", True),
        ("select an endpoint from the list", False),
        ("Update the endpoint and set its URL", False),
    ],
)
def test_sql_is_told_from_prose(text, is_sql):
    """Statements are recognised, and sentences are not mistaken for them."""
    assert bool(SQL.search(text)) is is_sql


def test_files_of_tests_have_names_of_their_own():
    """No two files of tests have the same name: pytest imports by it, and would stop before the first test."""
    tests = Path(__file__).resolve().parent
    names = Counter(
        path.name for path in tests.rglob("*.py") if path.name not in {"__init__.py", "conftest.py"}
    )
    assert [name for name, count in names.items() if count > 1] == []
