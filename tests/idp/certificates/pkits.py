"""NIST PKITS as data: sections, cases, published verdicts, and where we decide otherwise on purpose.

    python -m tests.idp.certificates.pkits      prints the table (section, cases, agreed, disagreed with reasons)

What runs here is what validates a path in the product: our builder (`paths`), the engine with our inputs, and the
engine's
word on CRLs through `News`. The front end (`reading`) is not part of it: it refuses every PKITS end entity, because
all of them
have more key usages than digitalSignature; a test of its own asserts that. PKITS has no OCSP, and no age limit of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import cryptography_vectors
from asn1crypto import x509 as asn1

from derived.errors import Refused
from idp.certificates import paths
from idp.certificates.engine import CertificateStatus, Inputs, RevocationSources, validate_path

FOLDER = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
NOW = datetime(2020, 6, 1, tzinfo=UTC)
NIST = [f"2.16.840.1.101.3.2.1.48.{number}" for number in range(7)]  # NIST[1] is NIST-test-policy-1
ANY = ("any_policy",)
FREE = Inputs(explicit_policy=False)

TITLES = {
    "4.1": "Signature verification",
    "4.2": "Validity periods",
    "4.3": "Name chaining",
    "4.4": "Basic revocation",
    "4.5": "Self-issued certificates",
    "4.6": "Basic constraints",
    "4.7": "Key usage",
    "4.8": "Certificate policies",
    "4.9": "Require explicit policy",
    "4.10": "Policy mappings",
    "4.11": "Inhibit policy mapping",
    "4.12": "Inhibit any policy",
    "4.13": "Name constraints",
    "4.14": "Distribution points",
    "4.15": "Delta CRLs",
    "4.16": "Private extensions",
}


@dataclass(frozen=True)
class Case:
    """One case: its number, the end entity's file, the inputs, and the published verdict.

    ours: why we decide otherwise, where we do.
    """

    number: str
    file: str
    valid: bool
    wanted: tuple[str, ...] = ANY
    inputs: Inputs = FREE
    ours: str = ""

    @property
    def section(self) -> str:
        return ".".join(self.number.split(".")[:2])

    @property
    def expected(self) -> bool:
        """What we decide."""
        return self.valid != bool(self.ours)


def _named(section: str, names: str) -> list[Case]:
    """Cases whose file names say the verdict; in the order of their numbers."""
    found = []
    for name in names.split():
        number = name.rsplit("Test", 1)[1]
        found.append(
            Case(
                f"{section}.{number}",
                name,
                name.lower().startswith("valid"),
                ours=DISAGREED.get(f"{section}.{number}", ""),
            )
        )
    return found


_WEAK = "DSA is not accepted anywhere (SP 800-78-5 has no DSA; FIPS 186-5 withdrew it)"
_UNIQUE = (
    "unique identifiers, which RFC 5280 §4.1.2.8 forbids: asn1crypto writes them back otherwise, "
    "the signature fails: refused"
)
DISAGREED = {"4.1.4": _WEAK, "4.1.5": _WEAK, "4.3.6": _UNIQUE}


def _files(prefix: str) -> list[str]:
    return [path.name.removesuffix("EE.crt") for path in sorted((FOLDER / "certs").glob(f"{prefix}*EE.crt"))]


_BY_SECTION = {
    "4.1": "ValidCertificatePathTest1 InvalidCASignatureTest2 InvalidEESignatureTest3 ValidDSASignaturesTest4"
    " ValidDSAParameterInheritanceTest5 InvalidDSASignatureTest6",
    "4.2": "InvalidCAnotBeforeDateTest1 InvalidEEnotBeforeDateTest2 Validpre2000UTCnotBeforeDateTest3"
    " ValidGeneralizedTimenotBeforeDateTest4 InvalidCAnotAfterDateTest5 InvalidEEnotAfterDateTest6"
    " Invalidpre2000UTCEEnotAfterDateTest7 ValidGeneralizedTimenotAfterDateTest8",
    "4.3": "InvalidNameChainingTest1 InvalidNameChainingOrderTest2 ValidNameChainingWhitespaceTest3"
    " ValidNameChainingWhitespaceTest4 ValidNameChainingCapitalizationTest5 ValidNameUIDsTest6"
    " ValidRFC3280MandatoryAttributeTypesTest7 ValidRFC3280OptionalAttributeTypesTest8 ValidUTF8StringEncodedNamesTest9"
    " ValidRolloverfromPrintableStringtoUTF8StringTest10 ValidUTF8StringCaseInsensitiveMatchTest11",
    "4.4": "InvalidMissingCRLTest1 InvalidRevokedCATest2 InvalidRevokedEETest3 InvalidBadCRLSignatureTest4"
    " InvalidBadCRLIssuerNameTest5 InvalidWrongCRLTest6 ValidTwoCRLsTest7 InvalidUnknownCRLEntryExtensionTest8"
    " InvalidUnknownCRLExtensionTest9 InvalidUnknownCRLExtensionTest10 InvalidOldCRLnextUpdateTest11"
    " Invalidpre2000CRLnextUpdateTest12 ValidGeneralizedTimeCRLnextUpdateTest13 ValidNegativeSerialNumberTest14"
    " InvalidNegativeSerialNumberTest15 ValidLongSerialNumberTest16 ValidLongSerialNumberTest17"
    " InvalidLongSerialNumberTest18 ValidSeparateCertificateandCRLKeysTest19 InvalidSeparateCertificateandCRLKeysTest20"
    " InvalidSeparateCertificateandCRLKeysTest21",
    "4.5": "ValidBasicSelfIssuedOldWithNewTest1 InvalidBasicSelfIssuedOldWithNewTest2 "
    "ValidBasicSelfIssuedNewWithOldTest3"
    " ValidBasicSelfIssuedNewWithOldTest4 InvalidBasicSelfIssuedNewWithOldTest5 ValidBasicSelfIssuedCRLSigningKeyTest6"
    " InvalidBasicSelfIssuedCRLSigningKeyTest7 InvalidBasicSelfIssuedCRLSigningKeyTest8",
    "4.6": "InvalidMissingbasicConstraintsTest1 InvalidcAFalseTest2 InvalidcAFalseTest3 "
    "ValidbasicConstraintsNotCriticalTest4 "
    + " ".join(f"{'Valid' if n in {7, 8, 13, 14} else 'Invalid'}pathLenConstraintTest{n}" for n in range(5, 15))
    + " ValidSelfIssuedpathLenConstraintTest15 InvalidSelfIssuedpathLenConstraintTest16 "
    "ValidSelfIssuedpathLenConstraintTest17",
    "4.7": "InvalidkeyUsageCriticalkeyCertSignFalseTest1 InvalidkeyUsageNotCriticalkeyCertSignFalseTest2"
    " ValidkeyUsageNotCriticalTest3 InvalidkeyUsageCriticalcRLSignFalseTest4 "
    "InvalidkeyUsageNotCriticalcRLSignFalseTest5",
    "4.9": "ValidrequireExplicitPolicyTest1 ValidrequireExplicitPolicyTest2 InvalidrequireExplicitPolicyTest3"
    " ValidrequireExplicitPolicyTest4 InvalidrequireExplicitPolicyTest5 ValidSelfIssuedrequireExplicitPolicyTest6"
    " InvalidSelfIssuedrequireExplicitPolicyTest7 InvalidSelfIssuedrequireExplicitPolicyTest8",
    "4.11": "InvalidinhibitPolicyMappingTest1 ValidinhibitPolicyMappingTest2 InvalidinhibitPolicyMappingTest3"
    " ValidinhibitPolicyMappingTest4 InvalidinhibitPolicyMappingTest5 InvalidinhibitPolicyMappingTest6"
    " ValidSelfIssuedinhibitPolicyMappingTest7 InvalidSelfIssuedinhibitPolicyMappingTest8"
    " InvalidSelfIssuedinhibitPolicyMappingTest9 InvalidSelfIssuedinhibitPolicyMappingTest10"
    " InvalidSelfIssuedinhibitPolicyMappingTest11",
    "4.12": "InvalidinhibitAnyPolicyTest1 ValidinhibitAnyPolicyTest2 InvalidinhibitAnyPolicyTest4 "
    "InvalidinhibitAnyPolicyTest5"
    " InvalidinhibitAnyPolicyTest6 ValidSelfIssuedinhibitAnyPolicyTest7 InvalidSelfIssuedinhibitAnyPolicyTest8"
    " ValidSelfIssuedinhibitAnyPolicyTest9 InvalidSelfIssuedinhibitAnyPolicyTest10",
    "4.16": "ValidUnknownNotCriticalCertificateExtensionTest1 InvalidUnknownCriticalCertificateExtensionTest2",
}
# Sections that can be told by the names of their files alone.
_BY_WORD = {
    "4.13": ("nameConstraintsTest",),
    "4.14": (
        "distributionPointTest",
        "ssuingDistributionPointTest",
        "onlyContains",
        "onlySomeReasonsTest",
        "IDPwithindirectCRLTest",
        "cRLIssuerTest",
    ),
    "4.15": ("deltaCRL",),
}


def _policy_cases() -> list[Case]:
    """Sections 4.8, 4.10 and 4.12.3, whose cases run with several inputs: (number, file, [(wanted, explicit or
    inhibited, valid)]).
    """
    one, two, three, six = (NIST[1],), (NIST[2],), (NIST[3],), (NIST[6],)
    free, explicit = FREE, Inputs()
    unmapped = Inputs(explicit_policy=False, inhibit_mapping=True)
    table: list[tuple[str, str, list[tuple[tuple[str, ...], Inputs, bool]]]] = [
        (
            "4.8.1",
            "ValidCertificatePathTest1",
            [(ANY, explicit, True), (one, explicit, True), (two, explicit, False), ((*one, *two), explicit, True)],
        ),
        ("4.8.2", "AllCertificatesNoPoliciesTest2", [(ANY, free, True), (ANY, explicit, False)]),
        (
            "4.8.3",
            "DifferentPoliciesTest3",
            [(ANY, free, True), (ANY, explicit, False), ((*one, *two), explicit, False)],
        ),
        ("4.8.4", "DifferentPoliciesTest4", [(ANY, free, False)]),
        ("4.8.5", "DifferentPoliciesTest5", [(ANY, free, False)]),
        ("4.8.6", "OverlappingPoliciesTest6", [(ANY, free, True), (one, free, True), (two, free, False)]),
        ("4.8.7", "DifferentPoliciesTest7", [(ANY, free, False)]),
        ("4.8.8", "DifferentPoliciesTest8", [(ANY, free, False)]),
        ("4.8.9", "DifferentPoliciesTest9", [(ANY, free, False)]),
        ("4.8.10", "AllCertificatesSamePoliciesTest10", [(ANY, free, True), (one, free, True), (two, free, True)]),
        ("4.8.11", "AllCertificatesanyPolicyTest11", [(ANY, free, True), (one, free, True)]),
        ("4.8.12", "DifferentPoliciesTest12", [(ANY, free, False)]),
        ("4.8.13", "AllCertificatesSamePoliciesTest13", [(one, free, True), (two, free, True), (three, free, True)]),
        ("4.8.14", "AnyPolicyTest14", [(one, free, True), (two, free, False)]),
        *[(f"4.8.{n}", f"UserNoticeQualifierTest{n}", [(ANY, free, True)]) for n in (15, 16, 17, 19)],
        ("4.8.18", "UserNoticeQualifierTest18", [(one, free, True), (two, free, True)]),
        ("4.8.20", "CPSPointerQualifierTest20", [(ANY, explicit, True)]),
        ("4.10.1", "ValidPolicyMappingTest1", [(one, free, True), (two, free, False), (ANY, unmapped, False)]),
        ("4.10.2", "InvalidPolicyMappingTest2", [(ANY, free, False), (ANY, unmapped, False)]),
        ("4.10.3", "ValidPolicyMappingTest3", [(one, free, False), (two, free, True)]),
        ("4.10.4", "InvalidPolicyMappingTest4", [(ANY, free, False)]),
        ("4.10.5", "ValidPolicyMappingTest5", [(one, free, True), (six, free, False)]),
        ("4.10.6", "ValidPolicyMappingTest6", [(one, free, True), (six, free, False)]),
        ("4.10.7", "InvalidMappingFromanyPolicyTest7", [(ANY, free, False)]),
        ("4.10.8", "InvalidMappingToanyPolicyTest8", [(ANY, free, False)]),
        ("4.10.9", "ValidPolicyMappingTest9", [(ANY, free, True)]),
        ("4.10.10", "InvalidPolicyMappingTest10", [(ANY, free, False)]),
        ("4.10.11", "ValidPolicyMappingTest11", [(ANY, free, True)]),
        ("4.10.12", "ValidPolicyMappingTest12", [(one, free, True), (two, free, True)]),
        ("4.10.13", "ValidPolicyMappingTest13", [(ANY, free, True)]),
        ("4.10.14", "ValidPolicyMappingTest14", [(ANY, free, True)]),
        (
            "4.12.3",
            "inhibitAnyPolicyTest3",
            [(ANY, free, True), (ANY, Inputs(explicit_policy=False, inhibit_any=True), False)],
        ),
    ]
    return [
        Case(number if len(runs) == 1 else f"{number}.{turn}", file, valid, wanted, inputs)
        for number, file, runs in table
        for turn, (wanted, inputs, valid) in enumerate(runs, 1)
    ]


def cases() -> list[Case]:
    """All of them, in order."""
    found = [case for section, names in _BY_SECTION.items() for case in _named(section, names)]
    for section, words in _BY_WORD.items():
        names = [name for name in _files("") if any(word in name for word in words)]
        found += _named(section, " ".join(names))
    found += _policy_cases()
    return sorted(found, key=lambda case: [int(part) for part in case.number.split(".")])


@lru_cache(maxsize=1)
def _everything() -> tuple[tuple[asn1.Certificate, ...], asn1.Certificate, tuple[bytes, ...]]:
    certificates = tuple(asn1.Certificate.load(path.read_bytes()) for path in sorted((FOLDER / "certs").glob("*.crt")))
    anchor = asn1.Certificate.load((FOLDER / "certs" / "TrustAnchorRootCertificate.crt").read_bytes())
    return certificates, anchor, tuple(path.read_bytes() for path in sorted((FOLDER / "crls").glob("*.crl")))


@lru_cache(maxsize=512)
def leaf(file: str) -> asn1.Certificate:
    """The end entity of a case."""
    return asn1.Certificate.load((FOLDER / "certs" / f"{file}EE.crt").read_bytes())


def accepts(case: Case) -> bool:
    """What our builder and the engine, with our rules for revocation, say."""
    certificates, anchor, crls = _everything()
    for chain in paths.build(leaf(case.file), certificates, [anchor]):
        try:
            path = validate_path(chain, wanted=case.wanted, now=NOW, inputs=case.inputs)
        except Refused:
            continue
        news = RevocationSources(path.chain, now=NOW, crls=_relevant(chain, crls), others=certificates)
        if all(news.of_crls(index) is CertificateStatus.GOOD for index in range(len(chain) - 1)):
            return True
    return False


def _relevant(chain: tuple[asn1.Certificate, ...], crls: tuple[bytes, ...]) -> list[bytes]:
    """The CRLs of the chain's issuers, and of those whom its distribution points name."""
    from asn1crypto import crl

    names = {one.issuer.hashable for one in chain}
    for one in chain:
        for point in one.crl_distribution_points_value or ():
            names |= {
                general.chosen.hashable for general in point["crl_issuer"] or () if general.name == "directory_name"
            }
    return [der for der in crls if crl.CertificateList.load(der).issuer.hashable in names]


def table() -> str:
    """Sections, cases, agreed, and disagreements with their reasons."""
    lines, reasons, totals = ["section                          cases  agreed  disagreed"], [], [0, 0]
    for section, title in TITLES.items():
        here = [case for case in cases() if case.section == section]
        agreed = [case for case in here if accepts(case) == case.valid]
        totals = [totals[0] + len(here), totals[1] + len(agreed)]
        lines.append(f"{section:5} {title:26} {len(here):5} {len(agreed):7} {len(here) - len(agreed):10}")
        reasons += [f"  {case.number} {case.file}: {case.ours or 'UNEXPLAINED'}" for case in here if case not in agreed]
    return "\n".join([*lines, f"{'all':32} {totals[0]:5} {totals[1]:7} {totals[0] - totals[1]:10}", *reasons])


if __name__ == "__main__":
    print(table())  # noqa: T201 - that is what it is for
