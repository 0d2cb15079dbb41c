// Starts real Lodestar 1.5.1 beacon nodes on 127.0.0.1: minimal preset (8 slots an epoch), interop
// validators, real BLS.
//
//   node run-lodestar.mjs [--nodes 2] [--p2p 19000] [--rest 19596] [--seconds 90] [--slot 6]
//
//   --altair E          fork epoch; 1 by default, 99999 stays at phase0
//   --bellatrix 0, --capella E
//                       either one: genesis is bellatrix or later, and a pretend execution client
//                       is started; --payload BYTES of transactions in a block
//   --validators 8      in genesis
//   --active 6          only the first 6 are run: the turns of the others leave empty slots
//   --split 5           validators 0..4 run on node 0, 5.. on node 1
//   --late SLOT         one node more, started at that slot
//   --late-dial MULTIADDR[,MULTIADDR]
//                       it dials only these, and has no discovery; 'none': it dials nobody and waits
//   --partition SLOT    (needs --split) nodes 0 and 1 are disconnected at SLOT, and joined again
//   --partition-slots 6 so many slots later: a fork, then a reorg
//   --genesis UNIXTIME  join a chain that another run started: the same time, --slot, --validators
//                       and forks. `--nodes 0 --late 0 --late-dial MULTIADDR --genesis T` is one
//                       lone node that syncs from MULTIADDR only
//   --discv5 0|1        1 by default, 0 with --partition
//   --export DIR        genesis.ssz, config.yaml, network.json (with genesis_block_root)
//   --keep 1            leave the nodes' folders, and their logs, behind
//
// Prints one JSON line per node {peerId, multiaddr, enr, rest, log, genesis, pid}, then a status
// line per slot. Ends, and ends its children by their pids, after --seconds or on SIGTERM/SIGINT.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startFakeEl } from './fake-el.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

function readOptions () {
  const options = {
    nodes: 2,
    p2p: 19000,
    rest: 19596,
    seconds: 90,
    slot: 6,
    altair: 1,
    validators: 8,
    payload: 2000,
    'partition-slots': 6,
    keep: 0
  }
  for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].slice(2)
    const value = process.argv[i + 1]
    options[name] = ['late-dial', 'export'].includes(name) ? value : Number(value)
  }
  options.active ??= options.validators
  options.discv5 ??= options.partition === undefined ? 1 : 0
  return options
}

const o = readOptions()
const genesis = o.genesis ?? Math.floor(Date.now() / 1000) + 15
const slotNow = () => (Date.now() / 1000 - genesis) / o.slot
const genesisEth1Hash = '0x' + '0b'.repeat(32)
const nodes = []

const merged = o.bellatrix !== undefined || o.capella !== undefined
const forks = merged
  ? { ALTAIR: 0, BELLATRIX: o.bellatrix ?? 0, CAPELLA: o.capella }
  : { ALTAIR: o.altair }
if (merged && forks.BELLATRIX > 0) {
  throw new Error('--bellatrix must be 0: the pretend execution client has no terminal block; ' +
    'use --capella E for a fork on the way')
}
const el = merged
  ? await startFakeEl({
    port: 0,
    genesisHash: genesisEth1Hash,
    capellaTime: o.capella === undefined ? Infinity : genesis + o.capella * 8 * o.slot,
    txBytes: o.payload
  })
  : null

// Starts node `i`; `validators` is a range like 0..7, or null.
function start (i, { validators = null, lone = false } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'lodestar15-'))
  const log = openSync(join(dir, 'log'), 'a')
  const rest = o.rest + i
  const args = [
    '--import', join(here, 'poly.mjs'),
    join(here, 'node_modules/.bin/lodestar'), 'dev',
    '--genesisTime', genesis,
    '--genesisEth1Hash', genesisEth1Hash,
    '--genesisValidators', o.validators,
    '--reset',
    '--dataDir', dir,
    '--listenAddress', '127.0.0.1',
    '--port', o.p2p + i,
    '--enr.ip', '127.0.0.1',
    '--discv5', o.discv5 && !lone ? 'true' : 'false',
    '--rest.port', rest,
    '--rest.namespace', '*',
    '--server', `http://127.0.0.1:${rest}`,
    '--metrics', 'false',
    '--eth1', 'false',
    '--keymanager', 'false',
    '--logLevel', 'debug',
    '--params.SECONDS_PER_SLOT', o.slot
  ]
  for (const [fork, epoch] of Object.entries(forks)) {
    if (epoch !== undefined) args.push(`--params.${fork}_FORK_EPOCH`, epoch)
  }
  if (el) {
    args.push('--params.TERMINAL_TOTAL_DIFFICULTY', '0', '--execution.urls', el.url,
      '--suggestedFeeRecipient', '0x' + '00'.repeat(20))
  }
  if (validators) args.push('--startValidators', validators)
  const proc = spawn(process.execPath, args.map(String), { cwd: dir, stdio: ['ignore', log, log] })
  const node = { proc, dir, rest, p2p: o.p2p + i }
  proc.on('exit', (code, signal) => { node.dead = `exit ${code ?? signal}` })
  nodes[i] = node
  return node
}

// Lodestar 1.5.1 does not always end on SIGTERM.
let stopping = false
function stop () {
  if (stopping) return
  stopping = true
  for (const node of nodes) node.proc.kill('SIGTERM')
  setTimeout(() => {
    for (const node of nodes) {
      node.proc.kill('SIGKILL')
      if (!o.keep) rmSync(node.dir, { recursive: true, force: true })
    }
    process.exit(process.exitCode ?? 0)
  }, 4000)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)

