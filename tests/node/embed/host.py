"""A client in Python that embeds the core through ctypes: four threads push, the main thread polls
the descriptor and asserts on the commands. 300 orphans with 300 missing parents leave as one
request.

    host.py LIBRARY
"""

import ctypes
import select
import sys
import threading
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

OK, FULL = 0, 1
REQUEST_BY_ROOT, GOSSIP_VERDICT, IMPORTED, HEAD_CHANGED = 1, 7, 12, 13
THREADS, EACH = 4, 75
ORPHANS = THREADS * EACH


class Root(ctypes.Structure):
    _fields_ = [("bytes", c_uint8 * 32)]


class Peer(ctypes.Structure):
    _fields_ = [("index", c_uint32), ("generation", c_uint32)]


class Bytes(ctypes.Structure):
    _fields_ = [("data", c_char_p), ("size", c_size_t), ("release", c_void_p), ("context", c_void_p)]


class Versioned(ctypes.Structure):
    def __init__(self, **values):
        super().__init__(size=ctypes.sizeof(self), version=1, **values)


class Options(Versioned):
    _fields_ = [
        ("size", c_uint32), ("version", c_uint32), ("chain", c_uint32), ("preset", c_uint32),
        ("import_", c_uint32), ("backend", c_uint32), ("genesis_time_ms", c_uint64),
        ("slot_ms", c_uint64), ("anchor_root", Root), ("anchor_slot", c_uint64),
        ("anchor_bytes", c_char_p), ("anchor_size", c_size_t), ("forks", c_void_p),
        ("fork_count", c_size_t), ("roots_per_request", c_uint32), ("no_range_sync", c_uint32),
        ("peers", c_uint32), ("command_capacity", c_uint32), ("on_command", c_void_p),
        ("on_command_context", c_void_p)]


class Block(Versioned):
    _fields_ = [
        ("size", c_uint32), ("version", c_uint32), ("sender", Peer), ("message", c_uint64),
        ("root", Root), ("parent_root", Root), ("slot", c_uint64), ("proposer", c_uint64),
        ("signed_block", Bytes)]


class Command(Versioned):
    _fields_ = [
        ("size", c_uint32), ("version", c_uint32), ("kind", c_uint32), ("result", c_int32),
        ("peer", Peer), ("id", c_uint64), ("slot", c_uint64), ("count", c_uint64),
        ("proposer", c_uint64), ("root", Root), ("parent_root", Root), ("roots", POINTER(Root)),
        ("bytes", c_void_p), ("bytes_size", c_size_t), ("reason", c_char_p)]


def load(path):
    library = ctypes.CDLL(path)
    library.bl_push_peer_up.argtypes = [c_void_p, Peer]
    library.bl_request_ended.argtypes = [c_void_p, Peer, c_uint64]
    for name in ("bl_producer_destroy", "bl_core_destroy", "bl_core_stop", "bl_command_fd"):
        getattr(library, name).argtypes = [c_void_p]
    for name in ("bl_push_gossip_block", "bl_push_chunk_block"):
        getattr(library, name).argtypes = [c_void_p, POINTER(Block)]
    return library


bl = load(sys.argv[1])
PEER = Peer(3, 1)


def root(kind, number):
    return Root((c_uint8 * 32)(ord(kind), *number.to_bytes(4, "little")))


def made(create, *arguments):
    handle = c_void_p()
    result = create(*arguments, byref(handle))
    assert result == OK, result
    return handle


def give(producer, push, message, name, parent, slot):
    body = bytes([name.bytes[0]]) * 500
    block = Block(sender=PEER, message=message, root=name, parent_root=parent, slot=slot,
                  signed_block=Bytes(body, len(body), None, None))
    result = push(producer, byref(block))
    while result == FULL:
        result = push(producer, byref(block))
    assert result == OK, result


def work(core, first, request):
    producer = made(bl.bl_producer_create, core, None)
    for i in range(first, first + EACH):
        if request == 0:
            give(producer, bl.bl_push_gossip_block, 100 + i, root("O", i), root("Q", i), 3)
        else:
            give(producer, bl.bl_push_chunk_block, request, root("Q", i), root("P", 1), 2)
    bl.bl_producer_destroy(producer)


def work_on_threads(core, request):
    threads = [threading.Thread(target=work, args=(core, i * EACH, request)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Seen:
    """What the commands said."""

    def __init__(self, core):
        self.core = core
        self.requests = []  # (id, first bytes of its roots)
        self.verdicts = 0
        self.imported = 0
        self.head = None

    def take(self, command):
        if command.kind == REQUEST_BY_ROOT:
            self.requests.append((command.id, [bytes(command.roots[i].bytes)[:5]
                                               for i in range(command.count)]))
        elif command.kind == GOSSIP_VERDICT:
            self.verdicts += 1
        elif command.kind == IMPORTED:
            self.imported += 1
        elif command.kind == HEAD_CHANGED:
            self.head = chr(command.root.bytes[0])

    def until(self, done):
        command = Command()
        poller = select.poll()
        poller.register(bl.bl_command_fd(self.core), select.POLLIN)
        while True:
            while bl.bl_command_next(self.core, byref(command)) == OK:
                self.take(command)
            if done(self):
                return
            assert poller.poll(20000), vars(self)


def main():
    core = made(bl.bl_core_create, byref(Options(
        chain=1, preset=1, genesis_time_ms=1600000000000, anchor_root=root("A", 0),
        no_range_sync=1)))
    producer = made(bl.bl_producer_create, core, None)
    seen = Seen(core)
    assert bl.bl_push_peer_up(producer, PEER) == OK
    # Two requests, which is as many as a peer gets at once: what follows gathers.
    for i in (1, 2):
        give(producer, bl.bl_push_gossip_block, i, root("X", i), root("P", i), 2)
        seen.until(lambda s, i=i: len(s.requests) == i)
    work_on_threads(core, 0)
    seen.until(lambda s: s.verdicts == 2 + ORPHANS)
    assert len(seen.requests) == 2
    # The first answer makes room for one more, with all of them.
    give(producer, bl.bl_push_chunk_block, seen.requests[0][0], root("P", 1), root("A", 0), 1)
    assert bl.bl_request_ended(producer, PEER, seen.requests[0][0]) == OK
    seen.until(lambda s: len(s.requests) == 3)
    request, roots = seen.requests[2]
    assert sorted(roots) == sorted(b"Q" + i.to_bytes(4, "little") for i in range(ORPHANS))
    work_on_threads(core, request)
    assert bl.bl_request_ended(producer, PEER, request) == OK
    seen.until(lambda s: s.imported == 2 + 2 * ORPHANS)
    bl.bl_producer_destroy(producer)
    bl.bl_core_destroy(core)
    print(f"head {seen.head}, {len(seen.requests)} requests, {seen.imported} imported")


main()
