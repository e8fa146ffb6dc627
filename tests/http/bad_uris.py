"""Redirect URIs that nobody may register, and that no request may name (P40, A18, C31, E20): two hundred and more."""

from __future__ import annotations

_SCHEMES = [
    "javascript", "JavaScript", "data", "file", "ftp", "vbscript", "about", "blob", "ws", "wss", "gopher", "ldap", "dict", "jar", "mailto", "tel", "sms", "intent",
    "chrome", "view-source", "urn", "app", "com", "x", "httpss", "htps", "hxxps", "filesystem", "ssh", "smb", "nfs", "telnet",
]  # fmt: skip
_INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.1", "[::1]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "127.0.1",
    "localhost", "localhost.", "metadata", "intranet", "router", "printer.local", "vault.internal", "db.localhost", "nas.lan", "x.home.arpa", "hidden.onion", "x.test",
    "0177.0.0.1", "0", "1", "192.0.2.1", "[2001:db8::1]", "[::]", "240.0.0.1",
]  # fmt: skip
_TRICKS = [
    "https://app.example@evil.example/cb", "https://app.example:pw@evil.example/cb", "https://app.example%40evil.example@x/cb", "https://:@app.example/cb", "https://@app.example/cb",
    "https://app.example/cb#", "https://app.example/cb#x", "https://app.example/cb#access_token=1", "https://*.example/cb", "https://app.*/cb", "https://*/cb",
    "https://app.example/../evil", "https://app.example/a/../../b", "https://app.example/..", "https:///cb", "https://", "https:", "https:/app.example/cb", "https:app.example/cb",
    "//app.example/cb", "/cb", "cb", "", " ", "https://app.example/cb ", " https://app.example/cb", "https://app.example/c b", "https://app.example/cb\t", "\thttps://app.example/cb",
    "https://app.example/cb\n", "https://app.example/cb\r\nLocation: x", "https://app.example/\x00", "https://app.example/\x7f", "https://app.example/\x1b", "https://app.example\\@evil.example/",
    "https://app.example\\.evil.example/", "https:\\\\app.example\\cb", "https://app.example/cb\\..\\x", 'https://app.example/"', "https://app.example/<script>", "https://app.example/>", "https://app.example/^",
    "https://app.example/`", "https://app.example/{x}", "https://app.example/|", "https://a\u2028b/", "https://a\u2029b/", "https://a\u0085b/", "https://app.example/\u2028https://evil.example/",
    "https://app.example/cb\x0bhttps://evil.example/", "https://app.example/cb\x0chttps://evil.example/", "https://аpp.example/cb", "https://app。example/cb", "https://app．example/cb",
    "https://ａpp.example/cb", "https://app.example/ü", "https://app.example/\u202e", "https://app.example/\u200b", "https://app.example/\ufeff", "\ufeffhttps://app.example/cb", "https://ⓔxample.org/",
    "https://app.example:99999/cb", "https://app.example:x/cb", "https://app.example:-1/cb", "https://[::1", "https://::1]/cb", "https://[x]/cb", "https://[::1]evil.example/cb", "https://evil[::1]/cb",
    "https://app.example/" + "a" * 500, "https://" + "a" * 600 + ".example/", "http://app.example/cb", "http://evil.example/cb", "http://127.0.0.1.evil.example/cb", "http://localhost.evil.example/cb",
    "http://127.0.0.1@evil.example/cb", "http://[::1].evil.example/cb", "HTTP://app.example/cb", "http://evil.example#@127.0.0.1/", "http://evil.example\\@127.0.0.1/", "http://127.0.0.2.nip.io/", "https",
    "https//app.example/cb", "https;//app.example/cb", "https://app.example/cb https://evil.example/cb", "https://app.example/cb,https://evil.example\n", "org.example.app:/cb", "com.example:/cb", "myapp:/cb",
    "myapp://cb", "org.example.app://x@y/cb", "1org.example:/cb", "-x.y:/cb", "https://app.example/%\n0a", "javascript://app.example/%0aalert(1)", "data:text/html,<script>1</script>", "data://x/y",
    "file://localhost/etc/passwd", "javascript:alert(1)//https://app.example/cb", "https://[fe80::1%25eth0]/cb", "https://app.example:443:443/cb", "https://%61pp.example\t/cb", "https://app.example\t.evil/cb",
]  # fmt: skip
BAD = [*dict.fromkeys([
    *(f"{scheme}://app.example/cb" for scheme in _SCHEMES), *(f"{scheme}:x" for scheme in _SCHEMES[:24]), *(f"https://{host}/cb" for host in _INSIDE), *_TRICKS,
])]  # fmt: skip
# What differs from a registered https://app.example/callback by something small: it may be good for somebody else, and is not the one.
NEAR = [
    "https://app.example/callback/", "https://app.example/callback?", "https://app.example/callback?x=1", "https://app.example/Callback", "https://APP.example/callback", "HTTPS://app.example/callback",
    "https://app.example:443/callback", "https://app.example./callback", "https://app.example//callback", "https://app.example/./callback", "https://app.example/x/../callback", "https://app.example/%63allback",
    "https://app.example/callback%00", "https://app.example/callback%2f..", "https://app.example/callbac", "https://app.example/callbackx", "https://app.exampl", "https://app.example.evil.example/callback",
    "https://evil.example/callback", "https://evil-app.example/callback", "https://sub.app.example/callback", "http://app.example/callback", "https://app.example/callback;x", "https://app.example:8443/callback",
    "https://app.example%2eevil.example/callback", "https://app.example%00.evil.example/callback", "https://evil.example/?https://app.example/callback", "https://evil.example#https://app.example/callback",
]  # fmt: skip
