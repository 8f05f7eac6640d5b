"""Applications, endpoints, event types and tokens: found, changed, removed, and named only once."""

import itertools

import msgspec
import pytest
from scene import MANY

from ringback.access import Scope
from ringback.credentials import AuthMethod, ClientCertificate, Credentials, OAuth
from ringback.errors import Conflict, NotFound, RingbackError
from ringback.model import EndpointSecret, EndpointState, HeaderFamily, Transformation
from ringback.policy import Health, Step
from ringback.store import BROWSER, Idempotency, Page, Token

SECRETS = (EndpointSecret("whsec_bmV3"), EndpointSecret("whsec_b2xk", expires_at=1_800_000_000_000))


CREDENTIALS = Credentials(
    authorization=OAuth(
        token_url="https://tokens.example",
        client_id="acme",
        client_secret="s3cret-of-the-client",
        auth_method=AuthMethod.CLIENT_SECRET_POST,
        scopes=("a",),
        extra_params={"audience": "b"},
    ),
    certificate=ClientCertificate(identity="the-private-key", server_ca="the authority"),
)


def replacing(**fields):
    return lambda old: msgspec.structs.replace(old, **fields)


def refuse(old):
    raise Conflict("refused by the caller")


class TestApplications:
    def test_every_field_is_kept(self, scene):
        """An application comes back as it was added, by id and by uid."""
        record = scene.application(uid="acme", throttle_rate=5, metadata={"plan": "größer", "": ""})
        assert scene.store.application(record.id) == record
        assert scene.store.application("acme") == record

    def test_rates_are_known_of_those_that_have_one(self, scene):
        """As they stand: given at first or later, changed, taken away, gone with their applications."""
        first, later, gone, _ = (scene.application(throttle_rate=rate) for rate in (5, None, 7, None))
        assert scene.store.rates() == {first.id: 5, gone.id: 7}
        scene.write(scene.store.change_application, later.id, replacing(throttle_rate=9))
        scene.write(scene.store.change_application, first.id, replacing(throttle_rate=6))
        scene.write(scene.store.remove_application, gone.id, scene.now)
        assert scene.store.rates() == {first.id: 6, later.id: 9}
        scene.write(scene.store.change_application, first.id, replacing(name="Else"))
        scene.write(scene.store.change_application, later.id, replacing(throttle_rate=None))
        assert scene.store.rates() == {first.id: 6}

    def test_what_is_not_there_is_not_found(self, scene):
        """Every verb that names an application says so when there is none."""
        store = scene.store
        for call in (
            lambda: store.application("app_nobody"),
            lambda: scene.write(store.change_application, "app_nobody", replacing(name="x")),
            lambda: scene.write(store.remove_application, "app_nobody", scene.now),
        ):
            with pytest.raises(NotFound):
                call()

    def test_a_uid_belongs_to_one(self, scene):
        """A uid that is taken cannot be added or changed to, and the attempt changes nothing."""
        scene.application(uid="acme")
        other = scene.application(uid="other")
        with pytest.raises(Conflict):
            scene.application(uid="acme")
        with pytest.raises(Conflict):
            scene.write(scene.store.change_application, other.id, replacing(uid="acme", name="Thief"))
        assert scene.store.application(other.id) == other
        assert len(scene.store.applications(Page())) == 2

    def test_a_uid_is_free_after_removal(self, scene):
        """A removed application is not found any more, and its uid can be used again."""
        gone = scene.application(uid="acme")
        scene.write(scene.store.remove_application, "acme", scene.now)
        for ref in ("acme", gone.id):
            with pytest.raises(NotFound):
                scene.store.application(ref)
        assert scene.store.applications(Page()) == []
        successor = scene.application(uid="acme")
        assert scene.store.application("acme") == successor

    def test_a_change_is_what_it_returns(self, scene):
        """The changed record is returned, stored, and found under its new uid only."""
        record = scene.application(uid="acme")
        changed = scene.write(scene.store.change_application, "acme", replacing(uid="new", name="New"))
        assert changed == msgspec.structs.replace(record, uid="new", name="New")
        assert scene.store.application("new") == changed
        with pytest.raises(NotFound):
            scene.store.application("acme")

    def test_a_refused_change_changes_nothing(self, scene):
        """When the caller's function refuses, the record stays."""
        record = scene.application(uid="acme")
        with pytest.raises(Conflict):
            scene.write(scene.store.change_application, "acme", refuse)
        assert scene.store.application("acme") == record

    def test_its_endpoints_go_with_it(self, scene):
        """Removing an application removes its endpoints, and no other application's."""
        application, neighbour = scene.application(), scene.application()
        gone, stays = scene.endpoint(application), scene.endpoint(neighbour)
        scene.write(scene.store.remove_application, application.id, scene.now)
        assert scene.store.refresh([gone.id, stays.id]) == {gone.id: None, stays.id: stays}


