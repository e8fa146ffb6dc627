"""Django system checks of the settings, the certificate host and the PKI folder."""
