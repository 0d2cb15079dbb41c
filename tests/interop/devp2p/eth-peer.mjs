// One @ethereumjs/devp2p node on 127.0.0.1 with eth/68 and snap/1, for tests/interop/devp2p_test.cc.
//
//   node eth-peer.mjs listen FOLDER PORT                 prints {"id": ...} when it listens
//   node eth-peer.mjs dial FOLDER PORT ID              dials the node ID at PORT
//
// FOLDER has chain.rlp, genesis.json and headblock.json as go-ethereum wrote them. It serves the
// chain's headers and bodies, asks the peer for all of them, and sends one snap message. Prints one
// JSON object a line. When it dialled, it disconnects with "too many peers" after it served all.
import { readFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { RLPx, ETH, SNAP, EthMessageCodes, SnapMessageCodes, DISCONNECT_REASON } from '@ethereumjs/devp2p'
import { createCommonFromGethGenesis, Hardfork } from '@ethereumjs/common'
import { RLP } from '@ethereumjs/rlp'
import { bytesToHex, bytesToInt, hexToBytes, intToBytes } from '@ethereumjs/util'
import { keccak256 } from 'ethereum-cryptography/keccak.js'
import { secp256k1 } from 'ethereum-cryptography/secp256k1.js'

const [mode, folder, portText, remoteId] = process.argv.slice(2)
const say = (object) => process.stdout.write(JSON.stringify(object) + '\n')

// The chain, as decoded RLP and as hashes.
const blocks = []
for (let rest = readFileSync(`${folder}/chain.rlp`); rest.length > 0;) {
  const { data, remainder } = RLP.decode(new Uint8Array(rest), true)
  const [header, ...body] = data
  blocks.push({ header, body, hash: bytesToHex(keccak256(RLP.encode(header))) })
  rest = remainder
}
const genesisHash = blocks[0].header[0]
const headHash = JSON.parse(readFileSync(`${folder}/headblock.json`)).hash
const numberOf = new Map(blocks.map((block, index) => [block.hash, index + 1]))

const common = createCommonFromGethGenesis(JSON.parse(readFileSync(`${folder}/genesis.json`)), {
  chain: 'geth-chain', genesisHash, hardfork: Hardfork.Prague
})
common.setHardfork(Hardfork.Prague)
common.setForkHashes(genesisHash)

const key = new Uint8Array(randomBytes(32))
const rlpx = new RLPx(key, {
  dpt: null, maxPeers: 5, capabilities: [ETH.eth68, SNAP.snap], common,
  listenPort: mode === 'listen' ? Number(portText) : null
})
const done = { headers: 0, bodies: 0, servedHeaders: 0, servedBodies: 0 }
let peer = null
let finished = false

function finish () {
  if (finished || done.headers < 600 || done.bodies < 600) return
  if (done.servedHeaders < 600 || done.servedBodies < 600) return
  finished = true
  say({ done })
  if (mode === 'dial') setTimeout(() => peer.disconnect(DISCONNECT_REASON.TOO_MANY_PEERS), 100)
}

function serve (eth, code, [requestId, query]) {
  if (code === EthMessageCodes.GET_BLOCK_HEADERS) {
    const [start, limit, skip, reverse] = query
    let number = start.length === 32 ? numberOf.get(bytesToHex(start)) : bytesToInt(start)
    const step = (bytesToInt(skip) + 1) * (bytesToInt(reverse) ? -1 : 1)
    const headers = []
    for (let i = 0; i < bytesToInt(limit) && blocks[number - 1]; i++, number += step) {
      headers.push(blocks[number - 1].header)
    }
    done.servedHeaders += headers.length
    eth.sendMessage(EthMessageCodes.BLOCK_HEADERS, [requestId, headers])
  } else if (code === EthMessageCodes.GET_BLOCK_BODIES) {
    const bodies = query.map((hash) => blocks[numberOf.get(bytesToHex(hash)) - 1].body)
    done.servedBodies += bodies.length
    eth.sendMessage(EthMessageCodes.BLOCK_BODIES, [requestId, bodies])
  }
  finish()
}

// Headers in four requests, then the bodies of each.
function ask (eth) {
  for (let i = 0; i < 4; i++) {
    eth.sendMessage(EthMessageCodes.GET_BLOCK_HEADERS,
      [intToBytes(i + 1), [intToBytes(1 + 150 * i), intToBytes(150), new Uint8Array(), new Uint8Array()]])
  }
}
function check (eth, code, [requestId, items]) {
  if (code === EthMessageCodes.BLOCK_HEADERS) {
    const hashes = items.map((header) => keccak256(RLP.encode(header)))
    for (const hash of hashes) {
      const number = numberOf.get(bytesToHex(hash))
      if (number === undefined) say({ wrong: 'header' })
      else done.headers++
      if (number === 600) say({ head: bytesToHex(hash) === headHash })
    }
    eth.sendMessage(EthMessageCodes.GET_BLOCK_BODIES, [intToBytes(100 + bytesToInt(requestId)), hashes])
  } else if (code === EthMessageCodes.BLOCK_BODIES) {
    const first = (bytesToInt(requestId) - 101) * 150
    items.forEach((body, i) => {
      if (bytesToHex(RLP.encode(body)) === bytesToHex(RLP.encode(blocks[first + i].body))) done.bodies++
      else say({ wrong: 'body', number: first + i + 1 })
    })
  }
  finish()
}

rlpx.events.on('error', (error) => say({ error: error.message }))
rlpx.events.on('peer:error', (_, error) => say({ peerError: error.message }))
rlpx.events.on('peer:removed', (_, reason, we) => {
  say({ removed: reason, we })
  process.exit(0)
})
rlpx.events.on('peer:added', (added) => {
  peer = added
  const [eth, snap] = ['ETH', 'SNAP'].map((name) => peer.getProtocols().find((p) => p.constructor.name === name))
  say({ added: peer.getProtocols().map((p) => p.constructor.name + p.getVersion()) })
  eth.events.on('status', (status) => {
    say({ status: bytesToHex(status.forkId[0]) })
    ask(eth)
    if (snap) {
      snap.sendMessage(SnapMessageCodes.GET_ACCOUNT_RANGE,
        [intToBytes(7), genesisHash, new Uint8Array(32), new Uint8Array(32).fill(255), intToBytes(1000)])
    }
  })
  eth.events.on('message', (code, payload) => {
    serve(eth, code, payload)
    check(eth, code, payload)
  })
  eth.sendStatus({ td: intToBytes(1), bestHash: hexToBytes(headHash), genesisHash })
})

if (mode === 'listen') {
  rlpx.events.on('listening', () => say({ id: bytesToHex(secp256k1.getPublicKey(key, false).slice(1)) }))
  rlpx.listen(Number(portText), '127.0.0.1')
} else {
  rlpx.connect({ id: hexToBytes('0x' + remoteId), address: '127.0.0.1', tcpPort: Number(portText), udpPort: 0 })
    .catch((error) => { say({ error: error.message }); process.exit(1) })
}
setTimeout(() => { say({ error: 'nothing happens any more', done }); process.exit(1) }, 60_000)
