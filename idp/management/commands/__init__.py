"""One module per command; Django finds them by name.

    access        rules of access to clients, requests, and assignments
    agreement     trust agreements with clients, and cases of redress
    audit         verify the hash chains, show one, sign a checkpoint
    ca            the authority of derived certificates
    card          PIV and CAC cards
    client        relying parties
    conformance   prepare for the OpenID conformance suite
    credential    the ledger
    device        the reference device client
    evidence      exports for auditors that are verified offline, and reports
    exposure      the longest time for which an offline verifier accepts what was revoked
    feed          receivers of SCIM events
    held          people whose ending waits for a manager
    identity      checks in person
    key           signing keys
    mail          test the transport of mail
    match         join and split records of one person
    metadata      FIDO's metadata on security keys
    outbox        rows that wait for a receiver
    person        people and their accounts
    policy        the rules of issuance, in words
    request       requests for credentials, imports, and systems that decide
    restore       accept a restored backup
    review        the yearly review of derived credentials, and orphans
    role          the roles of people
    serve         serve HTTP
    source        identity sources
    upstream      upstream OpenID providers
    worker        deliver the outbox, rotate keys, expire, purge

May import everything but `idp.urls`.
"""
