"""The binding of tokens: the key of a DPoP proof (RFC 9449 §6), or a client's certificate (RFC 8705 §3; C23)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidRequestError

from idp.oidc.proofs import dpop
from idp.oidc.proofs import mutual_tls as certificate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.http import HttpRequest

    from idp.clients import RelyingParty


@dataclass(frozen=True, kw_only=True)
class ProofBinding:
    """jkt: the thumbprint of a DPoP key. x5t: the SHA-256 of a certificate. "" for neither.

    proof: the proof of the key in this request, to be spent by the grant.
    """

    jkt: str = ""
    x5t: str = ""
    proof: dpop.UnspentProof | None = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return bool(self.jkt or self.x5t)

    @classmethod
    def of(cls, cnf: Mapping[str, str] | None) -> ProofBinding:
        """From a token's `cnf`."""
        return cls(jkt=(cnf or {}).get("jkt", ""), x5t=(cnf or {}).get("x5t#S256", ""))

    @property
    def cnf(self) -> dict[str, str] | None:
        """The claim (RFC 7800)."""
        return {name: one for name, one in (("jkt", self.jkt), ("x5t#S256", self.x5t)) if one} or None

    @property
    def token_type(self) -> str:
        """RFC 9449 §5; a token that is bound to a certificate is a bearer token to the eye (RFC 8705 §3)."""
        return "DPoP" if self.jkt else "Bearer"

    def is_proven_by(self, shown: ProofBinding) -> bool:
        """True if a request proves everything that this binding names."""
        pairs = ((self.jkt, shown.jkt), (self.x5t, shown.x5t))
        return all(hmac.compare_digest(mine, theirs) for mine, theirs in pairs if mine)


def binding_of(request: HttpRequest, party: RelyingParty, *, now: datetime) -> ProofBinding:
    """The binding of a request at the token endpoint, as required by the client's registration (C21).

    The proof is not spent.
    Raises: OAuth2Error.
    """
    proof = dpop.proof_of_request(request, party, now=now)
    jkt = proof.jkt if proof else ""
    if not party.policy.certificate_bound:
        return ProofBinding(jkt=jkt, proof=proof)
    x5t = certificate.thumbprint(request, now=now)
    if not x5t and not jkt:
        raise InvalidRequestError(
            "This client's tokens are bound to its certificate: use the mtls_endpoint_aliases, and present it."
        )
    return ProofBinding(jkt=jkt, x5t=x5t or "", proof=proof)
