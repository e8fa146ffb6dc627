"""The only module that uses pyhanko-certvalidator: RFC 5280 §6.1 for a given path, and the content of CRLs and OCSP.

The engine is asynchronous because it can fetch; here it never may, so it never waits, and is run to its end in one call
(`_now`). It builds no path itself, and gets no revocation data except for the given path.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from asn1crypto import crl, ocsp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import (
    CRLValidationError,
    ExpiredError,
    NotYetValidError,
    OCSPValidationError,
    PathValidationError,
    RevokedError,
)
from pyhanko_certvalidator.ltv.poe import POEManager
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo, ValidationTimingParams
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    PKIXValidationParams,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import CertificateRegistry
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer
from pyhanko_certvalidator.revinfo.manager import RevinfoManager
from pyhanko_certvalidator.revinfo.validate_crl import find_cert_in_list, verify_crl
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response
from pyhanko_certvalidator.validate import async_validate_path

from derived.errors import Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from asn1crypto.x509 import Certificate

Points: TypeAlias = Any  # asn1crypto's CRLDistributionPoints
logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_SKEW = timedelta(seconds=60)  # the permitted lead of a responder's clock
_SHORT = timedelta(
    hours=1
)  # the validity of an OCSP response without nextUpdate (RFC 6960 §2.4: newer is always available)


class CertificateStatus(Enum):
    """The status of a certificate by one source."""

    GOOD = "good"
    REVOKED = "revoked"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class ValidatedPath:
    """A validated path. chain: leaf first, anchor last. policies: the user's OIDs for which it is valid, mapped."""

    chain: tuple[Certificate, ...]
    policies: frozenset[str]


