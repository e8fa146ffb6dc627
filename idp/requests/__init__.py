"""Requests for credentials: asked for, decided on, collected (docs/requests.md).

    terms       the wanted credential, and everything that an approver is shown
    steps       where a request stands, in steps, the same for whoever looks
    listing     pages of fifty, and the requests that somebody decides on
    pages       My requests
    deciding    the pages of approvers
    importing   the pages of imports
    batches     many requests from a file
    systems     decisions of systems, and webhooks to them
    ticks       deadlines, reminders and escalation, by the worker
    notices     mail and webhooks to those who decide

May import `derived`, `scim`, and everything of `idp` up to `enrol` and `console`.
"""