class TestEndpoints:
    def test_every_field_is_kept(self, scene):
        """An endpoint comes back as it was added, secrets included, by id and by uid."""
        application = scene.application()
        record = scene.endpoint(
            application,
            uid="billing",
            description="Büro",
            event_types=("invoice.paid", "a"),
            channels=("north",),
            metadata={"team": "billing"},
            headers={"X-Key": "v"},
            throttle_rate=9,
            retry_schedule=(0, 5_000),
            header_family=HeaderFamily.SVIX,
            state=EndpointState.PAUSED,
            disabled_reason="manual",
            failing_since=5,
            secrets=SECRETS,
            credentials=CREDENTIALS,
            transformation=Transformation(code="payload", enabled=True, variables={"a": "ü"}, updated_at=5),
        )
        assert scene.store.endpoint(application.id, record.id) == record
        assert scene.store.endpoint(application.id, "billing") == record

    def test_credentials_come_with_the_work_and_are_sealed(self, scene, database):
        """A delivery has them with it however it is taken; a change leaves them, and none is readable at rest."""
        application = scene.application()
        record = scene.endpoint(application, credentials=CREDENTIALS)
        scene.write(scene.store.change_endpoint, application.id, record.id, replacing(description="other"))
        (born,) = scene.publish(application).works
        scene.publish(application, admit=False)
        (taken,) = scene.take()
        refreshed = scene.store.refresh([record.id])[record.id]
        assert [one.credentials for one in (born.endpoint, taken.endpoint, refreshed)] == [CREDENTIALS] * 3
        at_rest = database.at_rest()
        for secret in (b"s3cret-of-the-client", b"the-private-key"):
            assert secret not in at_rest
        scene.write(scene.store.change_endpoint, application.id, record.id, replacing(credentials=None))
        assert scene.store.endpoint(application.id, record.id).credentials is None

    def test_endpoints_with_options_are_listed(self, scene):
        """Those that have any, whoever owns them, page by page; not those that are gone or have none any more."""
        one, other = scene.application(), scene.application()
        first = scene.endpoint(one, credentials=CREDENTIALS)
        second = scene.endpoint(other, transformation=Transformation(code="payload"))
        scene.endpoint(one)
        gone, bare = (scene.endpoint(other, credentials=CREDENTIALS) for _ in range(2))
        scene.write(scene.store.remove_endpoint, other.id, gone.id, scene.now)
        scene.write(scene.store.change_endpoint, other.id, bare.id, replacing(credentials=None))
        assert scene.store.endpoints_with_options(Page(limit=1)) == [first]
        assert scene.store.endpoints_with_options(Page(limit=9, cursor=first.id)) == [second]

    @pytest.mark.parametrize("whole", [False, True])
    def test_credentials_are_forgotten_with_their_endpoint(self, scene, database, whole):
        """When an endpoint is removed, by itself or with its application, nothing is left of them, sealed or not."""
        application = scene.application()
        record = scene.endpoint(application, credentials=CREDENTIALS)
        if whole:
            scene.write(scene.store.remove_application, application.id, scene.now)
        else:
            scene.write(scene.store.remove_endpoint, application.id, record.id, scene.now)
        with database.application() as connection:
            assert not connection.execute("SELECT * FROM ringback_endpoint_option").fetchall()

    @pytest.mark.parametrize("fields", [{"event_types": ()}, {"channels": ()}, {"retry_schedule": ()}])
    def test_none_and_empty_are_told_apart(self, scene, fields):
        """An empty list is not "everything" and an empty schedule is not the server's."""
        application = scene.application()
        record = scene.endpoint(application, **fields)
        assert scene.store.endpoint(application.id, record.id) == record

    def test_another_applications_endpoint_is_not_found(self, scene):
        """Endpoints are reached through their own application only."""
        owner, stranger = scene.application(), scene.application()
        record = scene.endpoint(owner, uid="billing")
        store = scene.store
        for ref in (record.id, "billing"):
            for call in (
                lambda ref=ref: store.endpoint(stranger.id, ref),
                lambda ref=ref: scene.write(
                    store.change_endpoint, stranger.id, ref, replacing(url="https://x.example")
                ),
                lambda ref=ref: scene.write(store.remove_endpoint, stranger.id, ref, scene.now),
            ):
                with pytest.raises(NotFound):
                    call()
        assert store.endpoint(owner.id, record.id) == record

    def test_a_uid_belongs_to_one_of_its_application(self, scene):
        """Applications name their endpoints independently; within one, a uid is unique."""
        one, other = scene.application(), scene.application()
        first, second = scene.endpoint(one, uid="billing"), scene.endpoint(other, uid="billing")
        neighbour = scene.endpoint(one, uid="audit")
        with pytest.raises(Conflict):
            scene.endpoint(one, uid="billing")
        with pytest.raises(Conflict):
            scene.write(scene.store.change_endpoint, one.id, "audit", replacing(uid="billing"))
        assert scene.store.endpoint(one.id, "billing") == first
        assert scene.store.endpoint(other.id, "billing") == second
        assert scene.store.endpoint(one.id, "audit") == neighbour

    def test_a_uid_is_free_after_removal(self, scene):
        """A removed endpoint is gone from every list, and its uid can be used again."""
        application = scene.application()
        gone = scene.endpoint(application, uid="billing")
        scene.write(scene.store.remove_endpoint, application.id, "billing", scene.now)
        for ref in ("billing", gone.id):
            with pytest.raises(NotFound):
                scene.store.endpoint(application.id, ref)
        assert scene.store.endpoints(application.id, Page()) == []
        successor = scene.endpoint(application, uid="billing")
        assert scene.store.endpoint(application.id, "billing") == successor

    def test_uids_of_a_removed_applications_endpoints_do_not_linger(self, scene):
        """A successor of a removed application starts with a clean slate."""
        scene.endpoint(scene.application(uid="acme"), uid="billing")
        scene.write(scene.store.remove_application, "acme", scene.now)
        successor = scene.application(uid="acme")
        record = scene.endpoint(successor, uid="billing")
        assert scene.store.endpoints(successor.id, Page()) == [record]

    def test_a_change_is_what_it_returns(self, scene):
        """The changed endpoint, secrets included, is returned and stored."""
        application = scene.application()
        record = scene.endpoint(application)
        changed = scene.write(
            scene.store.change_endpoint, application.id, record.id, replacing(secrets=SECRETS, uid="new")
        )
        assert changed == msgspec.structs.replace(record, secrets=SECRETS, uid="new")
        assert scene.store.endpoint(application.id, "new") == changed

    def test_a_refused_change_changes_nothing(self, scene):
        """When the caller's function refuses, the endpoint stays."""
        application = scene.application()
        record = scene.endpoint(application)
        with pytest.raises(Conflict):
            scene.write(scene.store.change_endpoint, application.id, record.id, refuse)
        assert scene.store.endpoint(application.id, record.id) == record

    def test_a_removed_endpoint_keeps_its_history(self, scene):
        """What was sent to it, and where that was, can still be read."""
        application = scene.application()
        record = scene.endpoint(application)
        message = scene.fail(application).message
        scene.write(scene.store.remove_endpoint, application.id, record.id, scene.now)
        ((delivery, endpoint),) = scene.store.deliveries(application.id, message.id, Page())
        assert (delivery.endpoint_id, endpoint.id, endpoint.url) == (record.id, record.id, record.url)
        assert len(scene.attempts_of(application, message.id)) == 1

    def test_refresh_tells_what_stands(self, scene):
        """Changed endpoints come as they are, deleted and unknown ones as None."""
        application = scene.application()
        changed, removed = scene.endpoint(application), scene.endpoint(application)
        now = scene.write(scene.store.change_endpoint, application.id, changed.id, replacing(throttle_rate=3))
        scene.write(scene.store.remove_endpoint, application.id, removed.id, scene.now)
        asked = [changed.id, removed.id, "ep_nobody"]
        assert scene.store.refresh(asked) == {changed.id: now, removed.id: None, "ep_nobody": None}
        assert scene.store.refresh([]) == {}


