# SPDX-License-Identifier: GPL-2.0-only
"""Sessions of /dev/xbzrle for tests that observe them: set up, fed with dirty
pages, encoded, ended. The content of the ring is ignored."""

import ctypes
import fcntl
import mmap
import os
import struct

PAGE = 4096
RING = 65536
TYPE = 0xBA
SETUP, REGION_SET, REGION_DEL, SYNC, ENCODE, CACHE, COUNTERS = (
    TYPE << 8 | number for number in (1, 2, 3, 6, 8, 10, 11))
MANUAL_PROTECT, DEFAULT_CACHE, DEFAULT_QUEUES = 1, 2, 4
STATUS_IDLE = 1

SETUP_STRUCT = struct.Struct("=IIIIQQiI64sQQQ")
REGION_STRUCT = struct.Struct("=IIIIQQQQ256s")
SYNC_STRUCT = struct.Struct("=IIQQQQIIII")
ENCODE_STRUCT = struct.Struct("=IIIIQQQQQQQQQQIIQ")
CACHE_STRUCT = struct.Struct("=IIQQQ")


def call(fd, number, layout, *values):
    """An ioctl whose struct begins with its size: the struct afterwards."""
    arg = bytearray(layout.pack(layout.size, *values))
    fcntl.ioctl(fd, number, arg)
    return layout.unpack(arg)


class Session:
    """A session of this process. As a context manager it ends with the block."""

    def __init__(self, name="test", queues=1, cache=1 << 20, flags=0, regions=(("ram", 512),)):
        arg = bytearray(SETUP_STRUCT.pack(SETUP_STRUCT.size, flags, 12, queues, RING, cache, -1, 0,
                                          name.encode(), 0, 0, 0))
        device = os.open("/dev/xbzrle", os.O_RDWR | os.O_CLOEXEC)
        try:
            self.fd = fcntl.ioctl(device, SETUP, arg)
        finally:
            os.close(device)
        done = SETUP_STRUCT.unpack(arg)
        self.maps = []
        self.queues, self.cache, self.id = done[3], done[5], done[9]
        self.cons = [self._map(PAGE, done[10] + queue * done[11]) for queue in range(self.queues)]
        self.regions = [self.region(*region) for region in regions]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file and all mappings, which ends the session."""
        for made in self.maps:
            made.close()
        self.maps = self.cons = []
        os.close(self.fd)

    def _map(self, size, offset):
        made = mmap.mmap(self.fd, size, mmap.MAP_SHARED, offset=offset)
        self.maps.append(made)
        return made

    def region(self, name, pages):
        """(memory, bitmap) of a new region."""
        memory = mmap.mmap(-1, pages * PAGE)
        # Full of data: what a delta against zero makes short is not cached.
        memory.write(os.urandom(pages * PAGE))
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        done = call(self.fd, REGION_SET, REGION_STRUCT, 0, 0, 0, address, pages, 0, 0,
                    name.encode())
        return memory, self._map(done[7], done[6])

    def dirty(self, count, region=0, byte=None, first=0):
        """Write to pages of a region and mark them dirty."""
        memory, bitmap = self.regions[region]
        for page in range(first, first + count):
            data = os.urandom(PAGE) if byte is None else bytes([byte]) * 8
            memory[page * PAGE:page * PAGE + len(data)] = data
            bitmap[page // 8] |= 1 << page % 8

    def sync(self):
        """Start a pass: its number."""
        return call(self.fd, SYNC, SYNC_STRUCT, 0, 0, 0, 0, 0, 0, 0, 0, 0)[5]

    def encode(self, queue=0):
        """Encode and consume all of a queue's dirty pages."""
        while True:
            done = call(self.fd, ENCODE, ENCODE_STRUCT, 0, queue, 0, 0, 0, 0, *[0] * 10)
            self.cons[queue][:8] = struct.pack("=Q", done[7] + done[8])
            if done[14] & STATUS_IDLE:
                return

    def run(self, count, byte=None):
        """A pass: SYNC, dirty pages, ENCODE of all queues."""
        self.sync()
        self.dirty(count, byte=byte)
        for queue in range(self.queues):
            self.encode(queue)

    def break_queue(self, queue=0):
        """Store an invalid position, and let an ENCODE find it."""
        self.cons[queue][:8] = struct.pack("=Q", 1 << 40)
        try:
            call(self.fd, ENCODE, ENCODE_STRUCT, 0, queue, 0, 0, 0, 0, *[0] * 10)
        except BrokenPipeError:
            return
        raise AssertionError("an invalid position was accepted")
