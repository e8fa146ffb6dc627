"""The names that a certificate has, each in one spelling, so that two can be compared as texts (RFC 8705 §2.1.2)."""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509

KINDS = ("dn", "dns", "uri", "ip", "email")


def format_name(kind: str, value: str) -> str | None:
    """A name as `dns:rp.example.org`; None for a name that no certificate can have."""
    try:
        match kind:
            case "dn":
                name = x509.Name.from_rfc4514_string(value)
                return f"dn:{name.rfc4514_string()}" if name.rdns else None
            case "ip":
                return f"ip:{ip_address(value)}"
            case "dns":
                return f"dns:{value.lower()}" if value else None
            case "uri" | "email":
                return f"{kind}:{value}" if value else None
            case _:
                return None
    except ValueError:
        return None


def names(certificate: x509.Certificate) -> frozenset[str]:
    """Every name of a certificate: its subject, and its alternative names of the kinds that count."""
    found = [f"dn:{certificate.subject.rfc4514_string()}"] if certificate.subject.rdns else []
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset(found)
    kinds: dict[type, str] = {
        x509.DNSName: "dns",
        x509.UniformResourceIdentifier: "uri",
        x509.IPAddress: "ip",
        x509.RFC822Name: "email",
    }
    pairs = ((kinds.get(type(one)), str(getattr(one, "value", ""))) for one in others)
    return frozenset([*found, *(name for kind, value in pairs if kind and (name := format_name(kind, value)))])