def _now(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: _Result = end.value
        return result
    coroutine.close()
    message = "the engine wanted to wait: it may not fetch"
    raise RuntimeError(message)


def _engine_path(chain: Sequence[Certificate]) -> ValidationPath:
    """The anchor's own name constraints, policies and path length count too (x509-limbo: 23 false accepts without)."""
    anchor = CertTrustAnchor(chain[-1], derive_default_quals_from_cert=True)
    return ValidationPath(anchor, list(chain[-2:0:-1]), chain[0])


def _rule(rule: RevocationCheckingRule) -> CertRevTrustPolicy:
    """Retroactive: a status may be dated a little after this clock; `Term.holds` limits it."""
    return CertRevTrustPolicy(revocation_checking_policy=RevocationCheckingPolicy(rule, rule), retroactive_revinfo=True)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of RFC 5280 §6.1.1 (e) to (g). By default a policy is required from the start."""

    explicit_policy: bool = True
    inhibit_mapping: bool = False
    inhibit_any: bool = False


STRICT = Inputs()


def validate_path(
    chain: Sequence[Certificate], *, wanted: Iterable[str], now: datetime, inputs: Inputs = STRICT
) -> ValidatedPath:
    """The path, if RFC 5280 §6.1 accepts it for at least one of the wanted policies; without revocation.

    chain: leaf first, anchor last.
    Raises: Refused(CERTIFICATE_UNTRUSTED), Refused(CERTIFICATE_WRONG_POLICY).
    """
    path = _engine_path(chain)
    context = ValidationContext(
        trust_roots=[path.trust_anchor],
        moment=now,
        allow_fetching=False,
        time_tolerance=timedelta(0),
        revinfo_policy=_rule(RevocationCheckingRule.NO_CHECK),
    )
    try:
        _now(
            async_validate_path(
                context,
                path,
                PKIXValidationParams(
                    user_initial_policy_set=frozenset(wanted),
                    initial_explicit_policy=inputs.explicit_policy,
                    initial_policy_mapping_inhibit=inputs.inhibit_mapping,
                    initial_any_policy_inhibit=inputs.inhibit_any,
                ),
            )
        )
        found = {one.user_domain_policy_id for one in path.qualified_policies() or ()}
    except (ExpiredError, NotYetValidError) as error:  # of a CA: the leaf's own dates were checked before
        raise Refused(Reason.CERTIFICATE_UNTRUSTED) from error
    except PathValidationError as error:
        logger.debug("a certificate's path was refused: %s", error)  # names a person: not for the log
        wrong = "valid set of policies" in str(error)
        raise Refused(Reason.CERTIFICATE_WRONG_POLICY if wrong else Reason.CERTIFICATE_UNTRUSTED) from error
    except Exception as error:  # lazily parsed content of others: any exception means an invalid path
        logger.warning("a certificate's path broke the engine: %s", type(error).__name__)
        raise Refused(Reason.CERTIFICATE_UNTRUSTED) from error
    return ValidatedPath(chain=tuple(chain), policies=frozenset(found))


class RevocationSources:
    """The status of the certificates of a validated path, by CRLs and OCSP responses.

    crls, answers: DER, of this path's issuers only. others: further certificates of those issuers (a CRL may be signed
    with another key of theirs). Each source counts only if its signature, scope, authority and time are correct.
    """

    def __init__(
        self,
        chain: Sequence[Certificate],
        *,
        now: datetime,
        crls: Iterable[bytes] = (),
        answers: Iterable[bytes] = (),
        others: Iterable[Certificate] = (),
    ) -> None:
        self._chain = tuple(chain)
        self._now = now
        self._path = _engine_path(chain)
        lists = [one for one in map(_crl, crls) if one is not None]
        told = [one for one in map(_answer, answers) if one is not None]
        self._deltas = [one for one in combinable(lists) if one.delta_crl_indicator_value is not None]
        registry = CertificateRegistry.build([*chain, *others])
        poe = POEManager()
        manager = RevinfoManager(
            certificate_registry=registry,
            poe_manager=poe,
            crls=[CRLContainer(one) for one in combinable(lists)],
            ocsps=[container for one in told for container in OCSPContainer.load_multi(one)],
            fetchers=None,
        )
        self._context = ValidationContext(
            trust_roots=[self._path.trust_anchor],
            moment=now,
            allow_fetching=False,
            time_tolerance=timedelta(0),
            revinfo_policy=_rule(RevocationCheckingRule.CRL_OR_OCSP_REQUIRED),
            revinfo_manager=manager,
            certificate_registry=registry,
        )
        # With a moment, the engine omits revocations after it, as by a clock that is ahead. A listed certificate is
        # revoked.
        self._context.timing_params = ValidationTimingParams(
            ValidationTimingInfo(validation_time=now, best_signature_time=now, point_in_time_validation=False),
            timedelta(0),
        )
        for depth, certificate in enumerate(reversed(self._chain)):  # the path itself is valid already
            self._context.record_validation(  # type: ignore[no-untyped-call]
                certificate, _engine_path(self._chain[len(self._chain) - 1 - depth :]) if depth else self._path
            )

    def of_crls(self, index: int) -> CertificateStatus:
        """The status of chain[index] by CRLs, including a delta that only the certificate names (freshestCRL)."""
        word = self._ask(verify_crl(self._chain[index], self._path, self._context))
        return CertificateStatus.REVOKED if word is CertificateStatus.GOOD and self._is_in_a_delta(index) else word

    def _is_in_a_delta(self, index: int) -> bool:
        certificate, issuer = self._chain[index], self._chain[index + 1]
        for one in self._deltas:
            if one.issuer == issuer.subject and is_signed_by(one.dump(), issuer):
                _, reason = find_cert_in_list(certificate, certificate.issuer, one, issuer.subject)
                if reason is not None and reason.native != "remove_from_crl":
                    return True
        return False

    def of_answers(self, index: int) -> CertificateStatus:
        """The status of chain[index] by OCSP responses."""
        return self._ask(verify_ocsp_response(self._chain[index], self._path, self._context))

    @staticmethod
    def _ask(question: Coroutine[Any, Any, None]) -> CertificateStatus:
        try:
            _now(question)
        except RevokedError:
            return CertificateStatus.REVOKED
        except (CRLValidationError, OCSPValidationError, PathValidationError) as error:
            logger.debug("no news: %s", error)
            return CertificateStatus.NOTHING
        except Exception as error:  # noqa: BLE001 - of others: any exception means no status
            logger.warning("revocation news broke the engine: %s", type(error).__name__)
            return CertificateStatus.NOTHING
        return CertificateStatus.GOOD


def combinable(lists: Sequence[crl.CertificateList]) -> list[crl.CertificateList]:
    """The lists without deltas that fit no base among them (RFC 5280 §5.2.4, which the engine leaves out).

    A delta fits a base of the same issuer whose number is at least the delta's BaseCRLNumber and at most its own.
    """
    kept = []
    for one in lists:
        least = one.delta_crl_indicator_value
        if least is None or any(
            base.delta_crl_indicator_value is None
            and base.issuer == one.issuer
            and base.crl_number_value is not None
            and one.crl_number_value is not None
            and least.native <= base.crl_number_value.native <= one.crl_number_value.native
            for base in lists
        ):
            kept.append(one)
    return kept


def _crl(der: bytes) -> crl.CertificateList | None:
    try:
        found = crl.CertificateList.load(der, strict=True)
        found.issuer.hashable, found["tbs_cert_list"]["this_update"].native, found.critical_extensions
    except Exception:  # noqa: BLE001 - lazily parsed bytes of others
        return None
    return found


def is_signed_by(der: bytes, issuer: Certificate) -> bool:
    """True if an authority's own key signed a CRL."""
    try:
        key = load_der_public_key(issuer.public_key.dump())
        return x509.load_der_x509_crl(der).is_signature_valid(key)  # type: ignore[arg-type]  # other kinds of key raise
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _answer(der: bytes) -> ocsp.OCSPResponse | None:
    try:
        found = ocsp.OCSPResponse.load(der, strict=True)
        _ = found.native  # parses all of it
    except Exception:  # noqa: BLE001 - lazily parsed bytes of others
        return None
    return found


