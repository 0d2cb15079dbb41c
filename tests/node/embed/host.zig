//! A client in Zig that embeds the core through @cImport and the shim of docs/embedding.md: four
//! threads push gossip as it comes from the wire, the main thread polls the descriptor and asserts on
//! the commands. 300 orphans with 300 missing parents leave as one request.
const std = @import("std");
const shim = @import("shim.zig");
const bl = shim.bl;

const threads = 4;
const each = 75;
const orphans = threads * each;
const topic = "/leanconsensus/devnet0/block/ssz_snappy";

fn root(kind: u8, number: u32) bl.bl_root {
    var made = std.mem.zeroes(bl.bl_root);
    made.bytes[0] = kind;
    std.mem.writeInt(u32, made.bytes[1..5], number, .little);
    return made;
}

/// A lean SignedBlock with an empty body, as SSZ.
fn ssz(slot: u64, proposer: u64, parent: bl.bl_root) [100]u8 {
    var out = std.mem.zeroes([100]u8);
    std.mem.writeInt(u32, out[0..4], 8, .little);
    std.mem.writeInt(u32, out[4..8], 96, .little);
    std.mem.writeInt(u64, out[8..16], slot, .little);
    std.mem.writeInt(u64, out[16..24], proposer, .little);
    @memcpy(out[24..56], &parent.bytes);
    std.mem.writeInt(u32, out[88..92], 84, .little);
    std.mem.writeInt(u32, out[92..96], 4, .little);
    std.mem.writeInt(u32, out[96..100], 4, .little);
    return out;
}
/// The same as one snappy block without matches: what a peer's gossip brings.
fn packed_block(slot: u64, proposer: u64, parent: bl.bl_root) [103]u8 {
    return [_]u8{ 100, 60 << 2, 99 } ++ ssz(slot, proposer, parent);
}

fn producer(core: *bl.bl_core) *bl.bl_producer {
    var made: ?*bl.bl_producer = null;
    std.debug.assert(bl.bl_producer_create(core, null, &made) == bl.BL_OK);
    return made.?;
}

fn work(core: *bl.bl_core, peers: *std.StringHashMap(bl.bl_peer), first: u32) !void {
    const in = shim.Shim{ .in = producer(core), .peers = peers };
    defer bl.bl_producer_destroy(in.in);
    for (first..first + each) |i| {
        // Gone when the push returned: it lies on this stack.
        const data = packed_block(3, i, root('Q', @intCast(i)));
        while (true) {
            in.onGossip(topic, &data, peers.get("16Uiu2").?, 100 + i) catch |err| {
                if (err == error.Full) continue;
                return err;
            };
            break;
        }
        try in.onInterval(i);
    }
}

const Seen = struct {
    core: *bl.bl_core,
    requests: u64 = 0,
    request: u64 = 0, // the last
    roots: u64 = 0, // of it
    verdicts: u64 = 0,
    imported: u64 = 0,
    served: u64 = 0,
    head: u64 = 0, // its slot

    fn take(self: *Seen, command: bl.bl_command) void {
        switch (command.kind) {
            bl.BL_COMMAND_REQUEST_BY_ROOT => {
                self.requests += 1;
                self.request = command.id;
                self.roots = command.count;
            },
            bl.BL_COMMAND_GOSSIP_VERDICT => self.verdicts += 1,
            bl.BL_COMMAND_IMPORTED => self.imported += 1,
            bl.BL_COMMAND_RESPOND_END => self.served += 1,
            bl.BL_COMMAND_HEAD_CHANGED => self.head = command.slot,
            else => {},
        }
    }
    fn until(self: *Seen, counter: *const u64, least: u64) !void {
        var command = shim.sized(bl.bl_command);
        while (true) {
            while (bl.bl_command_next(self.core, &command) == bl.BL_OK) self.take(command);
            if (counter.* >= least) return;
            var waiting = [_]std.posix.pollfd{.{ .fd = bl.bl_command_fd(self.core), .events = std.posix.POLL.IN, .revents = 0 }};
            if (try std.posix.poll(&waiting, 20000) != 1) return error.NothingCame;
        }
    }
};

pub fn main() !void {
    var options = shim.sized(bl.bl_core_options);
    options.chain = bl.BL_CHAIN_LEAN;
    options.preset = bl.BL_PRESET_MINIMAL;
    options.genesis_time_ms = 1600000000000;
    options.anchor_root = root('A', 0);
    options.no_range_sync = 1;
    var made: ?*bl.bl_core = null;
    std.debug.assert(bl.bl_core_create(&options, &made) == bl.BL_OK);
    const core = made.?;
    defer bl.bl_core_destroy(core);
    var peers = std.StringHashMap(bl.bl_peer).init(std.heap.c_allocator);
    defer peers.deinit();
    const in = shim.Shim{ .in = producer(core), .peers = &peers };
    defer bl.bl_producer_destroy(in.in);
    var seen = Seen{ .core = core };

    try in.onPeerConnected("16Uiu2");
    const peer = peers.get("16Uiu2").?;
    // The head moves.
    try in.onGossip(topic, &packed_block(1, 7, root('A', 0)), peer, 1);
    try seen.until(&seen.head, 1);
    // Two requests, which is as many as a peer gets at once: what follows gathers.
    try in.onGossip(topic, &packed_block(2, 1, root('P', 1)), peer, 2);
    try seen.until(&seen.requests, 1);
    const first = seen.request;
    try in.onGossip(topic, &packed_block(2, 2, root('P', 2)), peer, 3);
    try seen.until(&seen.requests, 2);
    var running: [threads]std.Thread = undefined;
    for (&running, 0..) |*thread, i| {
        thread.* = try std.Thread.spawn(.{}, work, .{ core, &peers, @as(u32, @intCast(i)) * each });
    }
    for (running) |thread| thread.join();
    try seen.until(&seen.verdicts, 3 + orphans);
    std.debug.assert(seen.requests == 2);
    // A block that nobody asked for is charged; the end of its request makes room for one more, with
    // all of them.
    const frames = [_]u8{0xff} ** 4;
    std.debug.assert(in.notify(.{ .success = &frames }, peer, first) == error.Malformed);
    try in.notify(.{ .failure = bl.BL_FAILED_REMOTE }, peer, first);
    try seen.until(&seen.requests, 3);
    std.debug.assert(seen.roots >= orphans);
    try in.notify(.completed, peer, seen.request);

    try in.onReqRespRequest(.{ .blocks_by_range = .{ .start = 1, .count = 1 } }, peer, 5);
    try seen.until(&seen.served, 1);
    try in.onPeerDisconnected("16Uiu2");
    std.debug.print("head {d}, {d} requests, {d} roots in one\n", .{ seen.head, seen.requests, seen.roots });
}
