"""A resource server in front of an API's views: copy this package, or import it (docs/step-up.md).

    protect   require a token of a class and age, or answer with a challenge that names them (RFC 9470)
    tokens    verify an access token offline (RFC 9068), or by introspection (RFC 7662)
    metadata  the provider's metadata (RFC 8414), compared before anything is sent
    proofs    verify the DPoP proof of a bound token (RFC 9449 §7)

Needs httpx and joserfc only, and works with any provider that implements these RFCs. May import nothing else of this
repository.
"""

from __future__ import annotations

from resource_server.proofs import Call
from resource_server.protect import Api, Challenge, Need, protect
from resource_server.tokens import Introspected, Verified

__all__ = ["Api", "Call", "Challenge", "Introspected", "Need", "Verified", "protect"]