@dataclass(frozen=True, kw_only=True)
class StatusValidity:
    """The validity of a response: its time, and its end by its own statement."""

    since: datetime
    until: datetime

    def holds(self, now: datetime, *, most: timedelta) -> bool:
        """True if it is valid now, with an age of at most `most`."""
        return self.since - _SKEW <= now < min(self.until, self.since + most)


def validity_of_crl(der: bytes) -> StatusValidity | None:
    """The term of a CRL; one without nextUpdate is not usable (RFC 5280 §5.1.2.5)."""
    found = _crl(der)
    if found is None or not found["tbs_cert_list"]["next_update"].native:
        return None
    return StatusValidity(
        since=found["tbs_cert_list"]["this_update"].native, until=found["tbs_cert_list"]["next_update"].native
    )


def validity_of_ocsp(der: bytes, *, nonce: bytes | None = None) -> StatusValidity | None:
    """The validity of an OCSP response; None if it echoes another nonce (RFC 9654)."""
    found = _answer(der)
    try:
        if found is None or found["response_status"].native != "successful":
            return None
        data = found.basic_ocsp_response["tbs_response_data"]
        if nonce is not None and found.nonce_value is not None and found.nonce_value.native != nonce:
            return None
        [single] = data["responses"]
        since = single["this_update"].native
        until = single["next_update"].native or since + _SHORT
    except Exception:  # noqa: BLE001 - lazily parsed bytes of others
        return None
    return StatusValidity(since=since, until=until) if isinstance(since, datetime) and since.tzinfo else None


def deltas_named_by(source: crl.CertificateList | Certificate) -> list[str]:
    """The URLs of delta CRLs in a CRL or a certificate (freshestCRL)."""
    value = source.freshest_crl_value
    return urls_of(value) if value else []


def urls_of(points: Points) -> list[str]:
    """The http addresses of distribution points."""
    found = []
    for point in points:
        name = point["distribution_point"]
        if name and name.name == "full_name" and not point["reasons"].native:
            found += [general.native for general in name.chosen if general.name == "uniform_resource_identifier"]
    return [one for one in found if str(one).startswith(("http://", "https://"))]


def deltas_of_crl(der: bytes) -> list[str]:
    """The URLs of a CRL's deltas."""
    found = _crl(der)
    return deltas_named_by(found) if found is not None else []
