"""Demonstrations from outside: a relying party, the narrated journey (`make demo`), and the server of `make run`.

    journey              `python -m demo.journey`: every chapter, checked
    context              the state that chapters share
    joiner               chapters: HR pushes a person, who gets a root credential and signs in
    phone                chapters: a phone is enrolled and signs in
    passkey_login        chapter: a derived passkey
    card_login           chapter: a PIV card at AAL3
    certificate_login    chapter: a derived certificate
    manager_day          chapter: a supervisor asks, a manager approves, the starter collects, an auditor verifies
    leaver               chapters: HR ends the person, and everything derived with them
    narration            print the journey and record its checks
    rendering            the credential tree and the events as tables
    stage                `python -m demo.stage`: serve Ramet with demo people (`make run`)
    company              the source, applications and people of `make run`
    server               start and stop a Ramet in processes of its own
    web                  serve a WSGI application in threads
    tls                  a server certificate for the local network
    proxy                nginx, and the proxy of a certificate host
    agency_site          a web server that checks certificates without calling Ramet
    pki                  a PKI in the shape of the Federal PKI, shared with the tests
    card_office          cards of that PKI, and the certificate host
    card_pages           the card login's steps in a browser
    laptop               a laptop with a derived certificate
    relying_party        the demo application (`python -m demo.relying_party`)
    relying_party_pages  its HTML
    openid               OpenID Connect for a relying party
    api                  a sample API with step-up (`python -m demo.api`)
    person               a person at a browser
    browser              a browser without a screen
    forms                parse the forms of a page
    authenticator        a TOTP app (`python -m demo.authenticator`)
    passkey              a phone's passkey in software
    hr                   an HR system that pushes over SCIM
    mailbox              read mail that Ramet has written to files

Everything here speaks HTTP to a Ramet in another process, and calls `manage.py`. May import `device` and
`resource_server`; never `idp`, `scim`, `derived` or Django.
"""