async function get (node, path) {
  const url = `http://127.0.0.1:${node.rest}${path}`
  return (await fetch(url, { signal: AbortSignal.timeout(3000) })).json()
}

// Waits until the node answers, and prints its line.
async function up (node) {
  for (let attempt = 0; ; attempt++) {
    try {
      node.id = (await get(node, '/eth/v1/node/identity')).data
      break
    } catch (e) {
      if (attempt > 120 || node.dead) {
        throw new Error(`${node.dead ?? e.message}; see ${join(node.dir, 'log')}`)
      }
      await sleep(500)
    }
  }
  node.addr = `/ip4/127.0.0.1/tcp/${node.p2p}/p2p/${node.id.peer_id}`
  console.log(JSON.stringify({
    peerId: node.id.peer_id,
    multiaddr: node.addr,
    enr: node.id.enr,
    rest: `http://127.0.0.1:${node.rest}`,
    log: join(node.dir, 'log'),
    genesis,
    pid: node.proc.pid
  }))
}

async function admin (node, action, query) {
  const url = `http://127.0.0.1:${node.rest}/eth/v1/lodestar/${action}?${query}`
  const response = await fetch(url, { method: 'POST' })
  if (!response.ok) console.log(action, response.status, await response.text())
}
function dial (node, multiaddr) {
  const [address, peerId] = multiaddr.split('/p2p/')
  return admin(node, 'connect_peer', `peerId=${peerId}&multiaddr=${address}`)
}

async function exportGenesis (node) {
  mkdirSync(o.export, { recursive: true })
  const write = (name, data) => writeFileSync(join(o.export, name), data)
  const state = await fetch(
    `http://127.0.0.1:${node.rest}/eth/v2/debug/beacon/states/genesis`,
    { headers: { accept: 'application/octet-stream' } }
  )
  write('genesis.ssz', Buffer.from(await state.arrayBuffer()))
  const spec = (await get(node, '/eth/v1/config/spec')).data
  const line = ([key, value]) => `${key}: ${/^0x/.test(value) ? `'${value}'` : value}\n`
  write('config.yaml', Object.entries(spec).map(line).join(''))
  const genesisData = (await get(node, '/eth/v1/beacon/genesis')).data
  const header = (await get(node, '/eth/v1/beacon/headers/genesis')).data
  const peers = nodes.map(n => ({
    multiaddr: n.addr,
    enr: n.id.enr,
    rest: `http://127.0.0.1:${n.rest}`
  }))
  write('network.json', JSON.stringify({
    ...genesisData,
    genesis_block_root: header.root,
    genesis_fork: merged ? 'bellatrix' : 'phase0',
    peers
  }, null, 1))
  console.log('exported to', o.export)
}

async function startLate () {
  const targets = o['late-dial']
  const node = start(o.nodes, { lone: !!targets })
  await up(node)
  let addresses = nodes.slice(0, o.nodes).map(n => n.addr)
  if (targets) addresses = targets === 'none' ? [] : targets.split(',')
  await Promise.all(addresses.map(address => dial(node, address)))
}

async function headLine (node) {
  try {
    const head = (await get(node, '/eth/v1/beacon/headers/head')).data
    const finality = (await get(node, '/eth/v1/beacon/states/head/finality_checkpoints')).data
    const sync = (await get(node, '/eth/v1/node/syncing')).data
    const peers = (await get(node, '/eth/v1/node/peers')).meta.count
    const behind = sync.is_syncing ? ` syncing -${sync.sync_distance}` : ''
    return `head ${head.header.message.slot} ${head.root.slice(0, 10)}` +
      ` just ${finality.current_justified.epoch} fin ${finality.finalized.epoch}` +
      ` peers ${peers}${behind}`
  } catch (e) {
    return node.dead ?? e.message
  }
}

async function run () {
  const ranges = o.split
    ? [`0..${o.split - 1}`, `${o.split}..${o.active - 1}`]
    : [`0..${o.active - 1}`]
  for (let i = 0; i < o.nodes; i++) start(i, { validators: ranges[i] })
  for (const node of nodes) await up(node)
  for (const node of nodes.slice(1)) await dial(node, nodes[0].addr)
  if (o.export) await exportGenesis(nodes[0])

  let late = o.late !== undefined
  let cut = o.partition === undefined ? 'done' : 'ahead'
  const end = Date.now() + o.seconds * 1000
  while (Date.now() < end && !stopping) {
    const slot = slotNow()
    const next = Math.floor(slot) + 1
    await sleep((next - slot + 0.6) * o.slot * 1000) // 60 % into the slot
    if (late && slotNow() >= o.late) {
      late = false
      startLate().catch(e => console.log('late', e.message))
    }
    if (cut === 'ahead' && slotNow() >= o.partition) {
      cut = 'open'
      console.log('-- disconnect')
      await admin(nodes[0], 'disconnect_peer', `peerId=${nodes[1].id.peer_id}`)
    } else if (cut === 'open' && slotNow() >= o.partition + o['partition-slots']) {
      cut = 'done'
      console.log('-- reconnect')
      await dial(nodes[1], nodes[0].addr)
    }
    const heads = await Promise.all(nodes.map(headLine))
    console.log(`slot ${Math.floor(slotNow())} | ${heads.join(' | ')}`)
  }
}

try {
  await run()
} catch (e) {
  console.log('FAILED', e.message)
  o.keep = 1
  process.exitCode = 1
}
stop()
