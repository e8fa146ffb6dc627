"""The identity manager's pages: what waits for a person, records side by side, and a profile with its provenance.

Managers are people whom the operator appointed (`manage.py person appoint`), signed in like everybody, with two factors; what they
do needs a sign-in of the last 20 minutes, and stands in the record under their name (ruling 24). Every page works without scripts.
"""
