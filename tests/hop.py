"""What the proxy of the certificate host says of a handshake, in its one header field."""

from __future__ import annotations

import base64
from urllib.parse import quote

NAME = "RametHop"


def said(secret: str, *, resumed: str = ".", pem: bytes = b"", der: bytes = b"", chain: bytes = b"") -> dict[str, str]:
    """The field, as nginx and Apache write it (pem), or HAProxy (der, chain)."""
    parts = [f"secret={secret}", f"resumed={resumed}"]
    if der:
        parts += [f"der={base64.b64encode(der).decode()}", f"chain={base64.b64encode(chain).decode()}"]
    else:
        parts.append(f"pem={quote(pem, safe='')}")
    return {NAME: "; ".join(parts)}
