"""Runs a program in a terminal of its own: its output comes out line by line,
and what is written to this script's standard input is typed into it."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])

# Wide, so that no URL is broken over lines.
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 4000, 0, 0))
typing = True
while True:
    waiting = [terminal] + ([0] if typing else [])
    ready, _, _ = select.select(waiting, [], [])
    if terminal in ready:
        try:
            written = os.read(terminal, 65536)
        except OSError:
            break
        if not written:
            break
        os.write(1, written.replace(b"\r", b"\n"))
    if 0 in ready:
        typed = os.read(0, 65536)
        if typed:
            os.write(terminal, typed)
        else:
            typing = False

_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
