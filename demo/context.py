"""The state that the chapters of the journey share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from demo.person import Person
from demo.rendering import flat, tree_of

if TYPE_CHECKING:
    import httpx

    from demo.browser import Browser
    from demo.card_office import CardOffice
    from demo.hr import HumanResources
    from demo.laptop import Laptop
    from demo.mailbox import Mailbox
    from demo.narration import Narration
    from demo.openid import Login, OpenIdClient, Pending
    from demo.relying_party import RelyingParty
    from demo.server import Ramet
    from device.client import Code, DeviceClient, Tokens
    from device.key import DeviceKey

AAL = "http://idmanagement.gov/ns/assurance/aal/"
DEVICE_NAME = "Alex's phone"


@dataclass
class Context:
    """The state of one journey; the chapters fill the later fields in order.

    http: a client without cookies. passphrase: of the device. office: the issuer of cards, or None without nginx.
    """

    ramet: Ramet
    narration: Narration
    mailbox: Mailbox
    http: httpx.Client
    desktop: Browser
    app_port: int
    person: Person = field(
        default_factory=lambda: Person("alex.morgan", name="Alex Morgan", email="alex.morgan@example.org")
    )
    passphrase: str = field(default="hedgerow plum lantern", repr=False)
    office: CardOffice | None = None

    hr: HumanResources = field(init=False)
    laptop: Laptop = field(init=False)
    user_id: str = field(init=False)
    app_client: OpenIdClient = field(init=False)
    app: RelyingParty = field(init=False)
    phone_client: str = field(init=False)
    device: DeviceClient = field(init=False)
    credential_id: str = field(init=False)
    app_login: Login = field(init=False)
    phone_tokens: Tokens = field(init=False)
    phone_auth_time: int = field(init=False)
    code_in_flight: tuple[str, Pending] = field(init=False, repr=False)
    binding_in_flight: tuple[Code, DeviceKey] = field(init=False, repr=False)

    def show_tree(self, title: str) -> list[dict[str, Any]]:
        """Print the person's credentials as the operator sees them, ended ones too; return all rows."""
        found: list[dict[str, Any]] = self.ramet.ask("credential", "tree", self.person.username, "--all")
        self.narration.tree(tree_of(title, found))
        return flat(found)
