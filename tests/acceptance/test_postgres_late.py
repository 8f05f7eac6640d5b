"""Nodes that are started before their database is there, as when a machine starts everything at once."""

from bench.postgres import free_port
from bench.postgres import running as running_postgres
from postgres_proxy import proxying
from running import ADMIN_TOKEN, ANYWHERE, MAIN_KEY, receiving, started

SETTINGS = {"admin_token": ADMIN_TOKEN, "main_key": MAIN_KEY, "allow_subnets": "127.0.0.0/8"}


def test_nodes_wait_for_their_database(tmp_path):
    """Nodes say that they wait and for what, without its password; once it takes connections, they are at work."""
    port = free_port()
    with running_postgres(listens=True) as server, receiving() as receiver:
        place = server.address(server.new_database(), port).replace("postgres@", "postgres:hidden@")
        settings = {"folder": tmp_path, "store": place, **SETTINGS}
        with (
            started("serve", "--no-worker", "--listen", ANYWHERE, **settings) as accepting,
            started("worker", **settings) as delivering,
        ):
            for node in (accepting, delivering):
                node.line(rf"warning .*waits .* for postgresql://\S+:{port}/\S+: nothing answers there")
            with proxying(server.port, port):
                accepting.await_announcement()
                with accepting.api() as api:
                    api.post("/app", {"name": "Acme", "uid": "acme"})
                    api.post("/app/acme/endpoint", {"url": f"{receiver.url}/hook"})
                    api.post("/app/acme/msg", {"eventType": "invoice.paid", "payload": {}})
                receiver.until(lambda: receiver.succeeded)
                assert [delivering.stop(), accepting.stop()] == [0, 0]
    assert not [line for node in (accepting, delivering) for line in node.lines if "hidden" in line]
