"""The certification authority of Ramet, as stored in the database: its keys, its CRLs, its OCSP responses.

    keeping   create, certify (by an offline root or another CA), replace and retire an authority
    lists     CRLs: a full list, and shards of ten thousand certificates (IV-10, MT-8, C92)
    answers   OCSP responses
    making    a certificate: the record before it, and the signature
    issuing   the interface to any authority, own or external
    outside   an external authority, through a program of the operator's
    telling   status changes for an external authority

Certificate status is read from the ledger each time, so every ending of a credential revokes its certificate. May
import: `derived.ledger`, `derived.minting`, `derived.signers` and packages below them.
"""