class TestEventTypes:
    def test_every_field_is_kept(self, scene):
        """An event type comes back as it was added, schemas byte for byte."""
        record = scene.new_event_type(
            "invoice.paid",
            description="Paid",
            deprecated=True,
            feature_flag="beta",
            schemas={"1": msgspec.Raw(b'{ "type" : "object" }')},
        )
        scene.write(scene.store.add, record)
        found = scene.store.event_type("invoice.paid")
        assert {version: bytes(schema) for version, schema in found.schemas.items()} == {
            "1": b'{ "type" : "object" }'
        }
        assert msgspec.structs.replace(found, schemas=None) == msgspec.structs.replace(record, schemas=None)

    def test_a_name_belongs_to_one_until_removal(self, scene):
        """Names are unique and free again after removal."""
        scene.write(scene.store.add, scene.new_event_type("a"))
        with pytest.raises(Conflict):
            scene.write(scene.store.add, scene.new_event_type("a"))
        scene.write(scene.store.remove_event_type, "a")
        with pytest.raises(NotFound):
            scene.store.event_type("a")
        with pytest.raises(NotFound):
            scene.write(scene.store.remove_event_type, "a")
        assert scene.write(scene.store.add, scene.new_event_type("a")) == "a"

    def test_archived_ones_are_listed_if_asked_for(self, scene):
        """An archived event type is found by name, and listed only on demand."""
        for name in ("b", "a"):
            scene.write(scene.store.add, scene.new_event_type(name))
        archived = scene.write(scene.store.change_event_type, "a", replacing(archived=True))
        assert scene.store.event_type("a") == archived
        assert [one.name for one in scene.store.event_types(Page(), archived=False)] == ["b"]
        assert [one.name for one in scene.store.event_types(Page(), archived=True)] == ["a", "b"]


