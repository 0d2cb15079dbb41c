//! A client in Rust, without crates, that embeds the core: four threads push, the main thread polls
//! the descriptor and asserts on the commands. 300 orphans with 300 missing parents leave as one
//! request.
//!
//!   rustc -O host.rs -L <dir> -l beamline

use std::os::raw::{c_char, c_int, c_short, c_ulong, c_void};
use std::ptr;
use std::thread;

const OK: i32 = 0;
const FULL: i32 = 1;
const THREADS: u32 = 4;
const EACH: u32 = 75;
const ORPHANS: usize = (THREADS * EACH) as usize;

#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
struct Root([u8; 32]);

#[repr(C)]
#[derive(Clone, Copy)]
struct Peer {
    index: u32,
    generation: u32,
}

#[repr(C)]
struct Bytes {
    data: *const u8,
    size: usize,
    release: Option<extern "C" fn(*mut c_void, *const u8, usize)>,
    context: *mut c_void,
}

#[repr(C)]
struct Options {
    size: u32,
    version: u32,
    chain: u32,
    preset: u32,
    import: u32,
    backend: u32,
    genesis_time_ms: u64,
    slot_ms: u64,
    anchor_root: Root,
    anchor_slot: u64,
    anchor_bytes: *const u8,
    anchor_size: usize,
    forks: *const c_void,
    fork_count: usize,
    roots_per_request: u32,
    no_range_sync: u32,
    peers: u32,
    command_capacity: u32,
    on_command: Option<extern "C" fn(*mut c_void, *const Command)>,
    on_command_context: *mut c_void,
}

#[repr(C)]
struct Block {
    size: u32,
    version: u32,
    sender: Peer,
    message: u64,
    root: Root,
    parent_root: Root,
    slot: u64,
    proposer: u64,
    signed_block: Bytes,
}

#[repr(C)]
struct Command {
    size: u32,
    version: u32,
    kind: u32,
    result: i32,
    peer: Peer,
    id: u64,
    slot: u64,
    count: u64,
    proposer: u64,
    root: Root,
    parent_root: Root,
    roots: *const Root,
    bytes: *const u8,
    bytes_size: usize,
    reason: *const c_char,
}

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

type Push = unsafe extern "C" fn(*mut c_void, *const Block) -> i32;

extern "C" {
    fn bl_core_create(options: *const Options, core: *mut *mut c_void) -> i32;
    fn bl_core_destroy(core: *mut c_void);
    fn bl_producer_create(core: *mut c_void, options: *const c_void, out: *mut *mut c_void) -> i32;
    fn bl_producer_destroy(producer: *mut c_void);
    fn bl_push_peer_up(producer: *mut c_void, peer: Peer) -> i32;
    fn bl_push_gossip_block(producer: *mut c_void, block: *const Block) -> i32;
    fn bl_push_chunk_block(producer: *mut c_void, block: *const Block) -> i32;
    fn bl_request_ended(producer: *mut c_void, peer: Peer, request: u64) -> i32;
    fn bl_command_next(core: *mut c_void, command: *mut Command) -> i32;
    fn bl_command_fd(core: *const c_void) -> i32;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
}

const PEER: Peer = Peer { index: 3, generation: 1 };

fn root(kind: u8, number: u32) -> Root {
    let mut made = [0u8; 32];
    made[0] = kind;
    made[1..5].copy_from_slice(&number.to_le_bytes());
    Root(made)
}

/// One thread's way in.
struct Producer(*mut c_void);

