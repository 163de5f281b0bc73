"""The menu of the settings that the user saved under names, and of the styles used last."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import records
from gi.repository import Gimp, GimpUi, Gio, Gtk
from showable import showable
from translation import _

from gui.questions import ask_for_text, confirm, show_text
from nst_core.base.errors import StyleError
from plugin.engine.fast.style_library import find_styles
from plugin.engine.saved_settings import (
    Settings,
    delete_settings,
    read_saved_settings,
    remember_style,
    rename_settings,
    save_settings,
)

# The settings that choose a style.
STYLE_SETTINGS = ("style", "style-image")
LONGEST_LABEL = 40


class SavedSettingsMenu(Gtk.MenuButton):
    """Saves the settings of a dialog under names, and brings them and the last styles back.

    It takes the place of GIMP's buttons, which save one set of settings.

    Args:
        dialog: the dialog.
        procedure: its procedure.
        config: its settings, which the menu reads and changes.
        pictures: whether to offer settings with a style picture.
    """

    def __init__(
        self,
        dialog: GimpUi.ProcedureDialog,
        procedure: Gimp.Procedure,
        config: Gimp.ProcedureConfig,
        pictures: bool = True,
    ) -> None:
        arrow = Gtk.Image.new_from_icon_name("pan-down-symbolic", Gtk.IconSize.BUTTON)
        super().__init__(label=_("_Saved settings"), use_underline=True, image=arrow, always_show_image=True)
        self.set_image_position(Gtk.PositionType.RIGHT)
        self._config, self._pictures = config, pictures
        # An older version's settings lack those that were added since.
        self._defaults = records.read_settings(procedure.create_config())
        self._menu = Gtk.Menu()
        self._menu.connect("show", self._on_show)
        self.set_popup(self._menu)
        self._fill()
        self._place(dialog)
        self.show_all()

    def remember_style(self) -> None:
        """Remember the style that is chosen, which is going to be painted."""
        with suppress(StyleError):  # the painting matters more
            remember_style(self._style())

    def _place(self, dialog: GimpUi.ProcedureDialog) -> None:
        for child in dialog.get_content_area().get_children():
            if isinstance(child, Gtk.ButtonBox) and child is not dialog.get_action_area():
                child.set_no_show_all(True)
                child.hide()
        buttons = dialog.get_action_area()
        buttons.pack_start(self, False, False, 0)
        buttons.set_child_secondary(self, True)

    def _settings(self) -> Settings:
        return records.read_settings(self._config)

    def _style(self) -> Settings:
        return {name: self._settings()[name] for name in STYLE_SETTINGS}

    def _current(self) -> str | None:
        """Return the name of the saved settings that the dialog shows, or None."""
        settings = self._settings()
        named = read_saved_settings().named
        return next((name for name, saved in named.items() if self._defaults | saved == settings), None)

    def _fill(self) -> None:
        """Fill the menu with what is saved."""
        for item in self._menu.get_children():
            item.destroy()
        saved = read_saved_settings()
        self._named: dict[str, tuple[Gtk.CheckMenuItem, int]] = {}
        for name, settings in saved.named.items():
            if not self._offers(settings):
                continue
            item = Gtk.CheckMenuItem(label=_shortened(name), draw_as_radio=True)
            self._named[name] = item, item.connect("activate", self._try, self._apply, settings)
            self._menu.append(item)
        if self._named:
            self._menu.append(Gtk.SeparatorMenuItem())
        self._add(_("_Save these settings…"), self._save)
        self._about_current = [
            self._add(_("Re_name…"), self._rename),
            self._add(_("_Delete…"), self._delete),
        ]
        recent = [
            (label, settings) for settings in filter(self._offers, saved.recent) if (label := _describe_style(settings))
        ]
        if recent:
            self._menu.append(Gtk.SeparatorMenuItem())
            self._menu.append(Gtk.MenuItem(label=_("Last used:"), sensitive=False))
        for label, settings in recent:
            self._add(_shortened(label), self._apply, settings, use_underline=False)
        self._menu.show_all()

    def _offers(self, settings: Settings) -> bool:
        return self._pictures or not settings.get("style-image")

    def _add(self, label: str, act: Callable[..., None], *arguments: Any, use_underline: bool = True) -> Gtk.MenuItem:
        item = Gtk.MenuItem(label=label, use_underline=use_underline)
        item.connect("activate", self._try, act, *arguments)
        self._menu.append(item)
        return item

    def _on_show(self, _menu: Gtk.Widget) -> None:
        """Mark the saved settings that the dialog shows, which can be renamed and deleted."""
        current = self._current()
        for name, (item, handler) in self._named.items():
            with item.handler_block(handler):
                item.set_active(name == current)
        for item in self._about_current:
            item.set_sensitive(current is not None)

    def _try(self, _item: Gtk.Widget, act: Callable[..., None], *arguments: Any) -> None:
        """Do something, and show why it failed if it did."""
        try:
            act(*arguments)
        except StyleError as error:
            show_text(self, Gtk.MessageType.ERROR, str(error))

    def _apply(self, settings: Settings) -> None:
        whole = settings if settings.keys() <= set(STYLE_SETTINGS) else self._defaults | settings
        try:
            records.apply_settings(whole, self._config)
        except (TypeError, ValueError, OverflowError) as error:
            text = _("These settings are damaged ({error}); save new ones under the same name.")
            raise StyleError(text.format(error=error)) from error

    def _save(self) -> None:
        name = ask_for_text(self, _("Name of these settings"), self._current() or _describe_style(self._style()))
        if name is None:
            return
        name = " ".join(name.split())
        question = _("Settings named {name!r} already exist. Replace them?").format(name=name)
        if name in read_saved_settings().named and not confirm(self, question):
            return
        save_settings(name, self._settings())
        self._fill()

    def _rename(self) -> None:
        current = self._current()
        if current is None:
            return
        name = ask_for_text(self, _("New name for these settings"), current)
        if name is not None:
            rename_settings(current, name)
            self._fill()

    def _delete(self) -> None:
        current = self._current()
        if current is not None and confirm(self, _("Delete the settings {name!r}?").format(name=current)):
            delete_settings(current)
            self._fill()


def _describe_style(settings: Settings) -> str:
    """Return the title of a style or a style picture, or nothing if it no longer exists."""
    try:
        if settings.get("style-image"):
            file = Gio.File.new_for_uri(settings["style-image"])
            return file.get_basename() if file.query_exists(None) else ""
        return " + ".join(style.title for style in find_styles(settings.get("style") or ""))
    except (StyleError, TypeError, AttributeError):
        return ""


def _shortened(label: str) -> str:
    label = showable(label)
    return label if len(label) <= LONGEST_LABEL else f"{label[:LONGEST_LABEL]}…"
