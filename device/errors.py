"""The errors of a device, as a tree.

DeviceError
├── NotEnrolled          this device holds no bound credential
├── UntrustedIssuer      the issuer is not HTTPS, or its metadata name another issuer
├── Unreachable          no answer, or one without the protocol's form
├── BindingFailed        the desktop refused, or the code expired
└── ProtocolError        the server's own `error` and `error_description`
"""

from __future__ import annotations


class DeviceError(Exception):
    """The base of all errors here; never raised directly."""


class NotEnrolled(DeviceError):
    """There is no bound credential on this device: enrol first."""


class UntrustedIssuer(DeviceError):
    """The issuer is refused: no TLS off loopback (BI-4), or metadata of another issuer (RFC 8414 §3.3)."""


class Unreachable(DeviceError):
    """The server gave no answer, or one without the protocol's form."""


class BindingFailed(DeviceError):
    """The binding ended without a credential; `status` is `refused` or `expired`."""

    def __init__(self, status: str) -> None:
        self.status = status
        super().__init__(f"the binding was {status}")


class ProtocolError(DeviceError):
    """An error of the protocol: `{"error": …, "error_description": …}`.

    status: the HTTP status.
    retry_after: seconds to wait, where the server said so (429, 503).
    """

    def __init__(self, error: str, error_description: str, *, status: int, retry_after: float | None = None) -> None:
        self.error = error
        self.error_description = error_description
        self.status = status
        self.retry_after = retry_after
        super().__init__(f"{error}: {error_description}" if error_description else error)

    @property
    def is_passing(self) -> bool:
        """True if the same request may succeed later (429: wait; 503: the server could not decide)."""
        return self.status in {429, 503}