class TestKeys:
    """Adding a record with an idempotency key."""

    @pytest.mark.parametrize("kind", ["application", "endpoint", "event_type"])
    def test_a_repeat_answers_with_the_first(self, scene, kind):
        """The same key adds one record, and answers each time with its id."""
        owner = scene.application()
        new = {
            "application": scene.new_application,
            "endpoint": lambda: scene.new_endpoint(owner),
            "event_type": lambda: scene.new_event_type("a"),
        }[kind]
        key = Idempotency(kind, "k", b"1")
        first, again = (scene.write(scene.store.add, new(), key) for _ in range(2))
        assert first == again
        listed = {
            "application": lambda: scene.store.applications(Page())[1:],
            "endpoint": lambda: scene.store.endpoints(owner.id, Page()),
            "event_type": lambda: scene.store.event_types(Page(), archived=True),
        }[kind]
        assert len(listed()) == 1

    @pytest.mark.parametrize("kind", ["application", "endpoint"])
    def test_a_key_whose_record_was_removed_makes_a_new_one(self, scene, kind):
        """A key is forgotten with what it made: used again it adds a record, and then repeats that."""
        owner, store = scene.application(), scene.store
        new, remove = {
            "application": (scene.new_application, lambda ref: store.remove_application(ref, scene.now)),
            "endpoint": (
                lambda: scene.new_endpoint(owner),
                lambda ref: store.remove_endpoint(owner.id, ref, scene.now),
            ),
        }[kind]
        key = Idempotency(kind, "k", b"1")
        first = scene.write(store.add, new(), key)
        scene.write(remove, first)
        successor = new()
        assert scene.write(store.add, successor, key) == successor.id != first
        assert scene.write(store.add, new(), key) == successor.id
        listed = {
            "application": lambda: store.applications(Page())[1:],
            "endpoint": lambda: store.endpoints(owner.id, Page()),
        }[kind]
        assert listed() == [successor]

    @pytest.mark.parametrize("fingerprint", [b"1", b"2"])
    def test_a_key_whose_event_type_was_removed_makes_a_new_one(self, scene, fingerprint):
        """An event type that was removed is added again under the key that made it."""
        key = Idempotency("event_type", "k", b"1")
        scene.write(scene.store.add, scene.new_event_type("a"), key)
        scene.write(scene.store.remove_event_type, "a")
        successor, key = scene.new_event_type("a"), Idempotency("event_type", "k", fingerprint)
        assert scene.write(scene.store.add, successor, key) == "a"
        assert scene.store.event_type("a") == successor

    @pytest.mark.parametrize("fingerprint", [b"1", b"2"])
    def test_a_key_whose_endpoint_went_with_its_application_makes_a_new_one(self, scene, fingerprint):
        """Removing an application forgets the keys of its endpoints too."""
        gone = scene.application(uid="acme")
        key = Idempotency("endpoint", "k", b"1")
        first = scene.write(scene.store.add, scene.new_endpoint(gone), key)
        scene.write(scene.store.remove_application, "acme", scene.now)
        successor = scene.new_endpoint(scene.application(uid="acme"))
        key = Idempotency("endpoint", "k", fingerprint)
        assert scene.write(scene.store.add, successor, key) == successor.id != first

    def test_a_key_used_for_something_else_is_a_conflict(self, scene):
        """Another fingerprint under the same key adds nothing."""
        scene.write(scene.store.add, scene.new_application(), Idempotency("application", "k", b"1"))
        with pytest.raises(Conflict):
            scene.write(scene.store.add, scene.new_application(), Idempotency("application", "k", b"2"))
        assert len(scene.store.applications(Page())) == 1

    def test_a_refused_record_does_not_use_up_its_key(self, scene):
        """The key of a record that was refused is free for the corrected one."""
        scene.application(uid="acme")
        key = Idempotency("application", "k", b"1")
        with pytest.raises(Conflict):
            scene.write(scene.store.add, scene.new_application(uid="acme"), key)
        corrected = scene.new_application(uid="other")
        assert scene.write(scene.store.add, corrected, Idempotency("application", "k", b"2")) == corrected.id


