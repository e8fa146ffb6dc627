"""Threads that answer requests, in lanes: a lane serves one kind of request, and its queue is fair between networks.

An attacker can fill a lane's queue only for their own network: waiting networks take turns, each has a bound, and a
full lane drops the youngest request of the longest queue. SCIM, revocation and the probes have their own lanes, so no
flood of logins delays them (R28).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MOST_OF_A_NETWORK = 128  # requests that wait
MOST_IN_ALL = 512
LONGEST_WAIT = 8.0  # seconds in a queue; a caller who waited longer gets 503 and no late work


@dataclass(slots=True)
class Job:
    """A request that waits for a thread.

    network: whose turn it takes. run: answers the request. shed: answers it with 503, without any work.
    """

    network: str
    run: Callable[[], None]
    shed: Callable[[], None]
    since: float = field(default_factory=time.monotonic)


class Lane:
    """A few threads, started when they are needed first, and the requests that wait for them."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()  # the first network has the next turn
        self._count = 0
        self._idle = 0
        self._started = 0
        self._calls: SimpleQueue[None] = SimpleQueue()  # one for each waiting job

    def submit(self, job: Job) -> None:
        """Let it wait for its turn; where there is no room, it or a job of the longest queue is shed."""
        shed: Job | None = None
        with self._lock:
            own = self._waiting.get(job.network)
            if own is not None and len(own) >= MOST_OF_A_NETWORK:
                shed = job
            else:
                if self._count >= MOST_IN_ALL:
                    longest = max(self._waiting.values(), key=len)
                    shed = longest.pop() if len(longest) > len(own or ()) + 1 else job
                if shed is not job:
                    self._wait(job, replaces=shed)
        if shed is not None:
            shed.shed()

    def _wait(self, job: Job, *, replaces: Job | None) -> None:
        self._waiting.setdefault(job.network, deque()).append(job)
        if replaces is not None:
            self._forget_empty(replaces.network)
            return
        self._count += 1
        self._calls.put(None)
        if self._count > self._idle and self._started < self.threads:
            self._started += 1
            threading.Thread(target=self._work, name=f"{self.name}-{self._started}", daemon=True).start()

    def _forget_empty(self, network: str) -> None:
        if not self._waiting[network]:
            del self._waiting[network]

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            self._calls.get()
            job = self._next()
            try:
                if time.monotonic() - job.since > LONGEST_WAIT:
                    job.shed()
                else:
                    job.run()
            except BaseException:  # an answer that the server does not take, say: the next caller needs this thread
                logger.exception("a request ended with an error after its answer")

    def _next(self) -> Job:
        """The oldest job of the network with the next turn; that network moves to the end."""
        with self._lock:
            self._idle -= 1
            network, own = next(iter(self._waiting.items()))
            job = own.popleft()
            self._count -= 1
            if own:
                self._waiting.move_to_end(network)
            else:
                del self._waiting[network]
            return job
