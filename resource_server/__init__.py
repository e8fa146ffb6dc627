"""What an API puts in front of its views to be a resource server of Ramet: copy it, or import it (docs/step-up.md).

    protect   a token is asked for, verified, and strong and fresh enough, or the caller is told what to get (RFC 9470)
    tokens    what an access token is worth: verified here (RFC 9068), or asked about (RFC 7662)
    proofs    the DPoP proof that comes with a bound one (RFC 9449 §7)

It knows nothing of Ramet's inside: httpx and joserfc are all that it needs, and any provider that keeps these RFCs will do.
"""  # noqa: E501

from __future__ import annotations

from resource_server.proofs import Call
from resource_server.protect import Api, Challenge, Need, protect
from resource_server.tokens import Introspected, Verified

__all__ = ["Api", "Call", "Challenge", "Introspected", "Need", "Verified", "protect"]
