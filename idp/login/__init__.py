"""Each way in yields evidence (`derived.rules.assurance.Authentication`), and nothing else decides a level.

May import `idp.models`, `idp.config` and below; the OpenID provider, enrolment and the pages import this.
"""
