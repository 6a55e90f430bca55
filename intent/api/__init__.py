"""The REST API: a pure WSGI application; whatever it needs from outside is injected."""

from intent.api.app import make_app
from intent.api.ports import Limits, Ports, SwitchStatus

__all__ = ["Limits", "Ports", "SwitchStatus", "make_app"]
