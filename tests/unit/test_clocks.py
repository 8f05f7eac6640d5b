"""The clock of nodes that share a database: the database's, whatever the machine's says."""

import threading

from ringback.clocks import DatabaseClock
from ringback.errors import Unavailable

HOUR = 3_600_000
START = 1_760_000_000_000


class Server:
    """A database with a time of its own, that is so many seconds away."""

    def __init__(self):
        self.seconds = 50.0
        self.offset = 0
        self.way = 0.0
        self.asked = 0

    def elapsed(self):
        """Return the machine's seconds."""
        return self.seconds

    @property
    def time(self):
        """The time at the server."""
        return START + self.offset + round(self.seconds * 1000)

    def now(self):
        """See ``Store``; the question and the answer are under way for as long."""
        self.asked += 1
        self.seconds += self.way
        told = self.time
        self.seconds += self.way
        return told


def started(server):
    clock = DatabaseClock(server, server.elapsed)
    clock.renew_through(lambda measure: measure(server))
    return clock


def test_it_tells_the_time_of_the_database():
    """The time is the database's, also in between two readings, for which half of the way is taken off."""
    server = Server()
    server.way = 0.02
    clock = started(server)
    assert clock() == server.time
    server.seconds += 1.5
    assert clock() == server.time


def test_it_is_read_again_now_and_then():
    """After two seconds the next question has it read again, and what the database says is believed."""
    server = Server()
    clock = started(server)
    server.offset, asked = HOUR, server.asked
    server.seconds += 1
    assert clock() == server.time - HOUR
    server.seconds += 1.5
    clock()
    assert (clock(), server.asked) == (server.time, asked + 1)


def test_it_does_not_go_back():
    """Where the database is a little behind what was told, the clock stands still until it is not."""
    server = Server()
    clock = started(server)
    told = clock()
    server.offset -= 5_000
    server.seconds += 3
    clock()
    assert clock() == told + 3_000
    server.seconds += 1
    assert clock() == told + 3_000
    server.seconds += 4.5
    assert clock() == server.time


def test_a_database_that_is_set_back_is_followed():
    """Where it goes back by an hour, the clock goes with it: leases are judged by it all the same."""
    server = Server()
    clock = started(server)
    clock()
    server.offset -= HOUR
    server.seconds += 3
    clock()
    assert clock() == server.time


def test_a_slow_answer_is_not_believed():
    """An answer that took long says less than what is known, until that is old."""
    server = Server()
    clock = started(server)
    expected = clock() - round(server.seconds * 1000)
    server.offset, server.way = 400, 0.2
    server.seconds += 3
    clock()
    asked_at = server.seconds
    assert clock() == expected + round(asked_at * 1000)
    server.seconds += 30
    clock()
    server.way = 0.0
    assert clock() == server.time


def test_without_the_database_it_goes_on():
    """While the database cannot be asked, time goes on; and it is asked again when it can."""
    server = Server()
    clock = started(server)

    def refuse(_):
        raise Unavailable("this node is shutting down")

    clock.renew_through(refuse)
    server.seconds += 100
    assert clock() == server.time
    clock.renew_through(lambda measure: measure(server))
    asked = server.asked
    clock()
    assert server.asked == asked + 1


def test_one_asks_at_a_time():
    """However many threads want the time, one question is under way."""
    server = Server()
    clock = started(server)
    waiting = []
    clock.renew_through(waiting.append)
    server.seconds += 3
    threads = [threading.Thread(target=clock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waiting) == 1
