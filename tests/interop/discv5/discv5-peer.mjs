// A @chainsafe/discv5 node on 127.0.0.1. One JSON line an event; ends after --seconds or on SIGTERM.
//   node discv5-peer.mjs --port P [--boot ENR ...] [--ping ENR] [--talk ENR] [--update SECONDS]
//                        [--seconds 120]
// --ping, --talk: asks that node once; --update: after so long, a new version of its record.
// TALKREQ of the protocol "echo" is answered with the same bytes.
import { Discv5 } from '@chainsafe/discv5'
import { ENR, SignableENR } from '@chainsafe/enr'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'

const options = { port: 0, boot: [], seconds: 120 }
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].slice(2)
  if (name === 'boot') options.boot.push(process.argv[i + 1])
  else options[name] = process.argv[i + 1]
}
const log = event => console.log(JSON.stringify(event))
const hex = bytes => Buffer.from(bytes).toString('hex')

const privateKey = await generateKeyPair('secp256k1')
const enr = SignableENR.createFromPrivateKey(privateKey)
const address = multiaddr(`/ip4/127.0.0.1/udp/${options.port}`)
enr.setLocationMultiaddr(address)
enr.set('eth2', Uint8Array.from([1, 2, 3, 4, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]))
const node = Discv5.create({
  enr, privateKey, bindAddrs: { ip4: address },
  config: { enrUpdate: false, lookupTimeout: 5000, allowUnverifiedSessions: true },
})
node.on('talkReqReceived', (from, record, message) => {
  const protocol = new TextDecoder().decode(message.protocol)
  log({ ev: 'talkreq', protocol, request: hex(message.request) })
  node.sendTalkResp(from, message.id, protocol === 'echo' ? message.request : new Uint8Array())
})
node.on('discovered', record => log({ ev: 'discovered', id: record.nodeId }))
await node.start()
log({ ev: 'enr', enr: node.enr.encodeTxt(), id: node.enr.nodeId, seq: Number(node.enr.seq) })
for (const text of options.boot) node.addEnr(text)

const ask = async (ev, question) => {
  try {
    log({ ev, ...(await question()) })
  } catch (error) {
    log({ ev, error: String(error.message ?? error) })
  }
}
if (options.ping !== undefined) {
  await ask('pong', async () => {
    const pong = await node.sendPing(ENR.decodeTxt(options.ping))
    return { seq: Number(pong.enrSeq) }
  })
}
if (options.talk !== undefined) {
  const to = ENR.decodeTxt(options.talk)
  for (const protocol of ['echo', 'unknown']) {
    await ask('talkresp', async () => ({
      protocol, response: hex(await node.sendTalkReq(to, new Uint8Array([1, 2, 3]), protocol)),
    }))
  }
}
const known = () => log({
  ev: 'known', sessions: node.sessionService?.sessions?.size ?? 0,
  ids: node.kadValues().map(record => record.nodeId),
  seqs: Object.fromEntries(node.kadValues().map(record => [record.nodeId, Number(record.seq)])),
})
setInterval(() => { node.findRandomNode().catch(() => {}); known() }, 1000)
if (options.update !== undefined) {
  setTimeout(() => {
    node.enr.set('eth2', new Uint8Array(16).fill(9))
    log({ ev: 'updated', seq: Number(node.enr.seq) })
  }, 1000 * options.update)
}
const end = async () => { await node.stop(); process.exit(0) }
setTimeout(end, 1000 * options.seconds)
process.on('SIGTERM', end)
