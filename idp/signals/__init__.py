"""The worker: delivery of notices, logout tokens and feeds, and housekeeping.

    worker        the loop of the worker, and housekeeping
    outcomes      the results of a delivery
    mail_page     the HTML of a mail
    mail          notices to people
    transport     a mail handed to the server as addressed
    backchannel   back-channel logout tokens
    webhooks      webhooks about requests, to systems
    feed          signed SCIM events, polled by receivers
    files         the published lists and certificates as files
    tending       reviews and endings of certificates
    care          reminders before an expiry, unused accounts, reviews that nobody decided on
    purging       deletion of expired rows

May import `idp.oidc`, `idp.clients`, `idp.models`, `scim` and packages below them.
"""
