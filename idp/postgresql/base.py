"""The connection to PostgreSQL: a request learns from the socket whether its connection still lives."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection, without a statement for the health check of each request.

    The server sends nothing to an idle connection; where it ended (restart, failover, termination, a proxy's timeout),
    the end or an error waits in the socket. Only then Django's own check asks with a statement. A server that vanished
    without a word is noticed no later: that statement would wait for it too.
    """

    def close_if_health_check_failed(self) -> None:
        """Close the connection if it has ended; once a request."""
        is_open = self.connection is not None and not self.health_check_done  # type: ignore[has-type]  # Django's
        if is_open and not self._has_received():
            self.health_check_done = True
        super().close_if_health_check_failed()

    def _has_received(self) -> bool:
        """True if anything waits in the socket, or it is closed."""
        if self.connection.closed:
            return True
        socket = select.poll()
        socket.register(self.connection.fileno(), select.POLLIN)
        return bool(socket.poll(0))
