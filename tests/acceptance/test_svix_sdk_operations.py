"""Every operation of the Svix server's API works with every SDK on every database, and the documentation says so."""

import pytest
from svix_operations import OPERATIONS, Walk, documented


def test_every_operation(sdk, svix_server, receiver, request):
    """Each of the 43 operations is answered as the SDK expects; the table in the documentation is what came of it."""
    walk = Walk(sdk, svix_server, receiver)
    results = walk.results()
    assert not walk.failures
    assert set(results) == set(OPERATIONS)
    database = request.node.callspec.params["svix_server"]
    assert documented()[sdk.version, database] == results


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_table_has_no_gap(operation):
    """The table has a row for every operation, and each says that it works."""
    assert all(results[operation] for results in documented().values())