impl Producer {
    fn new(core: *mut c_void) -> Producer {
        let mut made = ptr::null_mut();
        assert_eq!(unsafe { bl_producer_create(core, ptr::null(), &mut made) }, OK);
        Producer(made)
    }
    /// The bytes are gone when this returns.
    fn give(&self, push: Push, message: u64, name: Root, parent: Root, slot: u64) {
        let body = vec![name.0[0]; 500];
        let block = Block {
            size: std::mem::size_of::<Block>() as u32,
            version: 1,
            sender: PEER,
            message,
            root: name,
            parent_root: parent,
            slot,
            proposer: 0,
            signed_block: Bytes {
                data: body.as_ptr(),
                size: body.len(),
                release: None,
                context: ptr::null_mut(),
            },
        };
        loop {
            match unsafe { push(self.0, &block) } {
                FULL => thread::yield_now(),
                result => return assert_eq!(result, OK),
            }
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        unsafe { bl_producer_destroy(self.0) }
    }
}

#[derive(Clone, Copy)]
struct Core(*mut c_void);
unsafe impl Send for Core {} // bl_producer_create: any thread

fn work_on_threads(core: Core, request: u64) {
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let core = core;
            thread::spawn(move || {
                let core = core;
                let producer = Producer::new(core.0);
                for i in number * EACH..(number + 1) * EACH {
                    if request == 0 {
                        let message = 100 + u64::from(i);
                        producer.give(bl_push_gossip_block, message, root(b'O', i), root(b'Q', i), 3);
                    } else {
                        producer.give(bl_push_chunk_block, request, root(b'Q', i), root(b'P', 1), 2);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What the commands said.
#[derive(Default)]
struct Seen {
    requests: Vec<(u64, usize)>, // id, roots
    verdicts: usize,
    imported: usize,
    head: u8,
}

impl Seen {
    fn take(&mut self, command: &Command) {
        match command.kind {
            1 => self.requests.push((command.id, command.count as usize)),
            7 => self.verdicts += 1,
            12 => self.imported += 1,
            13 => self.head = command.root.0[0],
            _ => {}
        }
    }
    fn until(&mut self, core: Core, done: impl Fn(&Seen) -> bool) {
        let mut command: Command = unsafe { std::mem::zeroed() };
        command.size = std::mem::size_of::<Command>() as u32;
        command.version = 1;
        loop {
            while unsafe { bl_command_next(core.0, &mut command) } == OK {
                self.take(&command);
            }
            if done(self) {
                return;
            }
            let fd = unsafe { bl_command_fd(core.0) };
            let mut waiting = PollFd { fd, events: 1, revents: 0 };
            assert_eq!(unsafe { poll(&mut waiting, 1, 20000) }, 1, "nothing came");
        }
    }
}

fn main() {
    let mut options: Options = unsafe { std::mem::zeroed() };
    options.size = std::mem::size_of::<Options>() as u32;
    options.version = 1;
    options.chain = 1;
    options.preset = 1;
    options.genesis_time_ms = 1_600_000_000_000;
    options.anchor_root = root(b'A', 0);
    options.no_range_sync = 1;
    let mut made = ptr::null_mut();
    assert_eq!(unsafe { bl_core_create(&options, &mut made) }, OK);
    let core = Core(made);
    let producer = Producer::new(core.0);
    let mut seen = Seen::default();
    assert_eq!(unsafe { bl_push_peer_up(producer.0, PEER) }, OK);
    // Two requests, which is as many as a peer gets at once: what follows gathers.
    for i in 1..3u32 {
        producer.give(bl_push_gossip_block, u64::from(i), root(b'X', i), root(b'P', i), 2);
        seen.until(core, |s| s.requests.len() == i as usize);
    }
    work_on_threads(core, 0);
    seen.until(core, |s| s.verdicts == 2 + ORPHANS);
    assert_eq!(seen.requests.len(), 2);
    // The first answer makes room for one more, with all of them.
    let first = seen.requests[0].0;
    producer.give(bl_push_chunk_block, first, root(b'P', 1), root(b'A', 0), 1);
    assert_eq!(unsafe { bl_request_ended(producer.0, PEER, first) }, OK);
    seen.until(core, |s| s.requests.len() == 3);
    let (request, roots) = seen.requests[2];
    assert_eq!(roots, ORPHANS);
    work_on_threads(core, request);
    assert_eq!(unsafe { bl_request_ended(producer.0, PEER, request) }, OK);
    seen.until(core, |s| s.imported == 2 + 2 * ORPHANS);
    drop(producer);
    unsafe { bl_core_destroy(core.0) };
    println!(
        "head {}, {} requests, {} imported",
        seen.head as char,
        seen.requests.len(),
        seen.imported
    );
}
