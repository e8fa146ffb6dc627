"""The value of an upstream's claims: an exact table, then its cap (AU-7, C10; trap 21).

Pure: claims of a verified ID token in, an `Assertion` out. A missing claim, another type or another spelling has no
level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derived.rules.assurance import AAL, IAL, Assertion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.models import Upstream

_LIST = "[]"
_MOST_AMR = 20


def texts_of(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The texts of one claim: one text, or, for a name that ends with `[]`, a list of nothing but texts. Else none."""
    value = claims.get(claim.removesuffix(_LIST))
    if claim.endswith(_LIST):
        return list(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else []
    return [value] if isinstance(value, str) else []


def assertion_of(upstream: Upstream, claims: Mapping[str, Any]) -> Assertion:
    """The assertion that these verified claims make. `amr` alone never raises anything."""
    known = [value for value in texts_of(claims, upstream.aal_claim or "acr") if value in upstream.levels]
    best = max(known, key=lambda value: int(upstream.levels[value][0]), default=None)
    aal = AAL(upstream.levels[best][0]) if best is not None else AAL.NONE
    proofed = [value for value in texts_of(claims, upstream.ial_claim or "acr") if value in upstream.levels]
    return Assertion(
        issuer=upstream.issuer,
        aal=min(aal, AAL(upstream.cap)),
        ial=max((IAL(upstream.levels[value][1]) for value in proofed), default=IAL.NONE),
        phishing_resistant=any(value in upstream.phishing_resistant for value in known),
        amr=tuple(
            sorted({upstream.amr[value] for value in texts_of(claims, "amr[]")[:_MOST_AMR] if value in upstream.amr})
        ),
        fal=1 if claims.get("fal") in (1, "1") else 2,
    )