class TestCatalogVersion:
    def test_it_grows_with_every_change(self, scene):
        """Whoever keeps a copy of applications or endpoints can tell that it is out of date."""
        application = scene.application()
        endpoint = scene.endpoint(application)
        store = scene.store
        changes = [
            scene.application,
            lambda: scene.endpoint(application),
            lambda: scene.write(store.change_application, application.id, replacing(throttle_rate=1)),
            lambda: scene.write(
                store.change_endpoint, application.id, endpoint.id, replacing(throttle_rate=1)
            ),
            lambda: scene.write(
                store.remove_endpoint, application.id, scene.endpoint(application).id, scene.now
            ),
            lambda: [
                scene.settle(work, Step.EXHAUST, health=Health(1, disable="gone"))
                for work in scene.publish(application).works
            ],
            lambda: scene.write(store.remove_application, application.id, scene.now),
        ]
        versions = [store.catalog_version()]
        for change in changes:
            change()
            versions.append(store.catalog_version())
        assert all(later > earlier for earlier, later in itertools.pairwise(versions)), versions

    def test_messages_leave_it_alone(self, scene):
        """Traffic does not make every node read the catalogue again."""
        application = scene.application()
        scene.endpoint(application)
        before = scene.store.catalog_version()
        (work,) = scene.publish(application).works
        scene.settle(work, Step.EXHAUST)
        assert scene.store.catalog_version() == before


