"""Evidence: records of issuance, exports that are verified offline, reports on endings, access and issuance (EV-1 on).

    canonical     canonical JSON (RFC 8785)
    verify        the program that verifies an export with the standard library alone; a copy is in each export
    records       the record of issuance of one credential
    chains        whole chains with their paths to checkpoints
    export        an export of a person, a credential or a period, signed
    endings       the PS-4 report: who left, and when each thing of theirs last worked
    exposure      how long an offline verifier accepts what was revoked
    statistics    issuance in numbers, and the access review
    pages         the pages of the console
    sheets        tables as CSV, and reports as HTML that prints

May import `idp.witness`, `idp.console`, and everything below them.
"""
