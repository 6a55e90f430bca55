"""The Ryu application: `ryu-manager ryu_apps.segmentation`, or `ringfence run`, which starts the same.

It only starts and stops the controller. The configuration comes from RINGFENCE_CONFIG or
/etc/ringfence/config.yaml; Ryu's own options win for the OpenFlow listener.
"""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import resource
from typing import Any, NoReturn

from intent.schema.changes import StoreUnavailableError
from intent.store import StoreError, StoreLocked
from ovsdb import BadTarget
from ryu_apps import framework, logs, signals
from ryu_apps.collecting import THRESHOLDS
from ryu_apps.config import Config, ConfigError, load
from ryu_apps.controller import Controller
from ryu_apps.link import Listen, TlsFiles
from ryu_apps.memory import Damaged

_REQUIRED_APP = ["ryu.controller.ofp_handler"]

BAD_CONFIG, STORE_LOCKED, BAD_STORE, NO_ADDRESS = 2, 3, 4, 5
"""Exit codes."""
FILES = 8192
"""File descriptors for all connections that the listeners allow, and as many again."""

log = logging.getLogger("ringfence")


class Segmentation(framework.App):
    """Micro-segmentation of Open vSwitch by intents."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Ryu's signature
        super().__init__(*args, **kwargs)
        try:
            config = load(None, os.environ)
            logs.set_up(config.log_level)
            _allow_files()
            listen = framework.effective_listen(_listen(config))
            early = _early_server(listen)
            self.controller = Controller(config, _target(config, listen))
            self.server = early or framework.Server(listen)
            self.serve(self.controller.switches, self.server)
        except ConfigError as error:
            _refuse(BAD_CONFIG, str(error))
        except StoreLocked as error:
            _refuse(STORE_LOCKED, str(error))
        except (StoreError, StoreUnavailableError, Damaged) as error:
            _refuse(BAD_STORE, str(error))
        except BadTarget as error:
            _refuse(BAD_CONFIG, f"ovsdb.targets: {error}")
        except OSError as error:
            _refuse(NO_ADDRESS, f"cannot listen ({error}): is another instance running? Change the port, or stop it")
        gc.freeze()  # modules and documents stay: no need to look at them again and again
        gc.set_threshold(*THRESHOLDS)
        gc.enable()
        log.info("switches connect to %s port %d", listen.host, listen.port)

    def start(self) -> None:
        """Start everything; called by Ryu once all applications are made."""
        super().start()
        signals.on_signals(self.end)
        self.controller.start()

    def end(self) -> None:
        """Stop everything; then Ryu's manager ends, because its services did."""
        log.info("stopping; the switches keep their flows")
        self.controller.stop()
        self.server.stop()
        framework.end_services()


def _allow_files() -> None:
    """Take as many file descriptors as we may: the usual 1,024 are fewer than switches and clients that we serve."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _early_server(listen: Listen) -> framework.Server | None:
    """Listen before everything is read: a switch that is refused once tries again only after a second.

    None if the address cannot be had, which is not the first thing to say: whoever has it may have the store, too.
    """
    try:
        return framework.Server(listen)
    except OSError:
        return None


def _refuse(code: int, message: str) -> NoReturn:
    """Say why this cannot start, without a traceback."""
    for line in message.splitlines():
        log.error("%s", line)
    raise SystemExit(code)


def _listen(config: Config) -> Listen:
    tls = config.openflow.tls
    files = TlsFiles(str(tls.key), str(tls.cert), str(tls.ca)) if tls else None
    return Listen(config.openflow.host, config.openflow.port, files)


def _target(config: Config, listen: Listen) -> str:
    """Return what bridges connect to: what the configuration says, else where we really listen."""
    if config.bridge.controller_target:
        return config.bridge.controller_target
    try:
        address = ipaddress.ip_address(listen.host)
    except ValueError:
        return f"{'ssl' if listen.tls else 'tcp'}:{listen.host}:{listen.port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if ":" in listen.host else "127.0.0.1")
    host = f"[{address}]" if ":" in str(address) else str(address)
    return f"{'ssl' if listen.tls else 'tcp'}:{host}:{listen.port}"