class TestTokens:
    def test_they_are_kept_until_removed(self, scene):
        """A token's digest and name are kept; removing it forgets it, once."""
        tokens = [
            Token(id=scene.id("tok"), name=name, digest=bytes([number]) * 32, created_at=scene.tick())
            for number, name in enumerate(("ci", "büro"))
        ]
        for token in tokens:
            scene.write(scene.store.add_token, token)
        assert scene.store.tokens() == tokens
        scene.write(scene.store.remove_token, tokens[0].id)
        assert scene.store.tokens() == tokens[1:]
        with pytest.raises(NotFound):
            scene.write(scene.store.remove_token, tokens[0].id)

    def test_what_they_are_for(self, scene):
        """A token's scopes, application, flags and end come back; it is found by its digest."""
        application = scene.application()
        full = Token(
            id=scene.id("tok"),
            name="shop",
            digest=bytes([1]) * 32,
            created_at=scene.tick(),
            scopes=(Scope.PUBLISH, Scope.READ),
            application_id=application.id,
            feature_flags=("beta", "näxt"),
            expires_at=scene.tick() + 1000,
        )
        bare = Token(
            id=scene.id("tok"), name="ci", digest=bytes([2]) * 32, created_at=scene.tick(), feature_flags=()
        )
        for token in (full, bare):
            scene.write(scene.store.add_token, token)
        assert scene.store.tokens() == [full, bare]
        assert scene.store.tokens_of([full.digest, bytes(32)]) == [full]
        assert scene.store.tokens_of([full.digest, bare.digest, full.digest]) in ([full, bare], [bare, full])
        assert scene.store.tokens_of([]) == []
        scene.write(scene.store.use_token, bare.id, 42)
        scene.write(scene.store.use_token, "tok_gone", 42)
        assert [token.last_used_at for token in scene.store.tokens()] == [None, 42]

    def test_pages(self, scene):
        """They come in the order of their ids, page by page, either way round."""
        held = [Token(id=f"tok_{n}", name="x", digest=bytes([n]), created_at=0) for n in range(5)]
        for token in held:
            scene.write(scene.store.add_token, token)
        assert scene.store.tokens(Page(limit=2, descending=True)) == held[:2:-1]
        assert scene.store.tokens(Page(limit=9, cursor="tok_3", descending=True)) == held[2::-1]
        assert scene.store.tokens(Page(limit=2, cursor="tok_1")) == held[2:4]

    def test_those_of_a_portal(self, scene):
        """They are not listed; they end together, or by session, never later than before; the ended are forgotten."""
        mine, other = scene.application().id, scene.application().id
        sessions = {b"1": "", b"2": "one", b"3": "two", b"4": None, b"5": ""}
        for digest, session in sessions.items():
            owner = other if digest == b"5" else mine
            ends = None if session is None else 100
            made = {"id": f"tok_{digest.decode()}", "name": "x", "digest": digest, "created_at": 0}
            token = Token(**made, application_id=owner, session=session, expires_at=ends)
            scene.write(scene.store.add_token, token)

        def ends():
            return {token.digest: token.expires_at for token in scene.store.tokens_of(sessions)}

        assert [token.digest for token in scene.store.tokens()] == [b"4"]
        scene.write(scene.store.expire_tokens, mine, ["one", "none"], 50)
        assert ends() == {b"1": 100, b"2": 50, b"3": 100, b"4": None, b"5": 100}
        scene.write(scene.store.expire_tokens, mine, None, 70)
        assert ends() == {b"1": 70, b"2": 50, b"3": 70, b"4": None, b"5": 100}
        scene.write(scene.store.forget_tokens, mine, 60)
        assert ends() == {b"1": 70, b"3": 70, b"4": None, b"5": 100}
        scene.write(scene.store.forget_tokens, mine, 1000)
        assert ends() == {b"4": None, b"5": 100}

    def test_those_of_browsers(self, scene):
        """They go with the token that they began with; those of no application are forgotten when they have ended."""
        mine = scene.application().id
        for digest, name, owner, session in (
            (b"1", "x", None, None),
            (b"2", BROWSER, None, "tok_1"),
            (b"3", BROWSER, mine, "tok_1"),
            # The session of a portal may be called anything.
            (b"4", "portal", mine, "tok_1"),
            (b"5", BROWSER, None, "tok_9"),
            (b"6", BROWSER, mine, "tok_9"),
        ):
            made = {"id": f"tok_{digest.decode()}", "name": name, "digest": digest, "created_at": 0}
            ends = None if session is None else 100
            token = Token(**made, application_id=owner, session=session, expires_at=ends)
            scene.write(scene.store.add_token, token)

        def left():
            return {token.digest for token in scene.store.tokens_of([b"%d" % n for n in range(1, 7)])}

        scene.write(scene.store.remove_token, "tok_1")
        assert left() == {b"4", b"5", b"6"}
        scene.write(scene.store.forget_tokens, None, 99)
        assert left() == {b"4", b"5", b"6"}
        scene.write(scene.store.forget_tokens, None, 100)
        assert left() == {b"4", b"6"}

    def test_what_lets_people_in_now(self, scene):
        """Of one application, by page or by id: what has a session and no end before then, but no poller's token."""
        mine, other = scene.application().id, scene.application().id
        plain = {"name": "x", "created_at": 0, "application_id": mine, "session": "", "expires_at": 100}
        for number, more in enumerate(
            (
                {},
                {"session": "one", "expires_at": None},
                {"session": None},
                {"application_id": other},
                {"application_id": None},
                {"expires_at": 99},
                {"poller_id": "poll_1"},
                {"session": "tok_0"},
            )
        ):
            token = Token(**plain | more, id=f"tok_{number}", digest=bytes([number]))
            scene.write(scene.store.add_token, token)

        def found(**page):
            return [token.id for token in scene.store.portal_tokens(mine, 99, Page(**page))]

        assert found() == ["tok_0", "tok_1", "tok_7"]
        assert found(limit=2, descending=True) == ["tok_7", "tok_1"]
        assert found(cursor="tok_1", descending=True) == ["tok_0"]
        assert found(cursor="tok_0", backwards=True, descending=True) == ["tok_7", "tok_1"]
        assert scene.store.portal_token(mine, "tok_1", 99).session == "one"
        for number in (2, 3, 4, 5, 6, 8):
            with pytest.raises(NotFound):
                scene.store.portal_token(mine, f"tok_{number}", 99)

    def test_they_go_with_their_application(self, scene):
        """A removed application's tokens are forgotten, and no others."""
        mine, other = scene.application(), scene.application()
        for number, owner in enumerate((mine.id, other.id, None)):
            token = Token(
                id=scene.id("tok"), name="x", digest=bytes([number]), created_at=0, application_id=owner
            )
            scene.write(scene.store.add_token, token)
        scene.write(scene.store.remove_application, mine.id, scene.tick())
        assert [token.application_id for token in scene.store.tokens()] == [other.id, None]


