"""Ask whether to install PyTorch, and show how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import background
import installation
from gi.repository import Gtk, Pango
from showable import showable
from torch_installation import TorchInstallation, download_size
from translation import _

from gui.progress_window import build_bar
from nst_core.base.errors import StyleError
from plugin.engine.progress import Progress


def install_torch(parent: Gtk.Window) -> bool:
    """Install PyTorch if the user agrees. Return whether it was installed; if not, the user knows why."""
    text = _("Install PyTorch?")
    more = _(
        "Refined paintings need it. About {size} are fetched into Neural Style's own folder, and nothing else on this "
        "computer changes."
    ).format(size=download_size())
    buttons = {_("_Cancel"): Gtk.ResponseType.CANCEL, _("_Install"): Gtk.ResponseType.OK}
    if _ask(parent, Gtk.MessageType.QUESTION, buttons, text, more) != Gtk.ResponseType.OK:
        return False
    window = InstallWindow(parent)
    run: TorchInstallation | None = None
    try:
        run = TorchInstallation(installation.read())
        background.run(run.follow, _("Installing PyTorch"), window)
    except background.PaintingCancelledError:
        if run:
            run.stop()
        return False
    except (StyleError, installation.InstallationError, OSError) as error:
        window.close()
        title = _("PyTorch could not be installed")
        _ask(parent, Gtk.MessageType.ERROR, {_("_Close"): Gtk.ResponseType.CLOSE}, title, showable(str(error)))
        return False
    return True


class InstallWindow:
    """A ProgressMonitor (see background.py) in a window of its own."""

    def __init__(self, parent: Gtk.Window) -> None:
        self.stopped = self.cancelled = False
        self.layers: Sequence[int] = ()
        self._bar = build_bar()
        self._text = Gtk.Label(xalign=0, ellipsize=Pango.EllipsizeMode.END, width_chars=60, max_width_chars=60)
        self._dialog = Gtk.Dialog(title=_("Installing PyTorch"), transient_for=parent, modal=True)
        self._dialog.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        self._dialog.connect("response", self._on_response)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12, border_width=12)
        self._dialog.get_content_area().pack_start(box, True, True, 0)
        for widget in (self._bar, self._text):
            box.pack_start(widget, False, False, 0)
        self._dialog.show_all()

    def show(self, progress: Progress) -> None:
        """Show what the installer does, and how much of a file it has fetched."""
        self._text.set_text(showable(progress.stage))
        if progress.fraction:
            self._bar.set_fraction(progress.fraction)
        else:
            self._bar.pulse()

    def close(self) -> None:
        """Close the window."""
        self._dialog.destroy()

    def _on_response(self, *_: object) -> None:
        self.cancelled = True
        self._dialog.hide()


def _ask(parent: Gtk.Window, kind: Gtk.MessageType, buttons: Mapping[str, int], text: str, more: str) -> int:
    """Show a message until the user presses one of ``buttons``, of which the last is the default."""
    dialog = Gtk.MessageDialog(title=text, transient_for=parent, modal=True, message_type=kind, text=text)
    dialog.format_secondary_text(more)
    for label, response in buttons.items():
        dialog.add_button(label, response)
        dialog.set_default_response(response)
    try:
        answer: int = dialog.run()
        return answer
    finally:
        dialog.destroy()
