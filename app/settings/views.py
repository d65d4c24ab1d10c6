"""Where one sets something: the page in the place of the chat, and the drawer of one chat."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.folders import named_folders
from app.models.loader import ModelLoader
from app.settings.keeper import SettingsKeeper
from app.settings.values import NORMAL_SIZE, changed
from app.widgets.header import Header
from app.widgets.sidebar import Sidebar

STEP: Final = 10
"""Percent by which Ctrl++ and Ctrl+- change the size of texts."""


class SettingsViews(QObject):
    def __init__(
        self,
        keeper: SettingsKeeper,
        loader: ModelLoader,
        pages: QStackedWidget,
        header: Header,
        sidebar: Sidebar,
        focus: QWidget,
        parent: QWidget,
    ) -> None:
        """`pages`: the first one is the chat's; `focus` has the focus when one is back there."""
        super().__init__(parent)
        self._keeper = keeper
        self._loader = loader
        self._pages = pages
        self._header = header
        self._sidebar = sidebar
        self._focus = focus
        self._sidebar_was_shown = False

    def toggle_page(self) -> None:
        if self._pages.count() > 1:
            self.leave_page()
        else:
            self._open_page()

    def _open_page(self) -> None:
        """In the place of chat and sidebar, until one goes back to them."""
        from app.settings.page import SettingsPage

        models = [(known.id, known.name) for known in self._loader.models]
        page = SettingsPage(self._keeper.settings, self._keeper.layers, models, named_folders())
        page.changed.connect(self._keeper.set)
        page.layers_changed.connect(self._keeper.set_layers)
        page.left.connect(self.leave_page)
        self._pages.addWidget(page)
        self._pages.setCurrentWidget(page)
        self._sidebar_was_shown = self._sidebar.isVisible()
        self._sidebar.hide()
        self._header.hide()
        page.search.setFocus()

    def leave_page(self) -> None:
        while (page := self._pages.widget(1)) is not None:
            self._pages.removeWidget(page)
            page.deleteLater()
            self._header.show()
            self._sidebar.setVisible(self._sidebar_was_shown)
            self._focus.setFocus()

    def toggle_drawer(self, conversation: int | None) -> None:
        """Of this chat."""
        from app.settings.drawer import ChatDrawer

        opened = self._pages.window().findChild(ChatDrawer)
        if opened is not None:
            opened.close()
            return
        self.leave_page()
        drawer = ChatDrawer(self._keeper, conversation, self._header.chat_settings, self._pages)
        drawer.open()

    def resize_texts(self, step: int) -> None:
        """By one step up or down; 0 is the system's size."""
        size = self._keeper.settings.text_size + STEP * step if step else NORMAL_SIZE
        settings = changed(self._keeper.settings, "text_size", size)
        if settings is not None:
            self._keeper.set(settings)