class TestTransactions:
    def test_a_failure_undoes_all(self, scene):
        """What is written before an error is gone with it."""
        with pytest.raises(RingbackError), scene.store.transaction():  # noqa: PT012 - the transaction that fails
            scene.store.add(scene.new_application(uid="acme"))
            raise RingbackError
        assert scene.store.applications(Page()) == []
        scene.application(uid="acme")

    def test_a_nested_failure_undoes_only_its_part(self, scene):
        """One caller's refusal leaves the others of the commit alone, before and after it."""
        store = scene.store
        with store.transaction():
            before = store.add(scene.new_application(uid="before"))
            with pytest.raises(Conflict), store.transaction():  # noqa: PT012 - the transaction that fails
                store.add(scene.new_application(uid="lost"))
                store.add(scene.new_application(uid="before"))
            after = store.add(scene.new_application(uid="after"))
        assert [one.id for one in store.applications(Page(limit=MANY))] == [before, after]

    def test_what_a_nested_failure_undid_is_not_seen_by_a_later_fan_out(self, scene):
        """Caches follow the rollback: an endpoint that was never committed gets nothing."""
        application = scene.application()
        scene.publish(application)
        with scene.store.transaction():
            with pytest.raises(RingbackError), scene.store.transaction():  # noqa: PT012 - the transaction that fails
                scene.store.add(scene.new_endpoint(application))
                scene.store.accept([scene.acceptance(application)], scene.lease(), lambda _: True)
                raise RingbackError
            (inside,) = scene.store.accept([scene.acceptance(application)], scene.lease(), lambda _: True)
        assert inside.works == ()
        assert scene.publish(application).works == ()

    def test_changes_are_seen_inside(self, scene):
        """Verbs that read see what was written before them in the same transaction."""
        with scene.store.transaction():
            application = scene.new_application(uid="acme")
            scene.store.add(application)
            assert scene.store.application("acme") == application
            scene.store.add(scene.new_endpoint(application))
            (accepted,) = scene.store.accept([scene.acceptance(application)], scene.lease(), lambda _: True)
            assert len(accepted.works) == 1
