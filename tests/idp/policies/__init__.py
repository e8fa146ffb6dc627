"""Policy files and FIDO's metadata.

    test_fido_metadata  importing FIDO's signed publication, and what becomes of keys whose model is not believed
    test_site           the organisation's settings of the site: checked, shown, and never in the way

May import everything.
"""
