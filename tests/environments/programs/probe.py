"""A window of one toolkit that reports what is done to it: `probe.py tk|gtk|qt text|clicks|cover FILE`. Run with the system's own Python.

text: a text widget with the focus; FILE holds what is in it, anew whenever it changes. clicks: a window as large as the screen; FILE holds
"x y" of the last press, in logical pixels, then the number of presses. cover: the same over all monitors, without a window manager (tk).
"""

import os
import sys


def write(path: str, text: str) -> None:
    with open(f"{path}.part", "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(f"{path}.part", path)


def tk(kind: str, path: str) -> None:
    import tkinter

    root = tkinter.Tk()
    root.title("probe")
    if kind == "text":
        widget = tkinter.Text(root, width=60, height=20)
        widget.pack()
        widget.focus_force()

        def tell() -> None:
            write(path, widget.get("1.0", "end-1c"))
            root.after(50, tell)

        root.after(50, tell)
    else:
        if kind == "cover":
            root.overrideredirect(True)
            root.geometry(f"{root.winfo_screenwidth()}x{root.winfo_screenheight()}+0+0")
        else:
            root.attributes("-fullscreen", True)
        count = [0]

        def pressed(event: "tkinter.Event[tkinter.Misc]") -> None:
            count[0] += 1
            write(path, f"{event.x_root} {event.y_root} {count[0]}")

        root.bind("<ButtonPress>", pressed)
        root.update()
        write(path, "0 0 0")
    root.mainloop()


def gtk(kind: str, path: str) -> None:
    import gi

    gi.require_version("Gtk", "3.0")
    gi.require_version("Gdk", "3.0")
    from gi.repository import Gdk, GLib, Gtk

    window = Gtk.Window(title="probe")
    window.connect("destroy", Gtk.main_quit)
    if kind == "text":
        window.set_default_size(500, 300)
        view = Gtk.TextView()
        window.add(view)
        buffer = view.get_buffer()

        def tell() -> bool:
            write(path, buffer.get_text(buffer.get_start_iter(), buffer.get_end_iter(), True))
            return True

        GLib.timeout_add(50, tell)
        window.show_all()
        view.grab_focus()
    else:
        box = Gtk.EventBox()
        window.add(box)
        box.add_events(Gdk.EventMask.BUTTON_PRESS_MASK)
        count = [0]

        def pressed(_: object, event: object) -> None:
            if event.type == Gdk.EventType.BUTTON_PRESS:
                count[0] += 1
                write(path, f"{event.x_root} {event.y_root} {count[0]}")

        box.connect("button-press-event", pressed)
        window.fullscreen()
        window.show_all()
        write(path, "0 0 0")
    Gtk.main()


def qt(kind: str, path: str) -> None:
    from PyQt5 import QtCore, QtWidgets

    app = QtWidgets.QApplication([])
    if kind == "text":
        widget = QtWidgets.QPlainTextEdit()
        widget.setWindowTitle("probe")
        widget.setTabChangesFocus(False)
        timer = QtCore.QTimer()
        timer.timeout.connect(lambda: write(path, widget.document().toRawText().replace(chr(0x2029), chr(10))))
        timer.start(50)
        widget.resize(500, 300)
        widget.show()
        widget.setFocus()
    else:
        count = [0]

        class Board(QtWidgets.QWidget):
            def mousePressEvent(self, event: object) -> None:
                count[0] += 1
                write(path, f"{event.screenPos().x()} {event.screenPos().y()} {count[0]}")

            mouseDoubleClickEvent = mousePressEvent

        widget = Board()
        widget.setWindowTitle("probe")
        widget.showFullScreen()
        write(path, "0 0 0")
    app.exec_()


if __name__ == "__main__":
    {"tk": tk, "gtk": gtk, "qt": qt}[sys.argv[1]](*sys.argv[2:])
