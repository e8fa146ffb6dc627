"""Policy files and FIDO's metadata.

    test_fido_metadata  importing FIDO's signed publication, and what becomes of keys whose model is not believed

May import everything.
"""
