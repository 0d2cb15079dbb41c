// The discv4 table (DPT) of @ethereumjs/devp2p on 127.0.0.1. One JSON line an event; ends after
// --seconds or on SIGTERM.
//   node dpt-peer.mjs --port P [--boot UDP_PORT ...] [--seconds 120]
import { DPT } from '@ethereumjs/devp2p'
import { randomBytes } from 'node:crypto'

const options = { port: 0, boot: [], seconds: 120 }
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].slice(2)
  if (name === 'boot') options.boot.push(Number(process.argv[i + 1]))
  else options[name] = Number(process.argv[i + 1])
}
const log = event => console.log(JSON.stringify(event))
const hex = bytes => Buffer.from(bytes).toString('hex')
const here = '127.0.0.1'

const dpt = new DPT(new Uint8Array(randomBytes(32)), {
  endpoint: { address: here, udpPort: options.port, tcpPort: options.port },
  refreshInterval: 2000, shouldGetDnsPeers: false, shouldFindNeighbours: true,
})
dpt.events.on('error', error => log({ ev: 'error', message: error.message }))
dpt.events.on('peer:added', peer => log({ ev: 'added', id: hex(peer.id), port: peer.udpPort }))
dpt.events.on('peer:removed', peer => log({ ev: 'removed', id: hex(peer.id) }))
dpt.bind(options.port, here)
await new Promise(resolve => setTimeout(resolve, 200))
log({ ev: 'listening', id: hex(dpt.id), enode: `enode://${hex(dpt.id)}@${here}:${options.port}` })
for (const port of options.boot) {
  dpt.bootstrap({ address: here, udpPort: port, tcpPort: port })
    .then(() => log({ ev: 'bonded', port }))
    .catch(error => log({ ev: 'error', message: error.message }))
}
setInterval(() => log({ ev: 'known', ids: dpt.getPeers().map(peer => hex(peer.id)) }), 1000)
const end = () => { dpt.destroy(); process.exit(0) }
setTimeout(end, 1000 * options.seconds)
process.on('SIGTERM', end)
