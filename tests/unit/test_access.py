"""The decision who may do what, as a table."""

import pytest

from ringback.access import (
    ADMINISTRATOR,
    RIGHTS,
    Need,
    Place,
    Principal,
    Right,
    Scope,
    Verdict,
    decide,
    rights_of,
)

OURS, THEIRS = "app_ours", "app_theirs"
BOUND = {scope: Principal(rights=rights, application_id=OURS) for scope, rights in RIGHTS.items()}


@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize("right", [None, *Right])
def test_the_unknown_and_the_administrator(place, right):
    """Nobody known may do nothing; an administrator may do everything everywhere, also where nothing is."""
    need = Need(right, place)
    assert decide(None, need, OURS) is Verdict.UNKNOWN_CALLER
    assert decide(ADMINISTRATOR, need, THEIRS) is Verdict.ALLOWED
    assert decide(ADMINISTRATOR, need, None) is Verdict.ALLOWED


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("scope", Scope)
def test_an_application_s_own(scope, right):
    """It does what its scope allows, in its application; others are hidden, and what is above is forbidden."""
    allowed = right in RIGHTS[scope]
    inside, above = Need(right, Place.APPLICATION), Need(right, Place.ORGANISATION)
    assert decide(BOUND[scope], inside, OURS) is (Verdict.ALLOWED if allowed else Verdict.FORBIDDEN)
    for other in (THEIRS, None):
        assert decide(BOUND[scope], inside, other) is (Verdict.HIDDEN if allowed else Verdict.FORBIDDEN)
    assert decide(BOUND[scope], above, None) is Verdict.FORBIDDEN
    unbound = Principal(rights=RIGHTS[scope])
    assert decide(unbound, above, None) is (Verdict.ALLOWED if allowed else Verdict.FORBIDDEN)


@pytest.mark.parametrize("scope", Scope)
def test_what_is_shared(scope):
    """Whoever is known may see what is for all."""
    assert decide(BOUND[scope], Need(None, Place.SHARED), None) is Verdict.ALLOWED


def test_scopes_add_up():
    """Several scopes allow what each of them does; none allows nothing."""
    assert rights_of(()) == frozenset()
    assert rights_of((Scope.READ, Scope.PUBLISH)) == {Right.READ, Right.PUBLISH}
    assert rights_of((Scope.ADMIN, Scope.READ)) == frozenset(Right)
