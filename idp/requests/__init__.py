"""Requests for credentials: asked for, decided on, collected (docs/requests.md).

    terms       the wanted credential, and everything that an approver is shown
    notices     mail and webhooks to those who decide

May import `derived`, `scim`, and everything of `idp` up to `enrol` and `console`.
"""
