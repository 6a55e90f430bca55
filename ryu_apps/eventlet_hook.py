"""Lets Ryu 4.34 start clean with a present eventlet; run at every Python start by `ringfence-ryu.pth`.

`ryu.app.wsgi` needs `eventlet.wsgi.ALREADY_HANDLED`, which eventlet dropped in 0.30.3, and the plain
command `ryu-manager` imports it before any code of ours. So a finder that costs one comparison an import
waits for Ryu, puts the name back, and leaves the import itself to Python. Loads nothing by itself.
"""

import sys

FIRST, COMMAND, NEEDY = "ryu", "ryu.cmd.manager", "ryu.app.wsgi"


class WaitForRyu:
    """A meta path finder that finds nothing; it acts when Ryu, and then `ryu.app.wsgi`, is imported."""

    @classmethod
    def find_spec(cls, name: str, _path: object = None, _target: object = None) -> None:
        """Act if it is time; return None: "not found here", so that the next finder is asked."""
        if name == FIRST:
            quiet()
        elif name == COMMAND:
            patch()
        elif name == NEEDY:
            sys.meta_path.remove(cls)
            restore()


def quiet() -> None:
    """Silence what says that Ryu is old: it cannot be acted on, and a clean start has no warnings."""
    import warnings  # noqa: PLC0415 - every Python start loads this file

    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r".*[/.]ryu[/.]")


def patch() -> None:
    """Make threads green before the command's other imports make locks, of which eventlet would complain."""
    if "--enable-debugger" in sys.argv:
        return  # Ryu's own option: leave threads as they are
    import eventlet  # noqa: PLC0415 - as above

    eventlet.monkey_patch()


def restore() -> None:
    """Give eventlet.wsgi the name that Ryu imports; this project never uses its value."""
    import eventlet.wsgi  # noqa: PLC0415 - as above

    if not hasattr(eventlet.wsgi, "ALREADY_HANDLED"):
        eventlet.wsgi.ALREADY_HANDLED = ()


def install() -> None:
    """Wait for Ryu; installing twice is installing once."""
    if NEEDY not in sys.modules and WaitForRyu not in sys.meta_path:
        sys.meta_path.insert(0, WaitForRyu)


install()
